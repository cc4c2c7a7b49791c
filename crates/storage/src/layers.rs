//! The stack of storage layers, opened from settings.
//!
//! A layer is an object store with a name, a place in the order (new files go to the first) and a ttl. Opening
//! makes local folders durable stores; claiming writes the catalog's id to the layer once, so that two catalogs
//! never share it. Which files lie where is the catalog's knowledge: nothing here lists a layer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{CatalogId, Ids, LayerName};
use object_store::ObjectStore;
use url::Url;

use crate::{DurableLocalStore, Error, Result};

mod front;
mod marker;
mod original;

pub use front::LayeredStore;
pub use original::OriginalData;
use original::original_data;

/// What kind of store a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// A folder of this machine.
    Fs,
    /// A bucket that speaks S3.
    S3,
}

/// What an operator says about a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSettings {
    /// Its name.
    pub name: LayerName,
    /// What it is.
    pub kind: LayerKind,
    /// Where it is: a folder, as a path or a `file://` URL.
    pub url: String,
    /// Whether every process of the installation reaches it.
    pub global: bool,
    /// Rows whose own time is older than this leave the layer; never, if absent.
    pub ttl: Option<Duration>,
}

impl LayerSettings {
    /// A folder of this machine, not shared and without a ttl.
    pub fn folder(name: LayerName, root: &Path) -> Self {
        Self { name, kind: LayerKind::Fs, url: root.to_string_lossy().into_owned(), global: false, ttl: None }
    }

    /// The folder that a layer of kind `fs` is.
    fn root(&self) -> Result<PathBuf> {
        let refused = |reason: String| Error::Settings { layer: self.name.to_string(), reason };
        if self.kind == LayerKind::S3 {
            return Err(refused("type s3 is not supported by this version; use type fs with a folder as url".into()));
        }
        if self.url.is_empty() {
            return Err(refused("the url is empty; give a folder, as a path or as file:///path".into()));
        }
        if !self.url.contains("://") {
            return Ok(PathBuf::from(&self.url));
        }
        let url = Url::parse(&self.url).map_err(|error| refused(format!("the url cannot be read: {error}")))?;
        if url.scheme() != "file" {
            return Err(refused(format!("type fs takes a path or file:///path, not {}://", url.scheme())));
        }
        url.to_file_path().map_err(|()| refused("a file url has three slashes and no host: file:///path".into()))
    }
}

/// One open layer.
#[derive(Clone)]
pub struct Layer {
    /// Its name.
    pub name: LayerName,
    /// Its objects.
    pub store: Arc<dyn ObjectStore>,
    /// The same store, if it is a folder of this machine: writes batches and counts disk syncs.
    pub local: Option<Arc<DurableLocalStore>>,
    /// Whether every process of the installation reaches it.
    pub global: bool,
    /// Rows whose own time is older than this leave the layer; never, if absent.
    pub ttl: Option<Duration>,
}

impl Layer {
    /// Opens a layer; makes its folder. Blocks on the disk: meant for the start of a process.
    pub fn open(settings: &LayerSettings, ids: &dyn Ids) -> Result<Self> {
        let root = settings.root()?;
        let local = DurableLocalStore::open(&root, ids)?;
        Ok(Self {
            name: settings.name.clone(),
            store: local.clone(),
            local: Some(local),
            global: settings.global,
            ttl: settings.ttl,
        })
    }

    /// A layer over any store: memory, or a decorated one.
    pub fn over(name: LayerName, store: Arc<dyn ObjectStore>) -> Self {
        Self { name, store, local: None, global: false, ttl: None }
    }

    /// Makes the layer the catalog's, or refuses with [`Error::ForeignLayer`].
    ///
    /// The marker is created if it is absent, atomically: of two catalogs that race, one is refused.
    pub async fn claim(&self, catalog: CatalogId) -> Result<()> {
        marker::claim(self, catalog).await
    }

    /// Whose the layer is, if it carries a marker.
    pub async fn owner(&self) -> Result<Option<CatalogId>> {
        Ok(marker::read(self).await?.map(|marker| marker.catalog))
    }

    /// What gave away data of the original GigAPI in the folder when it was claimed: that data is left alone.
    pub async fn original(&self) -> Result<Option<OriginalData>> {
        Ok(marker::read(self).await?.and_then(|marker| marker.original))
    }

    /// Adds the layer's name to a store's error and tells a full disk from the rest.
    pub fn error(
        &self,
        operation: &'static str,
        path: &object_store::path::Path,
        source: object_store::Error,
    ) -> Error {
        Error::from_store(operation, &format!("layer {}", self.name), path.as_ref(), source)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("name", &self.name)
            .field("store", &self.store.to_string())
            .field("global", &self.global)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// All layers, in the order in which files move through them.
#[derive(Debug, Clone)]
pub struct Layers {
    first: Arc<Layer>,
    rest: Vec<Arc<Layer>>,
}

impl Layers {
    /// Opens every layer, in order. Blocks on the disk: meant for the start of a process.
    pub fn open(settings: &[LayerSettings], ids: &dyn Ids) -> Result<Self> {
        let layers = settings.iter().map(|settings| Layer::open(settings, ids)).collect::<Result<Vec<_>>>()?;
        Self::new(layers)
    }

    /// Layers that are open already; at least one, no name twice.
    pub fn new(layers: Vec<Layer>) -> Result<Self> {
        for (index, layer) in layers.iter().enumerate() {
            if layers[..index].iter().any(|earlier| earlier.name == layer.name) {
                let reason = "the name is used twice; give each layer its own".to_owned();
                return Err(Error::Settings { layer: layer.name.to_string(), reason });
            }
        }
        let mut layers = layers.into_iter().map(Arc::new);
        let first = layers.next().ok_or_else(|| Error::Settings {
            layer: "0".to_owned(),
            reason: "no layer is configured; set GIGAPI_ROOT or GIGAPI_LAYERS_0_URL".to_owned(),
        })?;
        Ok(Self { first, rest: layers.collect() })
    }

    /// The layer that new files go to.
    pub fn first(&self) -> &Arc<Layer> {
        &self.first
    }

    /// All layers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Layer>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The layer of that name.
    pub fn get(&self, name: &LayerName) -> Option<&Arc<Layer>> {
        self.iter().find(|layer| layer.name == *name)
    }

    /// The layer that files of `name` are relocated to.
    pub fn after(&self, name: &LayerName) -> Option<&Arc<Layer>> {
        self.iter().skip_while(|layer| layer.name != *name).nth(1)
    }

    /// Makes every layer the catalog's, or refuses with [`Error::ForeignLayer`].
    pub async fn claim(&self, catalog: CatalogId) -> Result<()> {
        for layer in self.iter() {
            layer.claim(catalog).await?;
        }
        Ok(())
    }

    /// All layers as one read-only store whose paths start with the layer's name.
    pub fn front(&self) -> Arc<LayeredStore> {
        Arc::new(LayeredStore::new(self.clone()))
    }

    /// Disk syncs of all local layers since they were opened.
    pub fn disk_syncs(&self) -> u64 {
        self.iter().filter_map(|layer| layer.local.as_ref()).map(|local| local.syncs().count()).sum()
    }
}

#[cfg(test)]
mod tests;
