//! Where blocks are kept: foyer's cache of memory and disk.
//!
//! The disk's part is a fixed number of files of one size, written from the front and evicted whole; what is still
//! asked for when its file is due is written again. Entries carry checksums: damaged ones count as absent. The
//! volume is shared with the log and with data, so nothing is written where it would run full.

use std::hash::Hash;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use foyer::{
    BlockEngineConfig, Code, DeviceBuilder, ErrorKind, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCachePolicy, LruConfig, PsyncIoEngineConfig, RecoverMode, Spawner, Statistics, StorageFilter,
    StorageFilterCondition, StorageFilterResult,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::{CacheCounts, CacheSettings, Shape};

pub(super) type Blocks = HybridCache<BlockKey, Block>;

/// Files that the disk's part is cut into at most, because each stays open.
const REGIONS_MAX: u64 = 512;

/// An entry's place within its file has 32 bits.
const REGION_BYTES_MAX: u64 = 1 << 30;

/// What the volume's free space may fall to.
const RESERVE_BYTES_MAX: u64 = 1 << 30;

/// How often the volume's free space is looked at.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// The cache takes this at most if nobody says otherwise.
const SHARE_BYTES_MAX: u64 = 32 << 30;

/// Which block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BlockKey {
    /// The layer's name and the path below it.
    pub(super) object: Arc<str>,
    pub(super) index: u32,
}

/// A block's bytes; only an object's last block is short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block(pub(super) Bytes);

fn write(writer: &mut impl Write, bytes: &[u8]) -> foyer::Result<()> {
    u32::try_from(bytes.len()).map_err(|_| foyer::Error::new(ErrorKind::OutOfRange, "too long"))?.encode(writer)?;
    writer.write_all(bytes).map_err(foyer::Error::io_error)
}

fn read(reader: &mut impl Read) -> foyer::Result<Vec<u8>> {
    let length = u32::decode(reader)?;
    let mut bytes = Vec::with_capacity(length as usize);
    reader.take(u64::from(length)).read_to_end(&mut bytes).map_err(foyer::Error::io_error)?;
    match bytes.len() == length as usize {
        true => Ok(bytes),
        false => Err(foyer::Error::new(ErrorKind::OutOfRange, "cut short")),
    }
}

impl Code for BlockKey {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        self.index.encode(writer)?;
        write(writer, self.object.as_bytes())
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        let index = u32::decode(reader)?;
        let object = String::from_utf8(read(reader)?).map_err(|_| foyer::Error::new(ErrorKind::Parse, "no text"))?;
        Ok(Self { object: object.into(), index })
    }

    fn estimated_size(&self) -> usize {
        8 + self.object.len()
    }
}

impl Code for Block {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        write(writer, &self.0)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        Ok(Self(read(reader)?.into()))
    }

    fn estimated_size(&self) -> usize {
        4 + self.0.len()
    }
}

/// Where the disk's part works, for as long as the process lives.
///
/// Foyer starts tasks while it holds a lock that a refused task takes when it goes. On a runtime that shuts down it
/// would wait for itself, so it gets one that never does.
fn workers() -> std::io::Result<Handle> {
    static WORKERS: OnceLock<Runtime> = OnceLock::new();
    if let Some(workers) = WORKERS.get() {
        return Ok(workers.handle().clone());
    }
    let made = Builder::new_multi_thread().worker_threads(1).thread_name("read-cache").enable_all().build()?;
    // Of two that came at once the second goes again, unused.
    match WORKERS.set(made) {
        Ok(()) => {}
        Err(second) => second.shutdown_background(),
    }
    WORKERS.get().map(|workers| workers.handle().clone()).ok_or_else(|| std::io::Error::other("no runtime"))
}

/// Opens an empty cache in an empty folder.
pub(super) async fn open(folder: &Path, bytes_max: u64, shape: Shape, room: Room) -> foyer::Result<Blocks> {
    let region = (bytes_max / REGIONS_MAX).clamp(shape.region_bytes as u64, REGION_BYTES_MAX);
    let device = FsDeviceBuilder::new(folder).with_capacity(in_memory(bytes_max)).build()?;
    let engine = BlockEngineConfig::new(device)
        .with_block_size(in_memory(region))
        .with_buffer_pool_size(shape.queue_bytes)
        .with_submit_queue_size_threshold(shape.queue_bytes)
        .with_admission_filter(StorageFilter::new().with_condition(room));
    HybridCacheBuilder::new()
        .with_name("gigapi")
        // A block that leaves memory goes to disk unless it is there and has long to stay.
        .with_policy(HybridCachePolicy::WriteOnEviction)
        .with_flush_on_close(false)
        .memory(shape.memory_bytes)
        .with_eviction_config(LruConfig::default())
        .with_weighter(|key: &BlockKey, block: &Block| 64 + key.object.len() + block.0.len())
        .storage()
        .with_io_engine_config(PsyncIoEngineConfig::new())
        .with_engine_config(engine)
        .with_recover_mode(RecoverMode::None)
        .with_spawner(Spawner::from(workers().map_err(foyer::Error::io_error)?))
        .build()
        // It tells of recovering nothing.
        .with_subscriber(NoSubscriber::default())
        .await
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A volume's space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume {
    free: u64,
    total: u64,
}

impl Volume {
    /// What the cache takes of it: a tenth of what is free.
    pub(super) fn share(self) -> u64 {
        (self.free / 10).clamp(CacheSettings::BYTES_MIN, SHARE_BYTES_MAX)
    }

    /// What the cache leaves free for others.
    pub(super) fn reserve(self) -> u64 {
        (self.total / 20).min(RESERVE_BYTES_MAX)
    }
}

pub(super) fn volume(folder: &Path) -> std::io::Result<Volume> {
    let found = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Volume { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

/// Lets blocks onto the disk while there is room on it.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    reserve: u64,
    /// When it was last looked, and whether there was room.
    seen: Mutex<Option<(Instant, bool)>>,
    warned: AtomicBool,
    counts: Arc<CacheCounts>,
}

impl Room {
    pub(super) fn new(folder: &Path, reserve: u64, counts: Arc<CacheCounts>) -> Self {
        Self { folder: folder.to_owned(), reserve, seen: Mutex::default(), warned: AtomicBool::new(false), counts }
    }

    fn is_there(&self) -> bool {
        let mut seen = self.seen.lock();
        if let Some((at, there)) = *seen
            && at.elapsed() < ROOM_INTERVAL
        {
            return there;
        }
        // A volume that does not tell is left alone.
        let there = volume(&self.folder).is_ok_and(|volume| volume.free > self.reserve);
        *seen = Some((Instant::now(), there));
        there
    }
}

impl StorageFilterCondition for Room {
    fn filter(&self, _: &Arc<Statistics>, _: u64, _: usize) -> StorageFilterResult {
        if self.is_there() {
            return StorageFilterResult::Admit;
        }
        self.counts.add(&self.counts.rejected, 1);
        if !self.warned.swap(true, Ordering::Relaxed) {
            let folder = self.folder.display();
            tracing::warn!(%folder, "the volume of the read cache is nearly full; what is read is kept in memory only until there is room");
        }
        StorageFilterResult::Reject
    }
}
