use std::pin::pin;
use std::time::Duration;

use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

use super::*;

fn cache() -> MetadataCache {
    MetadataCache::new(RuntimeEnv::default().cache_manager.get_file_metadata_cache())
}

/// A store that takes its time, and an object in it that is no data file.
async fn slow_store() -> (ThrottledStore<InMemory>, ObjectMeta) {
    let store = InMemory::new();
    let path = Path::from("a/file");
    store.put(&path, vec![0_u8; 100].into()).await.unwrap();
    let meta = store.head(&path).await.unwrap();
    let config = ThrottleConfig { wait_get_per_call: Duration::from_secs(60), ..ThrottleConfig::default() };
    (ThrottledStore::new(store, config), meta)
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_given_up_leaves_nothing_behind() {
    let ((store, meta), cache, counters) = (slow_store().await, cache(), ReadCounters::default());
    {
        let mut given_up = pin!(cache.fetch(&store, &meta, 50, &counters));
        assert!(futures::poll!(&mut given_up).is_pending());
        assert_eq!(cache.flights.lock().len(), 1);
    }
    assert_eq!(cache.flights.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_shares_a_read_goes_on_when_another_gives_up() {
    let ((store, meta), cache, counters) = (slow_store().await, cache(), ReadCounters::default());
    let mut stays = Box::pin(cache.fetch(&store, &meta, 50, &counters));
    {
        let mut given_up = pin!(cache.fetch(&store, &meta, 50, &counters));
        assert!(futures::poll!(&mut given_up).is_pending());
        assert!(futures::poll!(&mut stays).is_pending());
    }
    // Later ones join the one who stays.
    assert_eq!(cache.flights.lock().len(), 1);
    let (first, second) = tokio::join!(stays, cache.fetch(&store, &meta, 50, &counters));
    assert!(first.is_err() && second.is_err(), "it is no data file");
    assert_eq!(cache.flights.lock().len(), 0);
}
