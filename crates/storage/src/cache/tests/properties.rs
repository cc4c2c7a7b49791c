//! Whatever is read, through whatever faults: the store's own bytes, or an error.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;

const OBJECTS: usize = 3;
const BYTES_MAX: usize = 20_000;

/// A read of one object.
#[derive(Debug, Clone)]
enum Read {
    Whole,
    Head,
    Range(GetRange),
    Ranges(Vec<std::ops::Range<u64>>),
}

fn bounded() -> impl Strategy<Value = std::ops::Range<u64>> {
    (0..BYTES_MAX as u64 + 2_000, 1..6_000_u64).prop_map(|(start, length)| start..start + length)
}

fn read() -> impl Strategy<Value = Read> {
    prop_oneof![
        1 => Just(Read::Whole),
        1 => Just(Read::Head),
        4 => bounded().prop_map(|range| Read::Range(GetRange::Bounded(range))),
        1 => (0..BYTES_MAX as u64).prop_map(|start| Read::Range(GetRange::Offset(start))),
        1 => (1..BYTES_MAX as u64).prop_map(|bytes| Read::Range(GetRange::Suffix(bytes))),
        2 => prop::collection::vec(bounded(), 1..6).prop_map(Read::Ranges),
    ]
}

fn fault() -> impl Strategy<Value = Option<Action>> {
    prop_oneof![
        5 => Just(None),
        1 => Just(Some(Action::ErrorBefore)),
        1 => Just(Some(Action::ErrorAfter)),
        1 => (0..5_000_u64).prop_map(|bytes| Some(Action::ShortBody(bytes))),
        1 => (0..3_u64).prop_map(|ms| Some(Action::Latency(Duration::from_millis(ms)))),
    ]
}

/// Reads that happen at once, and what happens to the next request below.
fn step() -> impl Strategy<Value = (Option<Action>, Vec<(usize, Read)>)> {
    (fault(), prop::collection::vec((0..OBJECTS, read()), 1..5))
}

fn object(number: usize) -> Path {
    Path::parse(path().as_ref().replace("000001.1", &format!("{number:06}.1"))).unwrap()
}

/// What a read yields: all bytes it asked for, one after another, or the size.
async fn outcome(store: &Arc<dyn ObjectStore>, at: &Path, read: &Read) -> object_store::Result<Vec<Bytes>> {
    match read {
        Read::Whole => Ok(vec![store.get(at).await?.bytes().await?]),
        Read::Head => Ok(vec![Bytes::from(store.head(at).await?.size.to_string())]),
        Read::Range(range) => {
            let options = GetOptions { range: Some(range.clone()), ..GetOptions::default() };
            let found = store.get_opts(at, options).await?;
            let length = found.range.end - found.range.start;
            let bytes = found.bytes().await?;
            assert_eq!(bytes.len() as u64, length);
            Ok(vec![bytes])
        }
        Read::Ranges(ranges) => store.get_ranges(at, ranges).await,
    }
}

/// Cases that are run, however many are asked for.
const CACHES_MAX: usize = 256;

proptest! {
    #[test]
    fn reads_yield_the_stores_bytes_or_an_error(
        sizes in prop::collection::vec(1..BYTES_MAX, OBJECTS),
        memory_bytes in prop::sample::select(vec![2_000_usize, 16_000, 1 << 20]),
        steps in prop::collection::vec(step(), 1..12),
    ) {
        // A cache lives as long as its process, and its files stay open for as long: more of them would find none left.
        static CACHES: AtomicUsize = AtomicUsize::new(0);
        if CACHES.fetch_add(1, Ordering::Relaxed) >= CACHES_MAX {
            return Ok(());
        }
        Runtime::new().unwrap().block_on(async {
            let world = World::new(Shape { memory_bytes, ..SMALL }, 1).await;
            for (number, size) in sizes.iter().enumerate() {
                world.below.put(&object(number), content(*size + number).slice(number..).into()).await.unwrap();
            }
            for (fault, reads) in steps {
                let faulty = !matches!(fault, None | Some(Action::Latency(_)));
                world.faults.clear();
                if let Some(action) = fault {
                    world.faults.add(Fault::next(Operation::Get, action));
                }
                let reads = futures::stream::iter(reads).map(|(number, read)| {
                    let world = &world;
                    async move {
                        let at = object(number);
                        let cached = outcome(&world.store, &at, &read).await;
                        let direct = outcome(&world.below, &at, &read).await;
                        match (cached, direct) {
                            (Ok(cached), Ok(direct)) => assert!(cached == direct, "{read:?} of {number} differs"),
                            (Err(_), Err(_)) => {}
                            (Err(error), Ok(_)) => assert!(faulty, "{read:?} failed without a fault: {error}"),
                            (Ok(_), Err(error)) => panic!("{read:?} should have failed: {error}"),
                        }
                    }
                });
                reads.buffer_unordered(8).collect::<()>().await;
                // What a failed read left under way would bring its fault to the next step.
                until(|| world.cache.flights.is_empty() && world.cache.heads.is_empty()).await;
            }
        });
    }
}
