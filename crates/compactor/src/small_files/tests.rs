use gigapi_model::{LayerName, SystemIds};
use gigapi_storage::LayerSettings;
use object_store::ObjectStoreExt;

use super::*;

fn layer_in(folder: &std::path::Path) -> Arc<Layer> {
    let name = LayerName::new("hot").expect("a plain name");
    Arc::new(Layer::open(&LayerSettings::folder(name, folder), &SystemIds).expect("a folder"))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_together_share_their_syncs_and_all_are_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = layer_in(folder.path());
    let small = SmallFiles::default();
    let before = layer.local.as_ref().expect("a folder").syncs().count();
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..600_u32 {
        let (small, layer) = (small.clone(), Arc::clone(&layer));
        puts.spawn(async move {
            let path = Path::from(format!("db/t{}/file{number}", number % 10));
            small.put(None, &layer, &path, number.to_string().into()).await.expect("room on the disk");
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
    let layer = layer_in(folder.path());
    // A file lies where a folder is wanted.
    std::fs::write(folder.path().join("taken"), "x").expect("a file");
    let small = SmallFiles::default();
    let (good, bad) = (Path::from("db/good"), Path::from("taken/bad"));
    let (one, other) = tokio::join!(
        small.put(None, &layer, &bad, Bytes::from_static(b"bad")),
        small.put(None, &layer, &good, Bytes::from_static(b"good"))
    );
    assert!(one.is_err());
    other.expect("nothing is in its way");
    assert_eq!(layer.store.get(&good).await.expect("stored").bytes().await.expect("bytes"), "good");
}

#[tokio::test(start_paused = true)]
async fn a_file_waits_for_those_that_are_being_made_and_not_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = layer_in(folder.path());
    let small = SmallFiles::default();
    let syncs = || layer.local.as_ref().expect("a folder").syncs().count();
    let put = |number: u32, expected: Expected| {
        let (small, layer) = (small.clone(), Arc::clone(&layer));
        tokio::spawn(async move {
            let path = Path::from(format!("db/t{number}/file"));
            small.put(Some(expected), &layer, &path, number.to_string().into()).await.expect("room on the disk");
        })
    };
    // Each comes well within the patience of the one before.
    let mut expected: Vec<Expected> = (0..20).map(|_| small.expect()).collect();
    let before = syncs();
    let mut puts = Vec::new();
    while let Some(next) = expected.pop() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        puts.push(put(puts.len() as u32, next));
    }
    for put in puts {
        put.await.expect("no put panics");
    }
    assert_eq!(syncs() - before, 2, "all in one round");
    // One that never comes holds nobody up for long; one that is given up holds nobody up.
    let (never, started) = (small.expect(), tokio::time::Instant::now());
    put(100, small.expect()).await.expect("no put panics");
    assert_eq!(started.elapsed().as_millis(), PATIENCE.as_millis());
    let (waits, started) = (put(101, small.expect()), tokio::time::Instant::now());
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(never);
    waits.await.expect("no put panics");
    assert_eq!(started.elapsed().as_millis(), 5);
}
