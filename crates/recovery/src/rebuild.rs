//! Restoring an empty catalog from the layers: look, plan, take an epoch, write checkpoints, restore.
//!
//! Checkpoints under the new epoch are written before the catalog opens, so that an output of the lost epoch that
//! turns up later can never be taken for a live file. A rebuild that is cut short is started again from the
//! beginning: until the last step the catalog stays empty, and the last step is atomic.

use gigapi_catalog::{Catalog, Restore, TableExport};
use gigapi_model::CatalogId;
use gigapi_storage::Layers;

use crate::{Error, Result, epoch, plan, survey, write_checkpoints};

/// What a rebuild did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildReport {
    /// The identity that the catalog has again.
    pub catalog: CatalogId,
    /// The epoch that began.
    pub epoch: u64,
    /// Live tables.
    pub tables: usize,
    /// Live files.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Data files of this catalog that are not live; they stay where they are.
    pub orphans: usize,
    /// Parquet objects of others, left alone.
    pub foreign: usize,
}

/// Restores the catalog that owns the layers into `catalog`, which has to be empty.
///
/// Nobody may write to the layers meanwhile. Nothing is deleted. Errors leave the catalog as it was.
pub async fn rebuild(catalog: &dyn Catalog, layers: &Layers) -> Result<RebuildReport> {
    let owner = common_owner(layers).await?;
    let tables = catalog.live_tables().await?.len();
    if tables > 0 {
        return Err(gigapi_catalog::Error::NotEmpty { tables }.into());
    }
    let sighting = survey::look(layers, owner).await?;
    let (seen, foreign, survey) = (sighting.epoch, sighting.foreign, sighting.survey);
    let planned = tokio::task::spawn_blocking(move || plan(&survey)).await;
    let planned = planned.map_err(|error| Error::Interrupted { reason: error.to_string() })??;

    let seen = seen.max(catalog.epochs().await?.epoch);
    let epoch = epoch::take(layers.first(), owner, seen).await?;
    let tables: Vec<TableExport> = planned.tables.into_iter().map(|table| TableExport { epoch, ..table }).collect();
    write_checkpoints(layers.first(), owner, tables.clone()).await?;
    let report = RebuildReport {
        catalog: owner,
        epoch,
        tables: tables.len(),
        files: tables.iter().map(|table| table.files.len()).sum(),
        rows: tables.iter().flat_map(|table| &table.files).map(|new| new.file.rows).sum(),
        orphans: planned.orphans.len(),
        foreign,
    };
    catalog.restore(Restore { catalog: owner, epoch, tables, dropped: planned.dropped }).await?;
    tracing::info!(?report, "the catalog was rebuilt");
    Ok(report)
}

/// The catalog that all marked layers name.
async fn common_owner(layers: &Layers) -> Result<CatalogId> {
    let mut common = None;
    for layer in layers.iter() {
        let Some(found) = layer.owner().await? else { continue };
        let other = *common.get_or_insert(found);
        if other != found {
            return Err(Error::MixedLayers { layer: layer.name.to_string(), found, other });
        }
    }
    common.ok_or(Error::NoMarker)
}

#[cfg(test)]
mod tests;
