//! Restoring a catalog from the layers: take an epoch, close the catalog, look, plan, write checkpoints, restore.
//!
//! The catalog is closed before the layers are looked at, so that nothing is committed that the look misses.
//! Checkpoints under the new epoch are written before the catalog opens, so that an output of the lost epoch that
//! turns up later can never be taken for a live file. A rebuild that is cut short is started again from the
//! beginning by whoever notices: until the last step the catalog stays closed, and the last step is atomic.

use std::convert::Infallible;
use std::time::Duration;

use gigapi_catalog::{Catalog, Restore, Standing, TableExport};
use gigapi_model::{CatalogId, LayerName};
use gigapi_storage::Layers;

use crate::{Error, Result, epoch, plan, survey, write_checkpoints};

/// The epoch in which a catalog is founded, for which no marker is taken.
const FIRST_EPOCH: u64 = 1;

/// How often whoever rebuilds lets others know that it does.
const HEARD_EVERY: Duration = Duration::from_secs(5);

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

/// Restores the catalog that owns the layers, in place of whatever `catalog` holds.
///
/// Every process may go on running: what it has not committed is refused until the end, and then told that a later
/// epoch began. Nothing is deleted. After an error the catalog stays closed, and the rebuild can be repeated.
pub async fn rebuild(catalog: &dyn Catalog, layers: &Layers) -> Result<RebuildReport> {
    let (layer, owner) = common_owner(layers).await?;
    refuse_foreign(catalog, &layer, owner).await?;
    let epoch = begin(catalog, layers, owner, 0).await?;
    let report = finish(catalog, layers, owner, epoch).await?;
    tracing::info!(?report, "the catalog was rebuilt");
    Ok(report)
}

/// Restores under an epoch that was begun, or under a later one where that turns out to be taken by nobody at work.
async fn finish(catalog: &dyn Catalog, layers: &Layers, owner: CatalogId, mut epoch: u64) -> Result<RebuildReport> {
    loop {
        let work = restore(catalog, layers, owner, epoch);
        let done = tokio::select! {
            done = work => done?,
            never = keep_heard(catalog, epoch) => match never {},
        };
        match done {
            Done::Restored(report) => return Ok(report),
            Done::Outdated { seen } => {
                // Whoever took a later epoch is at work: taking one beyond it would stop both, in turns.
                if matches!(catalog.standing().await?, Standing::Rebuilding { epoch: later, .. } if later > epoch) {
                    return Err(gigapi_catalog::Error::Superseded { epoch }.into());
                }
                epoch = begin(catalog, layers, owner, seen).await?;
            }
        }
    }
}

/// Takes an epoch above all that are known and closes the catalog for the older ones.
async fn begin(catalog: &dyn Catalog, layers: &Layers, owner: CatalogId, seen: u64) -> Result<u64> {
    let known = known_epoch(&catalog.standing().await?);
    let mut seen = seen.max(known).max(epoch::highest(layers).await?);
    loop {
        let epoch = epoch::take(layers.first(), owner, seen).await?;
        match catalog.begin_restore(epoch).await {
            Ok(()) => return Ok(epoch),
            Err(gigapi_catalog::Error::StaleEpoch { current, .. }) => seen = current.max(epoch),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The highest epoch that the catalog may have had. One that tells nothing may have been founded and lost again, with
/// writers and claims that go on knowing their first epoch.
fn known_epoch(standing: &Standing) -> u64 {
    match standing {
        Standing::Serving(epochs) => epochs.epoch,
        Standing::Rebuilding { epoch, .. } => *epoch,
        Standing::Unfounded | Standing::Lost { .. } | Standing::Foreign { .. } => FIRST_EPOCH,
    }
}

/// Lets others know that the rebuild goes on, for as long as it is the one that does.
async fn keep_heard(catalog: &dyn Catalog, epoch: u64) -> Infallible {
    loop {
        tokio::time::sleep(HEARD_EVERY).await;
        match catalog.begin_restore(epoch).await {
            // Restored by now, or superseded, which the restore is told.
            Err(gigapi_catalog::Error::StaleEpoch { .. }) => return std::future::pending().await,
            Err(error) => tracing::warn!(%error, "the rebuild could not be announced again"),
            Ok(()) => {}
        }
    }
}

enum Done {
    Restored(RebuildReport),
    Outdated { seen: u64 },
}

/// Looks, plans and restores under an epoch that was begun.
async fn restore(catalog: &dyn Catalog, layers: &Layers, owner: CatalogId, epoch: u64) -> Result<Done> {
    let sighting = survey::look(layers, owner).await?;
    // Whoever took a later epoch may write checkpoints under it, even if the catalog that it closed was lost again. And
    // what is of this epoch already comes from somebody else, whose marker is gone.
    if sighting.taken > epoch || sighting.remembered >= epoch {
        return Ok(Done::Outdated { seen: sighting.taken.max(sighting.remembered) });
    }
    let (foreign, survey) = (sighting.foreign, sighting.survey);
    let planned = tokio::task::spawn_blocking(move || plan(&survey)).await;
    let planned = planned.map_err(|error| Error::Interrupted { reason: error.to_string() })??;
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
    Ok(Done::Restored(report))
}

/// The catalog that all marked layers name, and the first of them.
async fn common_owner(layers: &Layers) -> Result<(LayerName, CatalogId)> {
    let mut common = None;
    for layer in layers.iter() {
        let Some(found) = layer.owner().await? else { continue };
        let (_, other) = common.get_or_insert((layer.name.clone(), found));
        if *other != found {
            return Err(Error::MixedLayers { layer: layer.name.to_string(), found, other: *other });
        }
    }
    common.ok_or(Error::NoMarker)
}

/// Refuses to put the layers' catalog in the place of another installation's, whose tables would be gone. One without
/// tables was founded by mistake over an empty store.
async fn refuse_foreign(catalog: &dyn Catalog, layer: &LayerName, owner: CatalogId) -> Result<()> {
    let own = match catalog.standing().await? {
        Standing::Serving(epochs) if epochs.catalog != owner => epochs.catalog,
        Standing::Foreign { found } => found,
        _ => return Ok(()),
    };
    // Tables of a catalog that is foreign to a process that knows better cannot be asked for: it is not rebuilt by itself.
    let has_tables = match catalog.live_tables().await {
        Ok(tables) => !tables.is_empty(),
        Err(error) if error.kind().is_transient() => true,
        Err(error) => return Err(error.into()),
    };
    if has_tables { Err(Error::ForeignLayer { layer: layer.to_string(), found: owner, own }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
