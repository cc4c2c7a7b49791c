//! A store whose data files are read through the cache.
//!
//! What is asked for becomes whole blocks and is cut out of them again. Only plain reads of data files take that
//! way: heads of our own objects may change, and a condition or a version is for the store to judge.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use gigapi_model::LayerName;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::ReadCache;
use super::assembly::{Assembly, overlap};
use super::disk::Block;
use super::reader::{NOTHING, Reader};
use super::tally::Origins;
use crate::FilePath;

/// How this store calls itself in errors.
pub(super) const NAME: &str = "ReadCache";

/// Runs that a read holds at once; it works on two such windows.
const WINDOW_RUNS: usize = 4;

/// A store whose data files are read through the cache.
#[derive(Debug)]
pub(super) struct CachedStore {
    cache: Arc<ReadCache>,
    layer: LayerName,
    inner: Arc<dyn ObjectStore>,
}

impl CachedStore {
    pub(super) fn new(cache: Arc<ReadCache>, layer: &LayerName, inner: Arc<dyn ObjectStore>) -> Self {
        Self { cache, layer: layer.clone(), inner }
    }

    /// A reader of the object, if it is a data file.
    fn reader(&self, path: &Path) -> Option<Reader> {
        FilePath::parse(path)?;
        Some(Reader {
            cache: Arc::clone(&self.cache),
            store: Arc::clone(&self.inner),
            path: path.clone(),
            object: format!("{}/{path}", self.layer).into(),
            origins: Origins::default(),
            brought: NOTHING,
        })
    }
}

/// Whether the answer depends on nothing but the object's bytes.
fn is_plain(options: &GetOptions) -> bool {
    let GetOptions { if_match, if_none_match, if_modified_since, if_unmodified_since, version, range, .. } = options;
    let empty = matches!(range, Some(GetRange::Bounded(range)) if range.start >= range.end);
    if_match.is_none()
        && if_none_match.is_none()
        && if_modified_since.is_none()
        && if_unmodified_since.is_none()
        && version.is_none()
        && !empty
}

impl Reader {
    async fn get(mut self, range: Option<GetRange>) -> Result<GetResult> {
        let meta = match &range {
            Some(GetRange::Bounded(range)) => self.meta_from(self.blocks_of(range)).await?,
            Some(GetRange::Offset(start)) => self.meta_from(self.blocks_of(&(*start..start + 1))).await?,
            Some(GetRange::Suffix(_)) | None => self.meta().await?,
        };
        let range = self.clip(range.as_ref(), &meta)?;
        self.cache.counts.add(&self.cache.counts.served_bytes, range.end - range.start);
        let mut windows = self.windows(&range).into_iter();
        let first = match windows.next() {
            // Errors of short reads come at once, not from the stream.
            Some(window) => self.slices(&window, &range).await?,
            None => Vec::new(),
        };
        let rest = stream::iter(windows).map({
            let range = range.clone();
            move |window| {
                let (reader, range) = (self.clone(), range.clone());
                async move { reader.slices(&window, &range).await }
            }
        });
        let slices = stream::once(async { Ok(first) }).chain(rest.buffered(1));
        let bytes = slices.map_ok(|slices| stream::iter(slices).map(Ok)).try_flatten();
        Ok(GetResult {
            payload: GetResultPayload::Stream(bytes.boxed()),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_head(self) -> Result<GetResult> {
        let meta = self.meta().await?;
        let payload = GetResultPayload::Stream(stream::empty().boxed());
        Ok(GetResult { payload, range: 0..meta.size, meta, attributes: Attributes::default() })
    }

    async fn get_ranges(mut self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(first) = ranges.iter().min_by_key(|range| range.start) else { return Ok(Vec::new()) };
        let meta = self.meta_from(self.blocks_of(first)).await?;
        let clip = |range: &Range<u64>| self.clip(Some(&GetRange::Bounded(range.clone())), &meta);
        let ranges = ranges.iter().map(clip).collect::<Result<Vec<_>>>()?;
        let bytes = ranges.iter().map(|range| range.end - range.start).sum();
        self.cache.counts.add(&self.cache.counts.served_bytes, bytes);
        let mut indices: Vec<u32> = ranges.iter().flat_map(|range| self.blocks_of(range)).collect();
        indices.sort_unstable();
        indices.dedup();
        let mut assemblies: Vec<Assembly> = ranges.iter().cloned().map(Assembly::new).collect();
        let mut windows = std::pin::pin!(self.read_windows(indices));
        while let Some((indices, blocks)) = windows.try_next().await? {
            for (index, Block(block)) in indices.iter().zip(&blocks) {
                let start = self.range_of(*index).start;
                let end = start + block.len() as u64;
                for (assembly, range) in assemblies.iter_mut().zip(&ranges) {
                    assembly.add(start, block);
                    self.origins.count(*index, &(range.start.max(start)..range.end.min(end)));
                }
            }
        }
        let whole = |assembly: Assembly| assembly.whole().ok_or_else(|| self.wrong("blocks are missing".to_owned()));
        assemblies.into_iter().map(whole).collect()
    }

    /// Blocks in order, window by window; the next window is read while this one is used.
    fn read_windows(&self, indices: Vec<u32>) -> impl Stream<Item = Result<(Vec<u32>, Vec<Block>)>> {
        let windows: Vec<Vec<u32>> = indices.chunks(self.window()).map(<[u32]>::to_vec).collect();
        let reader = self.clone();
        let read = move |window: Vec<u32>| {
            let reader = reader.clone();
            async move {
                let blocks = reader.blocks(&window).await?;
                Ok((window, blocks))
            }
        };
        stream::iter(windows).map(read).buffered(2)
    }

    fn window(&self) -> usize {
        self.cache.shape.run_blocks * WINDOW_RUNS
    }

    fn windows(&self, range: &Range<u64>) -> Vec<Vec<u32>> {
        if range.is_empty() {
            return Vec::new();
        }
        let indices: Vec<u32> = self.blocks_of(range).collect();
        indices.chunks(self.window()).map(<[u32]>::to_vec).collect()
    }

    /// What the blocks hold of the range, all of it.
    async fn slices(&self, indices: &[u32], range: &Range<u64>) -> Result<Vec<Bytes>> {
        let blocks = self.blocks(indices).await?;
        let mut slices = Vec::with_capacity(blocks.len());
        for (index, Block(block)) in indices.iter().zip(&blocks) {
            let place = self.range_of(*index);
            let wanted = range.start.max(place.start)..range.end.min(place.end);
            self.origins.count(*index, &wanted);
            let slice = overlap(&wanted, place.start, block);
            let slice = slice.filter(|slice| slice.len() as u64 == wanted.end - wanted.start);
            slices.push(slice.ok_or_else(|| self.wrong(format!("block {index} is short")))?);
        }
        Ok(slices)
    }

    fn clip(&self, range: Option<&GetRange>, meta: &ObjectMeta) -> Result<Range<u64>> {
        match range {
            Some(range) => range.as_range(meta.size).map_err(|error| self.wrong(error.to_string())),
            None => Ok(0..meta.size),
        }
    }
}

impl fmt::Display for CachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for CachedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.reader(location).filter(|_| is_plain(&options)) {
            None => self.inner.get_opts(location, options).await,
            Some(reader) if options.head => reader.get_head().await,
            Some(reader) => reader.get(options.range).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let whole = ranges.iter().all(|range| range.start < range.end);
        match self.reader(location).filter(|_| whole) {
            None => self.inner.get_ranges(location, ranges).await,
            Some(reader) => reader.get_ranges(ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
