use gigapi_model::{LayerName, SystemIds};
use gigapi_storage::LayerSettings;
use object_store::ObjectStoreExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_together_share_their_syncs_and_all_are_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = LayerName::new("hot").expect("a plain name");
    let layer = Layer::open(&LayerSettings::folder(name, folder.path()), &SystemIds).expect("a folder");
    let layer = Arc::new(layer);
    let small = SmallFiles::default();
    let before = layer.local.as_ref().expect("a folder").syncs().count();
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..600_u32 {
        let (small, layer) = (small.clone(), Arc::clone(&layer));
        puts.spawn(async move {
            let path = Path::from(format!("db/t{}/file{number}", number % 10));
            small.put(&layer, &path, number.to_string().into()).await.expect("room on the disk");
            // Whoever has an answer can read it.
            let stored = layer.store.get(&path).await.expect("stored").bytes().await.expect("its bytes");
            assert_eq!(stored, number.to_string());
        });
    }
    while let Some(put) = puts.join_next().await {
        put.expect("no put panics");
    }
    let syncs = layer.local.as_ref().expect("a folder").syncs().count() - before;
    assert!(syncs < 300, "{syncs} syncs for 600 files");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_fails_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = LayerName::new("hot").expect("a plain name");
    let layer = Layer::open(&LayerSettings::folder(name, folder.path()), &SystemIds).expect("a folder");
    let layer = Arc::new(layer);
    // A file lies where a folder is wanted.
    std::fs::write(folder.path().join("taken"), "x").expect("a file");
    let small = SmallFiles::default();
    let (good, bad) = (Path::from("db/good"), Path::from("taken/bad"));
    let (one, other) = tokio::join!(
        small.put(&layer, &bad, Bytes::from_static(b"bad")),
        small.put(&layer, &good, Bytes::from_static(b"good"))
    );
    assert!(one.is_err());
    other.expect("nothing is in its way");
    assert_eq!(layer.store.get(&good).await.expect("stored").bytes().await.expect("bytes"), "good");
}
