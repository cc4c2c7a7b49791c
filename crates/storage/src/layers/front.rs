//! All layers as one store, for readers.
//!
//! A path is `<layer>/<object path>`; the first segment picks the store. Queries register this one store, so a
//! plan names files of several layers alike. It is read only: whoever writes or deletes knows the layer.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use gigapi_model::LayerName;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::{Layer, Layers};

/// All layers as one read-only store.
#[derive(Debug)]
pub struct LayeredStore {
    layers: Layers,
}

impl LayeredStore {
    /// Reads from these layers.
    pub fn new(layers: Layers) -> Self {
        Self { layers }
    }

    /// The path in this store of an object that lies at `path` below `layer`.
    pub fn path(layer: &LayerName, path: &Path) -> Path {
        prefixed(layer, path)
    }

    fn route(&self, location: &Path) -> Result<(&Layer, Path)> {
        let (name, rest) = location.as_ref().split_once('/').unwrap_or((location.as_ref(), ""));
        let layer = self.layers.iter().find(|layer| layer.name.as_str() == name).ok_or_else(|| Error::NotFound {
            path: location.to_string(),
            source: format!("there is no layer {name:?}; paths start with the layer's name").into(),
        })?;
        Ok((layer, Path::parse(rest)?))
    }

    fn refused(operation: &str) -> Error {
        Error::NotSupported {
            source: format!("{operation} through the front of all layers: use the layer's own store").into(),
        }
    }
}

fn prefixed(layer: &LayerName, path: &Path) -> Path {
    Path::parse(format!("{layer}/{path}")).expect("a layer name is a plain segment and the rest was a path before")
}

fn with_prefix(layer: &LayerName, mut meta: ObjectMeta) -> ObjectMeta {
    meta.location = prefixed(layer, &meta.location);
    meta
}

impl fmt::Display for LayeredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LayeredStore")
    }
}

#[async_trait]
impl ObjectStore for LayeredStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(Self::refused("writing"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Self::refused("writing"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (layer, path) = self.route(location)?;
        let mut result = layer.store.get_opts(&path, options).await?;
        result.meta.location = location.clone();
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (layer, path) = self.route(location)?;
        layer.store.get_ranges(&path, ranges).await
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(Self::refused("deleting")) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let Some(prefix) = prefix.filter(|prefix| !prefix.as_ref().is_empty()) else {
            let lists: Vec<_> = self.layers.iter().map(|layer| list_layer(layer, None)).collect();
            return stream::iter(lists).flatten().boxed();
        };
        match self.route(prefix) {
            Ok((layer, path)) => list_layer(layer, Some(&path)),
            // A prefix that holds nothing is an empty list in every store.
            Err(Error::NotFound { .. }) => stream::empty().boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let empty = || ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        let Some(prefix) = prefix.filter(|prefix| !prefix.as_ref().is_empty()) else {
            let common_prefixes = self.layers.iter().map(|layer| Path::from(layer.name.as_str())).collect();
            return Ok(ListResult { common_prefixes, objects: Vec::new() });
        };
        let (layer, path) = match self.route(prefix) {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(empty()),
            Err(error) => return Err(error),
        };
        let found = layer.store.list_with_delimiter(Some(&path)).await?;
        Ok(ListResult {
            common_prefixes: found.common_prefixes.iter().map(|path| prefixed(&layer.name, path)).collect(),
            objects: found.objects.into_iter().map(|meta| with_prefix(&layer.name, meta)).collect(),
        })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Self::refused("copying"))
    }
}

fn list_layer(layer: &Layer, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    let name = layer.name.clone();
    layer.store.list(prefix).map(move |meta| meta.map(|meta| with_prefix(&name, meta))).boxed()
}
