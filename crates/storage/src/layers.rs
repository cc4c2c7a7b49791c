//! The stack of storage layers, opened from settings.
//!
//! A layer is an object store with a name, a place in the order (new files go to the first) and a ttl. Opening
//! makes local folders durable stores; claiming writes the catalog's id to the layer once, so that two catalogs
//! never share it. Which files lie where is the catalog's knowledge: nothing here lists a layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{CatalogId, Ids, LayerName};
use object_store::ObjectStore;

use crate::{DurableLocalStore, Error, ReadCache, Result};

mod fetch;
mod front;
mod marker;
mod original;
mod s3;
mod settings;
mod staged;
mod upload;

pub use fetch::NotFetched;
pub use front::LayeredStore;
pub use original::OriginalData;
use original::original_data;
use s3::S3Store;
pub use s3::{AwsEnvironment, HiddenText, RequestCounts, S3Credentials, S3Location, S3Settings, S3Timing, UrlStyle};
pub use settings::{LayerKind, LayerSettings};
pub use staged::{Staged, Staging};
pub use upload::Uploaded;

/// One open layer.
#[derive(Clone)]
pub struct Layer {
    /// Its name.
    pub name: LayerName,
    /// Its objects.
    pub store: Arc<dyn ObjectStore>,
    /// The same store, if it is a folder of this machine: writes batches and counts disk syncs.
    pub local: Option<Arc<DurableLocalStore>>,
    /// What went over the wire, if the store speaks S3.
    pub requests: Option<Arc<RequestCounts>>,
    /// Whether every process of the installation reaches it.
    pub global: bool,
    /// Rows whose own time is older than this leave the layer; never, if absent.
    pub ttl: Option<Duration>,
}

impl Layer {
    /// Opens a layer: makes its folder, or a client that connects when it is used. Blocks on the disk: meant for
    /// the start of a process.
    pub fn open(settings: &LayerSettings, ids: &dyn Ids) -> Result<Self> {
        let layer = match &settings.kind {
            LayerKind::Fs => {
                let local = DurableLocalStore::open(&settings.root()?, ids)?;
                Self { local: Some(local.clone()), ..Self::over(settings.name.clone(), local) }
            }
            LayerKind::S3(s3) => {
                let (store, requests) = S3Store::open(&settings.name, &settings.url, s3)?;
                Self { requests: Some(requests), ..Self::over(settings.name.clone(), store) }
            }
        };
        Ok(Self { global: settings.global, ttl: settings.ttl, ..layer })
    }

    /// A layer over any store: memory, or a decorated one.
    pub fn over(name: LayerName, store: Arc<dyn ObjectStore>) -> Self {
        Self { name, store, local: None, requests: None, global: false, ttl: None }
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
        let layer = format!("layer {}", self.name);
        let what = if path.is_root() { layer.clone() } else { format!("{path} on {layer}") };
        Error::from_store(operation, &layer, &what, source)
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

    /// As [`Self::front`], where reads of layers that are not folders of this machine go through the cache.
    pub fn cached_front(&self, cache: &Arc<ReadCache>) -> Arc<LayeredStore> {
        let cached = |layer: &Arc<Layer>| match &layer.local {
            Some(_) => Arc::clone(layer),
            None => {
                let store = cache.over(&layer.name, Arc::clone(&layer.store));
                Arc::new(Layer { store, ..Layer::clone(layer) })
            }
        };
        let layers = Self { first: cached(&self.first), rest: self.rest.iter().map(cached).collect() };
        Arc::new(LayeredStore::new(layers))
    }

    /// Whether any layer is not a folder of this machine.
    pub fn any_remote(&self) -> bool {
        self.iter().any(|layer| layer.local.is_none())
    }

    /// Disk syncs of all local layers since they were opened.
    pub fn disk_syncs(&self) -> u64 {
        self.iter().filter_map(|layer| layer.local.as_ref()).map(|local| local.syncs().count()).sum()
    }
}

#[cfg(test)]
mod tests;
