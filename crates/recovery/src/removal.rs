//! How objects are removed: in small batches, each after a last look, and what is cleared away behind them.
//!
//! Shared by whoever deletes buried files and whoever sweeps orphans. A list of objects is made at one moment and worked
//! off later, so before each batch the catalog is looked at again and the layer is asked whether a rebuild has begun.
//! Which objects may go is never decided here.

use std::collections::BTreeSet;

use futures::StreamExt;
use gigapi_catalog::{Catalog, Epochs};
use gigapi_model::{Bucket, DatabaseName, TableName};
use gigapi_storage::{FilePath, Layer, Layers, bucket_folder};
use object_store::path::Path;

use crate::{Result, overtaking};

/// Objects that go after one look: what S3 takes in one request, and few enough elsewhere that the look is not old.
pub const BATCH_OBJECTS_MAX: usize = 1_000;

/// What a bucket's folder may hold beside data files, and goes with the last of them.
const LEFTOVERS: &[&str] = &["metadata.json"];

/// Called where a crash would show most; the name says where.
pub type Probe<'a> = &'a (dyn Fn(&'static str) + Sync);

/// A probe for those who need none.
pub const NO_PROBE: Probe<'static> = &|_| {};

/// An object that should have gone and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRemoved {
    /// Its layer and path.
    pub what: String,
    /// What the store said.
    pub why: String,
}

/// Why nothing may be removed any more by a list that was made under these epochs, if so.
///
/// The layer is asked last: if there is no marker of the next epoch now, then whoever takes that epoch later looks at
/// the layers later still.
pub(crate) async fn interruption(catalog: &dyn Catalog, layers: &Layers, made: &Epochs) -> Result<Option<String>> {
    let now = catalog.epochs().await?;
    if (now.catalog, now.epoch) != (made.catalog, made.epoch) {
        return Ok(Some(format!(
            "the catalog is at epoch {} and was at {} when the list was made",
            now.epoch, made.epoch
        )));
    }
    let Some(later) = overtaking(layers, made.epoch).await? else { return Ok(None) };
    catalog.overtaken(later).await?;
    Ok(Some(format!("a rebuild has taken epoch {later}, the catalog is at epoch {}", made.epoch)))
}

/// Removes objects of a layer. One answer per path, in order: why it is still there, or nothing. One that was gone
/// already counts as removed.
pub(crate) async fn remove(layer: &Layer, paths: &[Path]) -> Vec<Option<String>> {
    let locations = futures::stream::iter(paths.to_vec()).map(Ok).boxed();
    let answers: Vec<_> = layer.store.delete_stream(locations).collect().await;
    let why = |answer: &object_store::Result<Path>| match answer {
        Ok(_) | Err(object_store::Error::NotFound { .. }) => None,
        Err(error) => Some(error.to_string()),
    };
    if answers.len() == paths.len() {
        return answers.iter().map(why).collect();
    }
    // A request that failed as a whole has one answer for all its objects: which of them are gone is not known.
    let reason = answers.iter().find_map(why).unwrap_or_else(|| "the store did not answer for each object".to_owned());
    vec![Some(reason); paths.len()]
}

/// Bytes of these objects, where asking costs next to nothing: on a folder of this machine.
pub(crate) async fn known_bytes(layer: &Layer, path: &Path) -> u64 {
    use object_store::ObjectStoreExt;
    match layer.local {
        Some(_) => layer.store.head(path).await.map_or(0, |object| object.size),
        None => 0,
    }
}

/// Removes the folders of these files' buckets where the catalog knows no live and no buried file in them and nothing
/// is in them, or nothing but a document for other readers. Does nothing on layers that have no folders.
pub(crate) async fn clear_folders(catalog: &dyn Catalog, layer: &Layer, files: &[FilePath]) -> Result<usize> {
    let Some(local) = &layer.local else { return Ok(0) };
    let buckets: BTreeSet<(&DatabaseName, &TableName, Path)> = files
        .iter()
        .map(|file| (&file.database, &file.table, bucket_folder(&file.database, &file.table, file.bucket)))
        .collect();
    // Documents of the original's own data are not ours to remove.
    let leftovers = if layer.original().await?.is_some() { &[] } else { LEFTOVERS };
    let buried: BTreeSet<String> = catalog
        .graveyard()
        .await?
        .into_iter()
        .filter(|grave| grave.layer == layer.name)
        .filter_map(|grave| Some(grave.path.rsplit_once('/')?.0.to_owned()))
        .collect();
    let mut empty = Vec::new();
    for (database, table, folder) in buckets {
        let Some(bucket) = bucket_of(files, &folder) else { continue };
        if !buried.contains(folder.as_ref()) && !has_live(catalog, layer, (database, table), bucket).await? {
            empty.push(folder);
        }
    }
    Ok(local.remove_empty_folders(empty, leftovers).await?)
}

fn bucket_of(files: &[FilePath], folder: &Path) -> Option<Bucket> {
    let in_it = |file: &&FilePath| bucket_folder(&file.database, &file.table, file.bucket) == *folder;
    files.iter().find(in_it).map(|file| file.bucket)
}

async fn has_live(
    catalog: &dyn Catalog,
    layer: &Layer,
    (database, table): (&DatabaseName, &TableName),
    bucket: Bucket,
) -> Result<bool> {
    let Some(table) = catalog.table(database, table).await? else { return Ok(false) };
    match catalog.snapshot(table.id, bucket.range()).await {
        Ok(snapshot) => Ok(snapshot.files.iter().any(|file| file.bucket == bucket && file.layer == layer.name)),
        // Dropped since it was named.
        Err(gigapi_catalog::Error::Dropped { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
