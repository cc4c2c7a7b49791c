use gigapi_model::ErrorKind;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;

fn store() -> (FaultyStore, Arc<Faults>) {
    let faults = Faults::new();
    (FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults)), faults)
}

#[tokio::test]
async fn an_error_before_leaves_nothing() {
    let (store, faults) = store();
    faults.add(Fault::next(Operation::Put, Action::ErrorBefore));
    let path = Path::from("a");
    assert!(store.put(&path, "x".into()).await.is_err());
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
    store.put(&path, "x".into()).await.unwrap();
}

#[tokio::test]
async fn an_error_after_leaves_everything() {
    let (store, faults) = store();
    faults.add(Fault::next(Operation::Put, Action::ErrorAfter));
    let path = Path::from("a");
    assert!(store.put(&path, "x".into()).await.is_err());
    assert_eq!(store.head(&path).await.unwrap().size, 1);
}

#[tokio::test]
async fn rules_count_and_choose_paths() {
    let (store, faults) = store();
    faults.add(Fault::next(Operation::Put, Action::ErrorBefore).on("b").after(1));
    for (path, works) in [("a", true), ("b", true), ("a", true), ("b2", false), ("b", true)] {
        assert_eq!(store.put(&Path::from(path), "x".into()).await.is_ok(), works, "{path}");
    }
    assert_eq!(faults.calls().len(), 5);
}

#[tokio::test]
async fn a_full_disk_is_one_to_the_callers() {
    let (store, faults) = store();
    faults.add(Fault::always(Operation::Put, Action::DiskFull));
    let path = Path::from("a");
    let error = store.put(&path, "x".into()).await.unwrap_err();
    let error = crate::Error::from_store("writing", "layer hot", path.as_ref(), error);
    assert!(matches!(error, crate::Error::Full { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn bodies_are_cut_and_damaged() {
    let (store, faults) = store();
    let path = Path::from("a");
    store.put(&path, "hello".into()).await.unwrap();
    faults.add(Fault::next(Operation::Get, Action::ShortBody(2)));
    faults.add(Fault::next(Operation::Get, Action::FlippedBit(1)));
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "he");
    assert_eq!(store.get_range(&path, 0..5).await.unwrap(), "hdllo");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn latency_passes_before_the_call() {
    let (store, faults) = store();
    faults.add(Fault::next(Operation::List, Action::Latency(Duration::from_secs(3))));
    let start = tokio::time::Instant::now();
    store.list_with_delimiter(None).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}
