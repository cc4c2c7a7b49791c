//! The handles that all parts of a process share, opened from settings.
//!
//! Settings are data, components are handles: a part gets a clone of [`Components`] and opens nothing by
//! itself. Opening does not repair: a catalog that has to be rebuilt is recovery's work, which is why layers
//! can be claimed in a step of their own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gigapi_catalog::{Catalog, EmbeddedCatalog, RedisCatalog, RedisOptions};
use gigapi_model::{CatalogId, Clock, Ids, SystemClock, SystemIds};
use gigapi_storage::{LayerKind, LayeredStore, Layers, OWN_FOLDER, ReadCache};

use crate::settings::Settings;
use crate::{Error, Metrics, Readiness, Result, storage_metrics};

/// What a process has of its own, before it reaches catalog and layers.
#[derive(Debug, Clone)]
pub(crate) struct Essentials {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

impl Essentials {
    pub(crate) fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { metrics: Metrics::new(Arc::clone(&clock)), readiness: Readiness::new(), clock, ids }
    }

    /// With the system's clock and identities.
    pub(crate) fn of_process() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemIds))
    }
}

/// The shared handles of a process. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Components {
    /// Which tables and files exist.
    pub catalog: Arc<dyn Catalog>,
    /// Where files lie.
    pub layers: Arc<Layers>,
    /// What is kept of files that are not on this machine, where the process reads such files.
    pub cache: Option<Arc<ReadCache>>,
    /// The process's clock.
    pub clock: Arc<dyn Clock>,
    /// Mints identities.
    pub ids: Arc<dyn Ids>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the process should get traffic.
    pub readiness: Readiness,
}

impl Components {
    /// From handles that are open already, with metrics and readiness of their own.
    pub fn new(catalog: Arc<dyn Catalog>, layers: Arc<Layers>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self::over(catalog, layers, Essentials::new(clock, ids))
    }

    fn over(catalog: Arc<dyn Catalog>, layers: Arc<Layers>, own: Essentials) -> Self {
        let Essentials { clock, ids, metrics, readiness } = own;
        storage_metrics::register_layers(&metrics, &layers);
        Self { catalog, layers, cache: None, clock, ids, metrics, readiness }
    }

    /// All layers as one read-only store, for queries.
    pub fn front(&self) -> Arc<LayeredStore> {
        match &self.cache {
            Some(cache) => self.layers.cached_front(cache),
            None => self.layers.front(),
        }
    }

    /// Opens catalog and layers and makes the layers the catalog's.
    ///
    /// Fails with [`gigapi_storage::Error::ForeignLayer`] if a layer belongs to another catalog.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let this = Self::open_unclaimed(settings).await?;
        this.claim_layers(this.catalog.epochs().await?.catalog).await?;
        Ok(this)
    }

    /// As [`Self::open`], but leaves the layers' markers as they are, so that recovery can look at them first.
    pub async fn open_unclaimed(settings: &Settings) -> Result<Self> {
        Self::open_with(settings, Essentials::of_process()).await
    }

    /// As [`Self::open_unclaimed`], for a process that is up already. It may be dropped half-way, and be called again
    /// if the catalog was not reached.
    pub(crate) async fn open_with(settings: &Settings, own: Essentials) -> Result<Self> {
        let settings = settings.clone();
        let (opening_clock, opening_ids) = (Arc::clone(&own.clock), Arc::clone(&own.ids));
        let shared: Option<Arc<RedisCatalog>> = match &settings.metadata.redis {
            None => None,
            Some(url) => {
                let options = RedisOptions {
                    accept_unsafe: settings.metadata.accept_unsafe,
                    response_timeout: settings.metadata.timeout,
                    connection_timeout: settings.metadata.timeout,
                    ..RedisOptions::default()
                };
                let limits = catalog_limits(&settings);
                Some(Arc::new(RedisCatalog::open(url.expose(), &options, Arc::clone(&own.ids), limits).await?))
            }
        };
        let cache_settings = settings.mode.reads().then(|| settings.cache.clone());
        let redis = shared.clone();
        // Both make folders and sync them, which may take seconds on a busy disk.
        let opened = tokio::task::spawn_blocking(move || {
            make_folders(&settings)?;
            let layers = Layers::open(&settings.layers, opening_ids.as_ref())?;
            let catalog = match shared {
                Some(catalog) => catalog,
                None => open_embedded(&settings, opening_clock, opening_ids)?,
            };
            Ok::<_, Error>((catalog, layers))
        });
        let (catalog, layers) = opened.await.map_err(|error| Error::Interrupted { reason: error.to_string() })??;
        let mut this = Self::over(catalog, Arc::new(layers), own);
        if let Some(settings) = cache_settings.filter(|_| this.layers.any_remote()) {
            this.cache = ReadCache::open(&settings, this.ids.as_ref()).await?;
        }
        if let Some(redis) = &redis {
            storage_metrics::register_redis(&this.metrics, redis);
        }
        if let Some(cache) = &this.cache {
            storage_metrics::register_cache(&this.metrics, cache);
            tracing::info!(?cache, "files in S3 are cached on this machine's disk");
        }
        Ok(this)
    }

    /// Makes all layers the catalog's; repeating it changes nothing.
    pub async fn claim_layers(&self, catalog: CatalogId) -> Result<()> {
        self.layers.claim(catalog).await?;
        for layer in self.layers.iter() {
            if let Some(found) = layer.original().await? {
                tracing::warn!(
                    layer = %layer.name,
                    database = found.database,
                    table = found.table,
                    evidence = %found.evidence.display(),
                    "the layer's folder holds data of the original GigAPI, which is left alone and not served: import its files, or use another folder"
                );
            }
        }
        Ok(())
    }
}

fn open_embedded(settings: &Settings, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Result<Arc<dyn Catalog>> {
    let folder = &settings.metadata.folder;
    make_folder(folder, "GIGAPI_ROOT")?;
    Ok(Arc::new(EmbeddedCatalog::open(folder, clock, ids, catalog_limits(settings))?))
}

/// Makes the folders of this machine that the settings name, before anything relies on one.
fn make_folders(settings: &Settings) -> Result<()> {
    if settings.mode.reads() || settings.mode.writes() {
        make_folder(&settings.root.join(OWN_FOLDER), "GIGAPI_ROOT")?;
    }
    for (index, layer) in settings.layers.iter().enumerate() {
        if layer.kind == LayerKind::Fs {
            make_folder(&layer.root()?, &format!("GIGAPI_LAYERS_{index}_URL"))?;
        }
    }
    Ok(())
}

/// Makes a folder and whatever is above it, and sees whether files can be made in it; the error names who may not, and
/// `setting`, which moves the folder.
pub fn make_folder(folder: &Path, setting: &str) -> Result<()> {
    let failed = |source| Error::Folder {
        path: folder.display().to_string(),
        user: user(),
        setting: setting.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    match tempfile::Builder::new().prefix(".writable-").tempfile_in(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            Err(failed(error))
        }
        // Whatever else is wrong, as a disk that is full, is told by whoever writes more than nothing.
        _ => Ok(()),
    }
}

/// The user and group that the process runs as.
fn user() -> String {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    format!("{}:{}", user.as_raw(), group.as_raw())
}

fn catalog_limits(settings: &Settings) -> gigapi_catalog::Limits {
    let limits = &settings.limits;
    gigapi_catalog::Limits {
        databases_max: limits.databases_max,
        tables_per_database_max: limits.tables_max,
        columns_max: limits.columns_max,
        grace: settings.metadata.delete_grace,
        ..gigapi_catalog::Limits::default()
    }
}

#[cfg(test)]
mod tests;
