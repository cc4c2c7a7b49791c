use std::path::Path;

use gigapi_model::ErrorKind;

use super::*;
use crate::settings::{ConfigFile, Sources, load};

fn settings(root: &Path, more: &str) -> Settings {
    let text = format!("root = '{}'\n{more}", root.display());
    let file = Some(ConfigFile { path: "test.toml".into(), text });
    load(&Sources { file, ..Sources::default() }).unwrap().settings
}

#[tokio::test]
async fn opening_an_empty_folder_makes_catalog_and_layer_and_reopening_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("deep/data"), "");
    let first = Components::open(&settings).await.unwrap();
    let catalog = first.catalog.epochs().await.unwrap().catalog;
    assert_eq!(first.layers.first().owner().await.unwrap(), Some(catalog));
    assert!(first.readiness.is_ready());
    assert!(settings.metadata.folder.join("catalog.sqlite").is_file());
    drop(first);
    let again = Components::open(&settings).await.unwrap();
    assert_eq!(again.catalog.epochs().await.unwrap().catalog, catalog);
}

#[tokio::test]
async fn a_layer_of_another_catalog_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let hot = folder.path().join("hot");
    let layer = format!("[[layers]]\nname = 'hot'\nurl = '{}'\n", hot.display());
    let own = Components::open(&settings(&folder.path().join("a"), &layer)).await.unwrap();
    let catalog = own.catalog.epochs().await.unwrap().catalog;

    let other = settings(&folder.path().join("b"), &layer);
    let error = Components::open(&other).await.unwrap_err();
    assert!(matches!(error, Error::Storage(gigapi_storage::Error::ForeignLayer { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let unclaimed = Components::open_unclaimed(&other).await.unwrap();
    assert_eq!(unclaimed.layers.first().owner().await.unwrap(), Some(catalog));
}

#[tokio::test]
async fn the_limits_of_the_settings_reach_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let limits = catalog_limits(&settings(
        folder.path(),
        "columns_max = 7\ntables_max = 8\ndatabases_max = 9\ndelete_grace_s = 600",
    ));
    assert_eq!(limits.grace.as_secs(), 600);
    assert_eq!((limits.columns_max, limits.tables_per_database_max, limits.databases_max), (7, 8, 9));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let error = Components::open(&settings(&file, "")).await.unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}
