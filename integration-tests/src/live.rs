//! The live data files of a table as the catalog lists them, past the processes under test.
//!
//! Only to be asked while the catalog is there: one that is lost would be made anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use gigapi_catalog::{Catalog, EmbeddedCatalog, Limits};
use gigapi_model::{DataFile, DatabaseName, LayerName, SystemClock, SystemIds, TableName, TimeRange};
use gigapi_storage::FilePath;

/// A live file and where it lies.
#[derive(Debug, Clone)]
pub struct LiveFile {
    /// What the catalog says of it.
    pub file: Arc<DataFile>,
    /// Its object.
    pub path: PathBuf,
}

/// A table's files, oldest commit first.
pub(crate) async fn live_files(
    catalog: &dyn Catalog,
    database: &str,
    table: &str,
    folder: impl Fn(&LayerName) -> PathBuf,
) -> Result<Vec<LiveFile>> {
    let (database, table) = (DatabaseName::new(database)?, TableName::new(table)?);
    let definition = catalog.table(&database, &table).await?.context("the catalog knows no such table")?;
    let snapshot = catalog.snapshot(definition.id, TimeRange::ALL).await?;
    let live = |file: &Arc<DataFile>| {
        let path = folder(&file.layer).join(FilePath::of(&snapshot.table, file).to_string());
        LiveFile { file: Arc::clone(file), path }
    };
    let mut files: Vec<LiveFile> = snapshot.files.iter().map(live).collect();
    files.sort_by_key(|live| (live.file.sequence.hi, live.file.sequence.lo, live.file.id));
    Ok(files)
}

/// The embedded catalog of a root, opened beside whoever else has it open.
#[derive(Debug)]
pub struct Embedded {
    catalog: EmbeddedCatalog,
    layers: Vec<(String, PathBuf)>,
}

impl Embedded {
    /// The catalog of that root, whose only layer is the root itself.
    pub fn open(root: &Path) -> Result<Self> {
        Self::with_layers(root, &[("default", root)])
    }

    /// The catalog of that root, with these layers in folders.
    pub fn with_layers(root: &Path, layers: &[(&str, &Path)]) -> Result<Self> {
        let folder = root.join("_gigapi").join("catalog");
        anyhow::ensure!(folder.is_dir(), "{} holds no catalog", root.display());
        let catalog = EmbeddedCatalog::open(&folder, Arc::new(SystemClock), Arc::new(SystemIds), Limits::default())?;
        let layers = layers.iter().map(|(name, folder)| ((*name).to_owned(), (*folder).to_owned())).collect();
        Ok(Self { catalog, layers })
    }

    /// The live files of a table, oldest commit first.
    pub async fn live_files(&self, database: &str, table: &str) -> Result<Vec<LiveFile>> {
        let folder = |layer: &LayerName| {
            let known = self.layers.iter().find(|(name, _)| name == layer.as_str());
            known.map_or_else(|| PathBuf::from(layer.as_str()), |(_, folder)| folder.clone())
        };
        live_files(&self.catalog, database, table, folder).await
    }

    /// Removed files that wait to be deleted.
    pub async fn graves(&self) -> Result<usize> {
        Ok(self.catalog.graveyard().await?.len())
    }
}
