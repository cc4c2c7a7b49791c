use std::fs;

use gigapi_model::{ErrorKind, SystemIds};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use uuid::Uuid;

use super::*;
use crate::s3_servers;

fn name(text: &str) -> LayerName {
    LayerName::new(text).unwrap()
}

fn settings(kind: LayerKind, url: &str) -> LayerSettings {
    LayerSettings { name: name("hot"), kind, url: url.to_owned(), global: false, ttl: None }
}

fn s3() -> S3Settings {
    S3Settings { credentials: s3_servers::keys("secret"), region: None, timing: s3_servers::TIMING }
}

fn catalog(number: u128) -> CatalogId {
    CatalogId::from_uuid(Uuid::from_u128(number))
}

#[test]
fn a_layer_is_a_path_or_a_file_url() {
    let root = tempfile::tempdir().unwrap();
    let plain = Layer::open(&LayerSettings::folder(name("hot"), root.path()), &SystemIds).unwrap();
    let url = format!("file://{}", root.path().display());
    let by_url = Layer::open(&settings(LayerKind::Fs, &url), &SystemIds).unwrap();
    assert_eq!(plain.local.unwrap().root(), by_url.local.unwrap().root());
}

#[test]
fn settings_that_cannot_be_used_say_why() {
    for (kind, url, wanted) in [
        (LayerKind::S3(s3()), "s3://host", "the url names no bucket"),
        (LayerKind::S3(s3()), "/data", "the url is not a URL"),
        (LayerKind::Fs, "", "the url is empty"),
        (LayerKind::Fs, "s3://host/bucket", "takes a path or file:///path, not s3://"),
        (LayerKind::Fs, "file://host/path", "three slashes"),
    ] {
        let error = Layer::open(&settings(kind, url), &SystemIds).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with("layer hot: ") && error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn layers_keep_their_order_and_have_one_name_each() {
    let layer = |text: &str| Layer::over(name(text), Arc::new(InMemory::new()));
    let layers = Layers::new(vec![layer("hot"), layer("warm"), layer("cold")]).unwrap();
    assert_eq!(layers.first().name, name("hot"));
    assert_eq!(layers.after(&name("hot")).unwrap().name, name("warm"));
    assert!(layers.after(&name("cold")).is_none() && layers.after(&name("other")).is_none());
    assert!(layers.get(&name("cold")).is_some() && layers.get(&name("other")).is_none());
    assert!(Layers::new(vec![layer("hot"), layer("hot")]).unwrap_err().to_string().contains("used twice"));
    assert!(Layers::new(Vec::new()).unwrap_err().to_string().contains("GIGAPI_ROOT"));
}

#[tokio::test]
async fn a_layer_belongs_to_the_first_catalog() {
    let root = tempfile::tempdir().unwrap();
    let layers = Layers::open(&[LayerSettings::folder(name("hot"), root.path())], &SystemIds).unwrap();
    assert_eq!(layers.first().owner().await.unwrap(), None);
    layers.claim(catalog(1)).await.unwrap();
    layers.claim(catalog(1)).await.unwrap();
    assert_eq!(layers.first().owner().await.unwrap(), Some(catalog(1)));
    let error = layers.claim(catalog(2)).await.unwrap_err();
    assert!(matches!(&error, Error::ForeignLayer { found, own, .. } if *found == catalog(1) && *own == catalog(2)));
    assert!(error.to_string().contains("point the layer at an empty folder"), "{error}");
}

#[tokio::test]
async fn of_two_catalogs_that_race_one_gets_the_layer() {
    let layer = Layer::over(name("hot"), Arc::new(InMemory::new()));
    let claims = (0..8).map(|number| {
        let layer = layer.clone();
        tokio::spawn(async move { layer.claim(catalog(number)).await })
    });
    let claims = futures::future::join_all(claims).await;
    assert_eq!(claims.into_iter().filter(|claim| claim.as_ref().unwrap().is_ok()).count(), 1);
}

#[tokio::test]
async fn a_marker_that_cannot_be_read_stops_the_start() {
    let layer = Layer::over(name("hot"), Arc::new(InMemory::new()));
    let path = crate::own_path(["catalog.json"]);
    layer.store.put(&path, "{\"version\":".into()).await.unwrap();
    assert_eq!(layer.claim(catalog(1)).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn the_originals_data_is_recognised_when_a_layer_is_claimed_and_ours_never() {
    let ours = tempfile::tempdir().unwrap();
    let layer = Layer::open(&LayerSettings::folder(name("hot"), ours.path()), &SystemIds).unwrap();
    layer.claim(catalog(1)).await.unwrap();
    fs::create_dir_all(ours.path().join("mydb/weather/date=2025-04-17/hour=15")).unwrap();
    fs::write(ours.path().join("mydb/weather/date=2025-04-17/hour=15/metadata.json"), "{}").unwrap();
    layer.claim(catalog(1)).await.unwrap();
    assert_eq!(layer.original().await.unwrap(), None);
    for layout in ["mydb/weather/date=2025-04-17/hour=15/metadata.json", "mydb/weather/data/date=2025-04-17/x"] {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(original_data(root.path()), None);
        let file = root.path().join(layout);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "{}").unwrap();
        let found = original_data(root.path()).unwrap();
        assert_eq!((found.database.as_str(), found.table.as_str()), ("mydb", "weather"));
        assert!(file.starts_with(&found.evidence), "{found:?}");
        let layer = Layer::open(&LayerSettings::folder(name("hot"), root.path()), &SystemIds).unwrap();
        for _ in 0..2 {
            layer.claim(catalog(1)).await.unwrap();
            assert_eq!(layer.original().await.unwrap().as_ref(), Some(&found));
        }
    }
}
