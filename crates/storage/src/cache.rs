//! A cache on local disk for layers that are not on this machine.
//!
//! Data files never change, so what was read once can be kept: in blocks of one size, in a little memory and on
//! disk, bounded, for as long as the process lives. Readers of one block share one request, and neighbouring blocks
//! that are missing come in one. Everything that is not a data file passes through.
//!
//! Nothing here may make a read fail or answer other bytes than the store would: a disk that fails or is full
//! costs requests, what a store answers short is an error and not kept, and errors are kept never.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foyer::{Cache, CacheBuilder, Source};
use gigapi_model::{Ids, LayerName};
use object_store::{ObjectMeta, ObjectStore};

use crate::local::ProcessFolder;
use crate::{Error, Result};

mod assembly;
mod counts;
mod disk;
mod flights;
mod reader;
mod store;
mod tally;

pub use counts::CacheCounts;
use disk::{Block, BlockKey, Blocks};
use flights::Flights;
use reader::Landed;
use store::CachedStore;
pub use tally::tallied;

/// Objects whose sizes are remembered; about 300 bytes each.
const METAS_MAX: usize = 100_000;

/// How blocks are cut and kept.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Half a MiB: on average a range costs one block more than it needs. At the 50 to 90 MB/s of one connection to S3 that is
    /// 6 to 10 ms, less than the 20 to 50 ms until the first byte of another request, and most footers fit into one.
    block_bytes: usize,
    /// Blocks in one request at most.
    run_blocks: usize,
    /// Of one read.
    runs_at_once: usize,
    /// What is kept in memory: what several readers want within a moment. All else is the disk's.
    memory_bytes: usize,
    /// What the disk evicts at once, at least. Each takes a file.
    region_bytes: usize,
    /// What waits to be written to disk at most; above it blocks are not kept.
    queue_bytes: usize,
}

impl Shape {
    const USUAL: Self = Self {
        block_bytes: 512 << 10,
        run_blocks: 8,
        runs_at_once: 8,
        memory_bytes: 32 << 20,
        region_bytes: 16 << 20,
        queue_bytes: 8 << 20,
    };
}

/// What an operator says about the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// Where it lies. Each process has a folder of its own below it.
    pub folder: PathBuf,
    /// Bytes on disk; `Some(0)` is no cache, `None` follows the volume.
    pub bytes_max: Option<u64>,
}

impl CacheSettings {
    /// Less than this would hold too few files to be evicted one by one.
    pub const BYTES_MIN: u64 = 64 << 20;
}

/// A cache of blocks of data files, for any number of layers.
pub struct ReadCache {
    blocks: Blocks,
    metas: Cache<Arc<str>, ObjectMeta>,
    flights: Arc<Flights<BlockKey, Landed>>,
    heads: Arc<Flights<Arc<str>, ObjectMeta>>,
    counts: Arc<CacheCounts>,
    shape: Shape,
    bytes_max: u64,
    /// Whether a failing disk was told of.
    warned: AtomicBool,
    /// Goes last: the blocks lie in it.
    folder: ProcessFolder,
}

impl ReadCache {
    /// Opens an empty cache, in a folder that it does not share, and removes those of processes that are gone.
    ///
    /// `None` if the settings want none. The cache works on the runtime that opens it.
    pub async fn open(settings: &CacheSettings, ids: &dyn Ids) -> Result<Option<Arc<Self>>> {
        if settings.bytes_max == Some(0) {
            return Ok(None);
        }
        Self::with_shape(settings, ids, Shape::USUAL).await.map(Some)
    }

    async fn with_shape(settings: &CacheSettings, ids: &dyn Ids, shape: Shape) -> Result<Arc<Self>> {
        let failed = |source| Error::Cache { folder: settings.folder.display().to_string(), source };
        let folder = ProcessFolder::open(&settings.folder, ids).map_err(|error| failed(error.into()))?;
        let volume = disk::volume(folder.path()).map_err(|error| failed(error.into()))?;
        let bytes_max = settings.bytes_max.unwrap_or_else(|| volume.share());
        let counts = Arc::new(CacheCounts::default());
        let room = disk::Room::new(folder.path(), volume.reserve(), Arc::clone(&counts));
        let blocks = disk::open(folder.path(), bytes_max, shape, room).await.map_err(|error| failed(error.into()))?;
        let (flights, heads) = (Arc::default(), Arc::default());
        let metas = CacheBuilder::new(METAS_MAX).build();
        let warned = AtomicBool::new(false);
        Ok(Arc::new(Self { blocks, metas, flights, heads, counts, shape, bytes_max, warned, folder }))
    }

    /// The layer's store, read through this cache. Everything but reads of data files passes through.
    pub fn over(self: &Arc<Self>, layer: &LayerName, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(CachedStore::new(Arc::clone(self), layer, store))
    }

    /// What was read, and from where.
    pub fn counts(&self) -> &Arc<CacheCounts> {
        &self.counts
    }

    /// Bytes on disk at most.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The block, if it is in memory.
    fn in_memory(&self, key: &BlockKey) -> Option<Block> {
        Some(self.blocks.memory().get(key)?.value().clone())
    }

    /// The block, if it is anywhere here.
    async fn find(&self, key: &BlockKey) -> Option<Block> {
        match self.blocks.get(key).await {
            Ok(Some(entry)) => {
                let hits = match entry.source() {
                    Source::Disk => &self.counts.disk_hits,
                    Source::Memory | Source::Outer => &self.counts.memory_hits,
                };
                self.counts.add(hits, 1);
                Some(entry.value().clone())
            }
            Ok(None) => None,
            Err(error) => {
                self.counts.add(&self.counts.disk_errors, 1);
                if !self.warned.swap(true, Ordering::Relaxed) {
                    let folder = self.folder.path().display();
                    tracing::warn!(%folder, %error, "the read cache's disk fails; what it held is fetched again");
                }
                None
            }
        }
    }

    fn keep(&self, key: BlockKey, block: Block) {
        self.blocks.insert(key, block);
    }

    /// What is known of the object without asking its store.
    fn known(&self, object: &Arc<str>) -> Option<ObjectMeta> {
        self.metas.get(object).map(|entry| entry.value().clone())
    }

    /// Remembers an object's size. One that has changed is forgotten with all its blocks, and told as an error.
    fn learn(&self, object: &Arc<str>, meta: &ObjectMeta) -> object_store::Result<()> {
        let Some(known) = self.known(object).filter(|known| known.size != meta.size) else {
            self.metas.insert(Arc::clone(object), meta.clone());
            return Ok(());
        };
        self.metas.remove(object);
        for index in 0..=self.block_of(known.size.max(meta.size)) {
            self.blocks.remove(&BlockKey { object: Arc::clone(object), index });
        }
        let source = format!("{object} had {} bytes and now has {}: data files never change", known.size, meta.size);
        Err(object_store::Error::Generic { store: store::NAME, source: source.into() })
    }

    /// The block that holds the byte at this offset.
    fn block_of(&self, offset: u64) -> u32 {
        u32::try_from(offset / self.shape.block_bytes as u64).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for ReadCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadCache")
            .field("folder", &self.folder.path())
            .field("bytes_max", &self.bytes_max)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
