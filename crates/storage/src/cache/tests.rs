use std::fs;
use std::path::Path as FsPath;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use gigapi_model::SystemIds;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt, PutPayload};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::faulty::{Action, Fault, Faults, FaultyStore, Operation};

mod properties;

/// Small blocks, so that small objects have many; the disk's pages are 4 KiB.
const SMALL: Shape = Shape {
    block_bytes: 1000,
    run_blocks: 4,
    runs_at_once: 2,
    memory_bytes: 64 << 20,
    region_bytes: 64 << 10,
    queue_bytes: 8 << 20,
};

/// As [`SMALL`], where nearly everything is on disk.
const ON_DISK: Shape = Shape { memory_bytes: 16_000, ..SMALL };

fn path() -> Path {
    Path::parse("db/t/date=2025-04-10/hour=14/0196218a-4c5c-7000-8000-000000000001.1.parquet").unwrap()
}

fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}

/// A cache over a store in memory that counts calls and fails as told.
struct World {
    folder: TempDir,
    faults: Arc<Faults>,
    cache: Arc<ReadCache>,
    store: Arc<dyn ObjectStore>,
    below: Arc<dyn ObjectStore>,
}

impl World {
    async fn new(shape: Shape, length: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = CacheSettings { folder: folder.path().to_owned(), bytes_max: Some(4 << 20) };
        let cache = ReadCache::with_shape(&settings, &SystemIds, shape).await.unwrap();
        let faults = Faults::new();
        let below: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&below), Arc::clone(&faults)));
        let store = cache.over(&LayerName::new("cold").unwrap(), faulty);
        below.put(&path(), content(length).into()).await.unwrap();
        Self { folder, faults, cache, store, below }
    }

    async fn range(&self, range: std::ops::Range<u64>) -> object_store::Result<Bytes> {
        self.store.get_range(&path(), range).await
    }

    async fn get(&self, range: Option<GetRange>) -> object_store::Result<Bytes> {
        let options = GetOptions { range, ..GetOptions::default() };
        self.store.get_opts(&path(), options).await?.bytes().await
    }

    /// Requests since the last time.
    fn asked(&self) -> usize {
        let asked = self.faults.take_calls();
        assert!(asked.iter().all(|(operation, _)| *operation == Operation::Get));
        asked.len()
    }

    /// The files that hold blocks.
    fn files(&self) -> Vec<std::path::PathBuf> {
        let own = files_in(self.folder.path()).into_iter().filter(|path| path.is_dir());
        own.flat_map(|folder| files_in(&folder)).filter(|path| !path.ends_with("lock")).collect()
    }
}

fn files_in(folder: &FsPath) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

async fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "it never happened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn ten_readers_of_one_footer_make_one_request() {
    let world = World::new(SMALL, 10_000).await;
    // Slow enough that all of them come while it is under way.
    world.faults.add(Fault::next(Operation::Get, Action::Latency(Duration::from_millis(200))));
    let reads = (0..10).map(|_| world.range(9_100..9_990));
    let read = futures::future::try_join_all(reads).await.unwrap();
    assert!(read.iter().all(|bytes| *bytes == content(10_000).slice(9_100..9_990)));
    assert_eq!(world.asked(), 1);
    let counts = world.cache.counts();
    assert_eq!((counts.misses(), counts.joined(), counts.fetches(), counts.fetched_bytes()), (1, 9, 1, 1000));
    assert_eq!(counts.served_bytes(), 8_900);
}

#[tokio::test]
async fn ten_readers_of_an_unknown_objects_end_make_two_requests() {
    let world = World::new(SMALL, 10_000).await;
    world.faults.add(Fault::always(Operation::Get, Action::Latency(Duration::from_millis(100))));
    let reads = (0..10).map(|_| world.get(Some(GetRange::Suffix(8))));
    let read = futures::future::try_join_all(reads).await.unwrap();
    assert!(read.iter().all(|bytes| *bytes == content(10_000).slice(9_992..)));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn what_was_read_is_not_asked_for_again() {
    let world = World::new(SMALL, 10_500).await;
    let all = content(10_500);
    assert_eq!(world.get(None).await.unwrap(), all);
    // The head, and eleven blocks in three runs.
    assert_eq!(world.asked(), 1 + 3);
    for range in [0..1, 999..1001, 0..10_500, 10_000..10_500, 10_499..10_500] {
        let wanted = all.slice(range.start as usize..range.end as usize);
        assert_eq!(world.range(range.clone()).await.unwrap(), wanted, "{range:?}");
    }
    assert_eq!(world.get(Some(GetRange::Offset(10_400))).await.unwrap(), all.slice(10_400..));
    assert_eq!(world.get(Some(GetRange::Suffix(1_234))).await.unwrap(), all.slice(10_500 - 1_234..));
    assert_eq!(world.get(Some(GetRange::Suffix(99_999))).await.unwrap(), all);
    assert_eq!(world.get(Some(GetRange::Bounded(10_400..99_999))).await.unwrap(), all.slice(10_400..));
    let ranges = [9_000..9_500, 0..2_500, 9_400..10_500];
    let several = world.store.get_ranges(&path(), &ranges).await.unwrap();
    for (range, bytes) in ranges.iter().zip(several) {
        assert_eq!(bytes, all.slice(range.start as usize..range.end as usize));
    }
    assert_eq!(world.store.head(&path()).await.unwrap().size, 10_500);
    assert!(world.range(10_500..10_501).await.is_err());
    assert!(world.get(Some(GetRange::Offset(10_500))).await.is_err());
    assert_eq!(world.asked(), 0);
    assert_eq!(world.cache.counts().misses(), 11);
}

#[tokio::test]
async fn the_answer_tells_what_the_store_would() {
    let world = World::new(SMALL, 2_500).await;
    for range in [None, Some(GetRange::Bounded(10..2_000)), Some(GetRange::Offset(1)), Some(GetRange::Suffix(5))] {
        let options = GetOptions { range, ..GetOptions::default() };
        let cached = world.store.get_opts(&path(), options.clone()).await.unwrap();
        let direct = world.below.get_opts(&path(), options).await.unwrap();
        assert_eq!((&cached.meta, &cached.range), (&direct.meta, &direct.range));
        assert_eq!(cached.bytes().await.unwrap(), direct.bytes().await.unwrap());
    }
}

#[tokio::test]
async fn missing_neighbours_come_in_one_request_and_not_too_many() {
    let world = World::new(SMALL, 20_000).await;
    world.range(5_000..6_000).await.unwrap();
    assert_eq!(world.asked(), 1);
    // Blocks 2 to 4, and 6 to 12 as four and three.
    world.range(2_500..12_500).await.unwrap();
    assert_eq!(world.asked(), 3);
    let counts = world.cache.counts();
    assert_eq!((counts.misses(), counts.fetches(), counts.fetched_bytes()), (11, 4, 11_000));
}

#[tokio::test]
async fn a_range_inside_one_block_is_not_copied() {
    let world = World::new(SMALL, 2_000).await;
    world.range(0..1).await.unwrap();
    let first = world.range(0..900).await.unwrap();
    let ranges = world.store.get_ranges(&path(), std::slice::from_ref(&(100..200))).await.unwrap();
    assert_eq!(ranges[0].as_ptr(), first[100..].as_ptr());
}

#[tokio::test]
async fn what_is_not_a_data_file_or_has_conditions_passes_through() {
    let world = World::new(SMALL, 2_000).await;
    let own = crate::own_path(["catalog.json"]);
    world.store.put(&own, "1".into()).await.unwrap();
    world.faults.take_calls();
    for wanted in 1..=2 {
        assert_eq!(world.store.get(&own).await.unwrap().bytes().await.unwrap(), "1");
        assert_eq!(world.asked(), 1, "{wanted}");
    }
    let tag = world.store.head(&path()).await.unwrap().e_tag;
    let matching = GetOptions { if_match: tag.clone(), ..GetOptions::default() };
    let not_matching = GetOptions { if_none_match: tag, ..GetOptions::default() };
    world.get(None).await.unwrap();
    world.asked();
    world.store.get_opts(&path(), matching).await.unwrap();
    let error = world.store.get_opts(&path(), not_matching).await.unwrap_err();
    assert!(matches!(error, Error::NotModified { .. }), "{error}");
    assert_eq!(world.asked(), 2);
    let empty = world.get(Some(GetRange::Bounded(5..5))).await;
    assert_eq!(empty.is_err(), world.below.get_range(&path(), 5..5).await.is_err());
}

#[tokio::test]
async fn errors_are_told_to_all_who_wait_and_not_kept() {
    let world = World::new(SMALL, 10_000).await;
    let slow_and_gone = Path::parse(path().as_ref().replace("1.parquet", "2.parquet")).unwrap();
    let reads = (0..3).map(|_| world.store.get_range(&slow_and_gone, 0..10));
    for read in futures::future::join_all(reads).await {
        let error = read.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("2.parquet"), "{error}");
    }
    world.asked();
    world.faults.add(Fault::next(Operation::Get, Action::ErrorBefore));
    assert!(world.range(0..10).await.unwrap_err().to_string().contains("injected"));
    assert_eq!(world.range(0..10).await.unwrap(), content(10));
    assert_eq!(world.asked(), 2);
    world.below.put(&slow_and_gone, "now it is there".into()).await.unwrap();
    assert_eq!(world.store.get_range(&slow_and_gone, 0..3).await.unwrap(), "now");
}

#[tokio::test]
async fn what_the_store_answers_short_is_an_error_and_not_kept() {
    let world = World::new(SMALL, 10_000).await;
    world.faults.add(Fault::next(Operation::Get, Action::ShortBody(2_500)));
    let error = world.range(0..4_000).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("ended 1500 bytes early"), "{error}");
    // What had come whole is kept, and only that.
    assert_eq!(world.asked(), 1);
    assert_eq!(world.range(0..2_000).await.unwrap(), content(2_000));
    assert_eq!(world.asked(), 0);
    assert_eq!(world.range(0..4_000).await.unwrap(), content(4_000));
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_reader_that_goes_away_takes_nothing_from_others() {
    let world = World::new(SMALL, 10_000).await;
    world.faults.add(Fault::next(Operation::Get, Action::Latency(Duration::from_millis(100))));
    let store = Arc::clone(&world.store);
    let first = tokio::spawn(async move { store.get_range(&path(), 0..10).await });
    until(|| !world.faults.calls().is_empty()).await;
    let second = world.range(0..10);
    first.abort();
    assert_eq!(second.await.unwrap(), content(10));
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_data_file_that_changes_its_size_is_an_error_once() {
    let world = World::new(SMALL, 3_000).await;
    world.range(0..2_000).await.unwrap();
    world.below.put(&path(), PutPayload::from(vec![7; 2_500])).await.unwrap();
    let error = world.range(0..3_000).await.unwrap_err();
    assert!(error.to_string().contains("had 3000 bytes and now has 2500: data files never change"), "{error}");
    assert_eq!(world.get(None).await.unwrap(), vec![7; 2_500]);
}

#[tokio::test]
async fn blocks_that_leave_memory_are_found_on_disk() {
    let world = World::new(ON_DISK, 200_000).await;
    let all = content(200_000);
    assert_eq!(world.get(None).await.unwrap(), all);
    world.cache.blocks.storage().wait().await;
    world.asked();
    assert_eq!(world.get(None).await.unwrap(), all);
    let counts = world.cache.counts();
    assert!(counts.disk_hits() >= 150, "{counts:?}");
    assert_eq!(counts.misses(), 200, "{counts:?}");
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_reader_is_told_how_many_of_its_bytes_were_here() {
    let world = World::new(SMALL, 10_000).await;
    let tally = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let told = || tally.load(Ordering::Relaxed);
    tallied(&tally, world.range(500..2_500)).await.unwrap();
    assert_eq!(told(), 0);
    // Two blocks are here, three come.
    tallied(&tally, world.range(1_900..5_100)).await.unwrap();
    assert_eq!(told(), 1_100);
    let ranges = [0..100, 9_000..9_100];
    tallied(&tally, world.store.get_ranges(&path(), &ranges)).await.unwrap();
    assert_eq!(told(), 1_200);
    tallied(&tally, async { world.get(Some(GetRange::Bounded(0..3_000))).await }).await.unwrap();
    assert_eq!(told(), 4_200);

    let world = World::new(ON_DISK, 200_000).await;
    tallied(&tally, world.get(None)).await.unwrap();
    assert_eq!(told(), 4_200);
    world.cache.blocks.storage().wait().await;
    tallied(&tally, world.get(None)).await.unwrap();
    assert_eq!(told(), 204_200);
}

#[tokio::test]
async fn the_disk_holds_no_more_than_it_may() {
    let world = World::new(ON_DISK, 100_000).await;
    for file in 0..60 {
        let at = Path::parse(path().as_ref().replace("000001.1", &format!("{file:06}.1"))).unwrap();
        world.below.put(&at, content(100_000).into()).await.unwrap();
        assert!(world.store.get(&at).await.unwrap().bytes().await.unwrap() == content(100_000));
        world.cache.blocks.storage().wait().await;
    }
    let sizes: Vec<u64> = world.files().iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    assert_eq!((sizes.len(), sizes.iter().sum::<u64>()), (64, 4 << 20));
    // 60 files of 100 blocks of a page each are more than that.
    let before = world.cache.counts().misses();
    let first = Path::parse(path().as_ref().replace("000001.1", "000000.1")).unwrap();
    assert!(world.store.get(&first).await.unwrap().bytes().await.unwrap() == content(100_000));
    assert!(world.cache.counts().misses() > before);
}

#[tokio::test]
async fn damage_on_disk_costs_a_request_and_nothing_else() {
    let world = World::new(ON_DISK, 200_000).await;
    world.get(None).await.unwrap();
    world.cache.blocks.storage().wait().await;
    world.asked();
    for file in world.files() {
        let length = fs::metadata(&file).unwrap().len() as usize;
        fs::write(&file, vec![0x55; length]).unwrap();
    }
    assert!(world.get(None).await.unwrap() == content(200_000));
    assert!(world.asked() > 0);
}

#[tokio::test]
async fn a_failing_disk_costs_requests_and_nothing_else() {
    let world = World::new(ON_DISK, 200_000).await;
    world.get(None).await.unwrap();
    world.cache.blocks.storage().wait().await;
    world.asked();
    for file in world.files() {
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    }
    assert!(world.get(None).await.unwrap() == content(200_000));
    assert!(world.asked() > 0);
    assert!(world.cache.counts().disk_errors() > 0);
}

#[tokio::test]
async fn a_full_volume_keeps_blocks_in_memory_only() {
    let folder = tempfile::tempdir().unwrap();
    let counts = Arc::new(CacheCounts::default());
    let room = disk::Room::new(folder.path(), u64::MAX, Arc::clone(&counts));
    let blocks = disk::open(folder.path(), 4 << 20, ON_DISK, room).await.unwrap();
    let key = |index| BlockKey { object: "a".into(), index };
    for index in 0..100 {
        blocks.insert(key(index), Block(content(1_000)));
    }
    blocks.storage().wait().await;
    assert!(counts.rejected() > 0);
    assert!(blocks.get(&key(0)).await.unwrap().is_none());
    assert!(blocks.get(&key(99)).await.unwrap().is_some());
    assert_eq!(blocks.statistics().disk_write_bytes(), 0);
}

#[tokio::test]
async fn each_cache_has_a_folder_of_its_own_and_the_dead_ones_go() {
    let all = tempfile::tempdir().unwrap();
    let settings = CacheSettings { folder: all.path().join("deep/er"), bytes_max: Some(1 << 20) };
    let open = || ReadCache::with_shape(&settings, &SystemIds, SMALL);
    let folders = || files_in(&settings.folder).into_iter().filter(|path| path.is_dir()).count();
    let first = open().await.unwrap();
    fs::create_dir(settings.folder.join("dead")).unwrap();
    fs::write(settings.folder.join("dead/foyer-storage-direct-fs-00000000"), "left").unwrap();
    let second = open().await.unwrap();
    assert_ne!(first.folder.path(), second.folder.path());
    assert_eq!(folders(), 2);
    drop((first, second));
    assert_eq!(folders(), 0);
    assert!(
        ReadCache::open(&CacheSettings { bytes_max: Some(0), ..settings.clone() }, &SystemIds).await.unwrap().is_none()
    );
    let usual =
        ReadCache::open(&CacheSettings { bytes_max: None, ..settings.clone() }, &SystemIds).await.unwrap().unwrap();
    assert!((CacheSettings::BYTES_MIN..=32 << 30).contains(&usual.bytes_max()));
    assert!(usual.files() <= 512);
}

impl ReadCache {
    fn files(&self) -> usize {
        files_in(self.folder.path()).len() - 1
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let settings = CacheSettings { folder: file.join("cache"), bytes_max: None };
    let error = ReadCache::open(&settings, &SystemIds).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("file/cache") && text.contains("GIGAPI_CACHE_BYTES_MAX=0"), "{text}");
}

#[tokio::test]
async fn the_front_of_layers_reads_through_the_cache_what_is_not_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let settings = CacheSettings { folder: folder.path().join("cache"), bytes_max: Some(4 << 20) };
    let cache = ReadCache::with_shape(&settings, &SystemIds, SMALL).await.unwrap();
    let hot = crate::LayerSettings::folder(LayerName::new("hot").unwrap(), &folder.path().join("hot"));
    let hot = crate::Layer::open(&hot, &SystemIds).unwrap();
    let faults = Faults::new();
    let store = FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults));
    let cold = crate::Layer::over(LayerName::new("cold").unwrap(), Arc::new(store));
    for layer in [&hot, &cold] {
        layer.store.put(&path(), content(1_500).into()).await.unwrap();
    }
    let layers = crate::Layers::new(vec![hot, cold]).unwrap();
    assert!(layers.any_remote());
    let front = layers.cached_front(&cache);
    for layer in ["hot", "cold", "hot", "cold"] {
        let at = Path::parse(format!("{layer}/{}", path())).unwrap();
        let found = front.get_opts(&at, GetOptions::default()).await.unwrap();
        assert_eq!(found.meta.location, at);
        assert_eq!(found.bytes().await.unwrap(), content(1_500));
    }
    assert_eq!(faults.calls().iter().filter(|(operation, _)| *operation == Operation::Get).count(), 2);
    assert_eq!(cache.counts().misses(), 2);
    let listed: Vec<_> = front.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
}
