//! A folder of this machine as a durable object store.
//!
//! The stock local store of `object_store` never syncs, so what it acknowledged can be gone after a power loss.
//! Here a write goes to a temporary file in the same file system, is synced, renamed, and the folder is synced:
//! when a call returns, the object survives. Objects appear whole or not at all. Reads and lists are the stock
//! store's. No call overwrites bytes in place, and no list shows the temporary files.

use std::fmt;
use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use gigapi_model::Ids;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};
use tokio::runtime::Handle;

mod disk;
mod error;
mod folders;
mod process_folder;
mod temporary;
mod upload;

use disk::{Disk, Existing};
use error::DiskError;
pub use process_folder::ProcessFolder;

/// How this store calls itself in errors.
const NAME: &str = "DurableLocalStore";

/// Deletes that arrive together share the syncs of their folders.
const DELETES_PER_BATCH: usize = 512;

/// Counts disk syncs: of files, of folders and of whole file systems.
#[derive(Debug, Default)]
pub struct SyncCounter(AtomicU64);

impl SyncCounter {
    /// Syncs so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A folder of this machine as a durable object store.
#[derive(Debug)]
pub struct DurableLocalStore {
    disk: Arc<Disk>,
    reads: LocalFileSystem,
}

impl DurableLocalStore {
    /// Opens the folder, making it if need be, and removes temporary files of processes that are gone.
    ///
    /// Several processes may open one folder. Blocks on the disk: meant for the start of a process.
    pub fn open(root: &FsPath, ids: &dyn Ids) -> crate::Result<Arc<Self>> {
        let place = root.display().to_string();
        let failed = |source| crate::Error::from_store("opening", &place, &place, source);
        let disk = Disk::open(root, ids).map_err(|error| failed(error.into()))?;
        let reads = LocalFileSystem::new_with_prefix(root).map_err(failed)?;
        Ok(Arc::new(Self { disk: Arc::new(disk), reads }))
    }

    /// The folder.
    pub fn root(&self) -> &FsPath {
        self.disk.root()
    }

    /// The counter of this store's disk syncs.
    pub fn syncs(&self) -> &SyncCounter {
        self.disk.syncs()
    }

    /// An empty file in the store's file system that gets its name later. Blocks on the disk.
    pub(crate) fn stage(&self) -> crate::Result<LocalFile> {
        let place = self.root().display().to_string();
        let failed = |error: DiskError| crate::Error::from_store("creating", &place, &place, error.into());
        Ok(LocalFile { staged: self.disk.stage().map_err(failed)?, disk: Arc::clone(&self.disk) })
    }

    /// Writes many objects with few disk syncs; when it returns, all of them survive a power loss.
    ///
    /// Objects of the same path are replaced. Each appears whole or not at all, but the set is not atomic: after an
    /// error some may be there.
    pub async fn put_files(&self, files: Vec<(Path, Bytes)>) -> crate::Result<()> {
        let place = self.root().display().to_string();
        let named = files.first().map_or_else(String::new, |(path, _)| match files.len() {
            1 => path.to_string(),
            many => format!("{path} and {} more", many - 1),
        });
        let disk = Arc::clone(&self.disk);
        blocking(move || disk.put_many(&files))
            .await
            .map_err(|error| crate::Error::from_store("writing", &place, &named, error))
    }

    /// Removes folders that hold nothing, or nothing but files of these names, and those above them that are empty
    /// then; answers how many went. One that somebody puts an object into meanwhile stays or is made again.
    pub async fn remove_empty_folders(
        &self,
        folders: Vec<Path>,
        leftovers: &'static [&'static str],
    ) -> crate::Result<usize> {
        let place = self.root().display().to_string();
        let disk = Arc::clone(&self.disk);
        blocking(move || disk.remove_empty(&folders, leftovers))
            .await
            .map_err(|error| crate::Error::from_store("removing empty folders", &place, &place, error))
    }
}

/// A file of a local store that has no name yet; dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct LocalFile {
    disk: Arc<Disk>,
    staged: temporary::Staged,
}

impl LocalFile {
    pub(crate) fn file(&self) -> &std::fs::File {
        &self.staged.file
    }

    /// Gives the file its name; when it returns, the object survives a power loss.
    pub(crate) async fn publish(mut self, location: Path) -> crate::Result<()> {
        let (place, name) = (self.disk.root().display().to_string(), location.to_string());
        let named = blocking(move || {
            let target = self.disk.target(&location)?;
            self.disk.finish(&mut self.staged, &target, Existing::Replace)
        });
        named.await.map_err(|error| crate::Error::from_store("writing", &place, &name, error))
    }
}

impl fmt::Display for DurableLocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.root().display())
    }
}

/// All objects. At the root of a volume the file system keeps a folder of its own, which only root may read; a listing
/// that wants it would fail.
fn everything(reads: LocalFileSystem) -> BoxStream<'static, Result<ObjectMeta>> {
    let top = {
        let reads = reads.clone();
        async move { reads.list_with_delimiter(None).await }
    };
    let below = move |top: ListResult| {
        let folders = top.common_prefixes.into_iter().filter(|folder| folder.as_ref() != "lost+found");
        let folders: Vec<_> = folders.map(|folder| reads.list(Some(&folder))).collect();
        stream::iter(top.objects).map(Ok).chain(stream::iter(folders).flatten())
    };
    stream::once(top).map_ok(below).try_flatten().boxed()
}

#[async_trait]
impl ObjectStore for DurableLocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let existing = match options.mode {
            PutMode::Overwrite => Existing::Replace,
            PutMode::Create => Existing::Refuse,
            PutMode::Update(_) => return Err(not_implemented("put with PutMode::Update")),
        };
        if !options.attributes.is_empty() {
            return Err(not_implemented("put with attributes"));
        }
        let (disk, location) = (Arc::clone(&self.disk), location.clone());
        blocking(move || disk.put(&location, &payload, existing)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(not_implemented("put with attributes"));
        }
        let (disk, location) = (Arc::clone(&self.disk), location.clone());
        let upload = blocking(move || upload::Upload::start(disk, location)).await?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let disk = Arc::clone(&self.disk);
        locations
            .ready_chunks(DELETES_PER_BATCH)
            .then(move |batch| {
                let disk = Arc::clone(&disk);
                async move {
                    let done = blocking(move || Ok(disk.delete_many(batch))).await;
                    stream::iter(done.unwrap_or_else(|error| vec![Err(error)]))
                }
            })
            .flatten()
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = match prefix {
            Some(_) => self.reads.list(prefix),
            None => everything(self.reads.clone()),
        };
        listed.try_filter(|meta| std::future::ready(!temporary::hides(&meta.location))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.reads.list_with_delimiter(prefix).await?;
        found.common_prefixes.retain(|path| !temporary::hides(path));
        found.objects.retain(|meta| !temporary::hides(&meta.location));
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let existing = match options.mode {
            CopyMode::Overwrite => Existing::Replace,
            CopyMode::Create => Existing::Refuse,
        };
        let (disk, from, to) = (Arc::clone(&self.disk), from.clone(), to.clone());
        blocking(move || disk.copy(&from, &to, existing)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let existing = match options.target_mode {
            RenameTargetMode::Overwrite => Existing::Replace,
            RenameTargetMode::Create => Existing::Refuse,
        };
        let (disk, from, to) = (Arc::clone(&self.disk), from.clone(), to.clone());
        blocking(move || disk.rename(&from, &to, existing)).await
    }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: NAME.to_owned() }
}

/// Runs `work` where it may block: on the runtime's blocking threads, or right here outside of a runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests;
