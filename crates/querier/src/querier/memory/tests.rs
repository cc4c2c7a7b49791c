use datafusion::execution::memory_pool::GreedyMemoryPool;

use super::*;

fn consumer(pool: &Arc<QueryMemory>) -> MemoryReservation {
    let pool: Arc<dyn MemoryPool> = Arc::clone(pool) as _;
    MemoryConsumer::new("a sort").register(&pool)
}

#[test]
fn a_query_is_refused_what_exceeds_its_share_and_others_are_not() {
    let shared: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
    let greedy = Arc::new(QueryMemory::new(Arc::clone(&shared), 60));
    let other = Arc::new(QueryMemory::new(Arc::clone(&shared), 60));
    let (first, second) = (consumer(&greedy), consumer(&other));
    first.try_grow(60).unwrap();
    assert!(matches!(first.try_grow(1), Err(DataFusionError::ResourcesExhausted(_))));
    assert_eq!(greedy.refused_at(), Some(60));
    second.try_grow(40).unwrap();
    assert!(second.try_grow(1).is_err(), "nothing is left for all together");
    assert_eq!((other.refused_at(), shared.reserved()), (None, 100));
    drop(first);
    second.try_grow(20).unwrap();
    assert_eq!((greedy.reserved(), greedy.peak(), other.peak(), shared.reserved()), (0, 60, 60, 60));
}
