use std::collections::HashMap;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;
use crate::faulty::{Action, Fault, Faults, FaultyStore, Operation};

#[derive(Debug, Default)]
struct Known(HashMap<Path, ExpectedObject>);

impl ExpectedObjects for Known {
    fn expected(&self, location: &Path) -> Option<ExpectedObject> {
        self.0.get(location).copied()
    }
}

async fn store() -> (VerifyingStore, Arc<Faults>, Path) {
    let (memory, faults, path) = (Arc::new(InMemory::new()), Faults::new(), Path::from("a/x"));
    memory.put(&path, "hello".into()).await.unwrap();
    let known = HashMap::from([(path.clone(), ExpectedObject { bytes: 5, checksum: checksum(b"hello") })]);
    let faulty = FaultyStore::new(memory, Arc::clone(&faults));
    (VerifyingStore::new(Arc::new(faulty), Arc::new(Known(known))), faults, path)
}

#[test]
fn checksums_are_xxh3_with_seed_zero() {
    // The published value for no bytes.
    assert_eq!(checksum(b""), 0x2d06_8005_38d3_94c2);
}

#[tokio::test]
async fn a_whole_object_that_differs_is_refused() {
    let (store, faults, path) = store().await;
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "hello");
    for damage in [Action::FlippedBit(4), Action::ShortBody(4)] {
        faults.add(Fault::next(Operation::Get, damage));
        let error = store.get(&path).await.unwrap_err();
        assert!(error.to_string().contains("a/x is damaged"), "{error}");
        faults.add(Fault::next(Operation::Get, damage));
        assert!(store.get_range(&path, 0..5).await.is_err());
        faults.add(Fault::next(Operation::Get, damage));
        let whole = 0..5;
        assert!(store.get_ranges(&path, std::slice::from_ref(&whole)).await.is_err());
    }
}

#[tokio::test]
async fn an_object_of_another_size_is_refused_whatever_is_asked_for() {
    let (memory, path) = (Arc::new(InMemory::new()), Path::from("x"));
    memory.put(&path, "hello".into()).await.unwrap();
    let known = HashMap::from([(path.clone(), ExpectedObject { bytes: 6, checksum: 0 })]);
    let store = VerifyingStore::new(memory, Arc::new(Known(known)));
    assert!(store.get_range(&path, 1..2).await.is_err());
}

#[tokio::test]
async fn parts_heads_and_unknown_objects_pass() {
    let (store, faults, path) = store().await;
    faults.add(Fault::next(Operation::Get, Action::FlippedBit(0)));
    assert_eq!(store.get_range(&path, 1..3).await.unwrap(), "dl");
    assert_eq!(store.head(&path).await.unwrap().size, 5);
    let other = Path::from("other");
    store.put(&other, "x".into()).await.unwrap();
    assert_eq!(store.get(&other).await.unwrap().bytes().await.unwrap(), "x");
}
