//! Deletes the objects of buried files whose time has come, and tells the catalog that they are gone.
//!
//! Apart from the rule (`graves`), because this is the half that acts: a few objects of one layer at a time, each time
//! after a fresh look at the catalog and at the layer. It must never delete what a query still reads, what a rebuild
//! could need, or what lies at a buried file's path and is live again. It may be killed at any moment: an object that is
//! gone already counts as deleted, and a grave is forgotten only afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};

use gigapi_catalog::{Catalog, Epochs, Grave};
use gigapi_model::{FileId, LayerName, TableId, TimeRange};
use gigapi_storage::{FilePath, Layer, Layers};
use object_store::path::Path;

use crate::checkpointer::Batch;
use crate::graves::{Covered, covered, is_deletable};
use crate::removal::{self, BATCH_OBJECTS_MAX, NotRemoved, Probe};
use crate::{Result, write_checkpoints};

/// How much one call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Objects that one call deletes at most, so that whoever calls it comes to other work.
    pub objects_max: usize,
}

impl Default for DeleteOptions {
    fn default() -> Self {
        Self { objects_max: 10_000 }
    }
}

/// What a call did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Objects that are gone and forgotten.
    pub objects: usize,
    /// Bytes of those of them that lay in folders of this machine; elsewhere asking would cost a request each.
    pub bytes: u64,
    /// Bucket folders that went with their last file, and empty ones above them.
    pub folders: usize,
    /// Graves whose time has come but not the checkpoint that lets them go ([`checkpoint_buried`] writes it), or, for a
    /// dropped table, the tombstone.
    pub waiting: usize,
    /// Graves on layers that this process does not know.
    pub elsewhere: usize,
    /// Graves that are left for the next call.
    pub left: usize,
    /// Objects that could not be deleted; they stay buried.
    pub failed: Vec<NotRemoved>,
    /// Why the call ended before its work was done. Nothing is deleted after that.
    pub interrupted: Option<String>,
}

/// Deletes what is due and covered. An error means that nothing was deleted; later ones are in the answer.
pub async fn delete_graves(
    catalog: &dyn Catalog,
    layers: &Layers,
    options: &DeleteOptions,
    probe: Probe<'_>,
) -> Result<Deleted> {
    let epochs = catalog.epochs().await?;
    let mut deleted = Deleted::default();
    let due = catalog.graves().await?;
    if due.is_empty() {
        return Ok(deleted);
    }
    let covered = covered(layers, epochs.epoch).await?;
    let mut by_layer: BTreeMap<&LayerName, Vec<Grave>> = BTreeMap::new();
    for grave in &due {
        if layers.get(&grave.layer).is_none() {
            deleted.elsewhere += 1;
        } else if !is_deletable(grave, &covered.checkpoints, &covered.dropped) {
            deleted.waiting += 1;
        } else {
            by_layer.entry(&grave.layer).or_default().push(grave.clone());
        }
    }
    deleted.interrupted = removal::interruption(catalog, layers, &epochs).await?;
    let mut room = options.objects_max;
    let run = Run { catalog, layers, epochs, covered, probe };
    for (name, graves) in by_layer {
        let Some(layer) = layers.get(name) else { continue };
        for batch in graves.chunks(BATCH_OBJECTS_MAX) {
            if deleted.interrupted.is_some() || room == 0 {
                deleted.left += batch.len();
                continue;
            }
            let (now, later) = batch.split_at(batch.len().min(room));
            (room, deleted.left) = (room - now.len(), deleted.left + later.len());
            if let Err(error) = run.delete(layer, now, &mut deleted).await {
                deleted.interrupted = Some(error.to_string());
            }
        }
    }
    Ok(deleted)
}

struct Run<'a> {
    catalog: &'a dyn Catalog,
    layers: &'a Layers,
    /// When the list was made.
    epochs: Epochs,
    covered: Covered,
    probe: Probe<'a>,
}

impl Run<'_> {
    /// Deletes one batch and has it forgotten.
    async fn delete(&self, layer: &Layer, batch: &[Grave], deleted: &mut Deleted) -> Result<()> {
        let mut places: Vec<(&Grave, FilePath, Path)> = Vec::with_capacity(batch.len());
        let still = self.still_buried(batch).await?;
        for grave in batch.iter().filter(|grave| still.contains(&grave.file)) {
            match place(grave) {
                Some((file, path)) => places.push((grave, file, path)),
                None => deleted.failed.push(NotRemoved {
                    what: format!("{}: {}", layer.name, grave.path),
                    why: "the grave names an object that is no data file of its own; it is left alone".to_owned(),
                }),
            }
        }
        let paths: Vec<Path> = places.iter().map(|(.., path)| path.clone()).collect();
        let mut bytes = Vec::with_capacity(paths.len());
        for path in &paths {
            bytes.push(removal::known_bytes(layer, path).await);
        }
        if let Some(why) = removal::interruption(self.catalog, self.layers, &self.epochs).await? {
            deleted.interrupted = Some(why);
            return Ok(());
        }
        (self.probe)("delete:before-object");
        let answers = removal::remove(layer, &paths).await;
        (self.probe)("delete:after-object");
        let (mut gone, mut files) = (Vec::new(), Vec::new());
        for (((grave, file, path), bytes), answer) in places.into_iter().zip(bytes).zip(answers) {
            match answer {
                None => {
                    deleted.bytes += bytes;
                    gone.push(grave.clone());
                    files.push(file);
                }
                Some(why) => deleted.failed.push(NotRemoved { what: format!("{}: {path}", layer.name), why }),
            }
        }
        // Graves of another epoch are others, whatever their names.
        if self.catalog.epochs().await?.epoch == self.epochs.epoch && !gone.is_empty() {
            (self.probe)("delete:before-forget");
            self.catalog.forget_graves(&gone).await?;
            deleted.objects += gone.len();
        }
        deleted.folders += removal::clear_folders(self.catalog, layer, &files).await?;
        Ok(())
    }

    /// The files of the batch whose objects nobody needs now: buried here, due, covered, and not live here again.
    async fn still_buried(&self, batch: &[Grave]) -> Result<HashSet<FileId>> {
        let due = self.catalog.graves().await?;
        let buried: HashMap<(FileId, &LayerName), &Grave> =
            due.iter().map(|grave| ((grave.file, &grave.layer), grave)).collect();
        let is_due = |grave: &&Grave| {
            let now = buried.get(&(grave.file, &grave.layer));
            now.is_some_and(|now| is_deletable(now, &self.covered.checkpoints, &self.covered.dropped))
        };
        let still: Vec<&Grave> = batch.iter().filter(is_due).collect();
        self.without_live(&still).await
    }

    /// The files of these graves, which lie on one layer, but those that live there.
    async fn without_live(&self, graves: &[&Grave]) -> Result<HashSet<FileId>> {
        let mut files: HashSet<FileId> = graves.iter().map(|grave| grave.file).collect();
        let mut spans: HashMap<TableId, TimeRange> = HashMap::new();
        for grave in graves {
            // A live file lies in the bucket that its path names, so no more of the table has to be looked at.
            if let Some((file, _)) = place(grave) {
                let (range, span) = (file.bucket.range(), spans.entry(grave.table).or_insert(file.bucket.range()));
                *span = TimeRange::new(span.min.min(range.min), span.max.max(range.max));
            }
        }
        for (table, span) in spans {
            match self.catalog.snapshot(table, span).await {
                Ok(snapshot) => {
                    let is_here = |layer: &LayerName| graves.first().is_some_and(|grave| grave.layer == *layer);
                    for file in snapshot.files.iter().filter(|file| is_here(&file.layer)) {
                        files.remove(&file.id);
                    }
                }
                Err(gigapi_catalog::Error::Dropped { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(files)
    }
}

/// Where a grave's object lies, if that is a place where the file of that id can lie.
fn place(grave: &Grave) -> Option<(FilePath, Path)> {
    let path = Path::parse(&grave.path).ok()?;
    let file = FilePath::parse(&path).filter(|file| file.id == grave.file)?;
    Some((file, path))
}

/// Writes checkpoints of the tables whose graves are due and wait for one; answers how many.
///
/// Whoever deletes calls it first: where no writer runs, nobody else writes them.
pub async fn checkpoint_buried(catalog: &dyn Catalog, layers: &Layers) -> Result<usize> {
    let epochs = catalog.epochs().await?;
    let due = catalog.graves().await?;
    if due.is_empty() {
        return Ok(0);
    }
    let covered = covered(layers, epochs.epoch).await?;
    let waiting = due.iter().filter(|grave| !is_deletable(grave, &covered.checkpoints, &covered.dropped));
    let tables: HashSet<TableId> = waiting.map(|grave| grave.table).collect();
    let (mut batch, mut written) = (Batch::default(), 0);
    for table in tables {
        match catalog.export(table).await {
            Ok(export) => batch.push(export),
            // Its files wait for its tombstone.
            Err(gigapi_catalog::Error::Dropped { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if batch.is_full() {
            written += write_checkpoints(layers.first(), epochs.catalog, batch.take()).await?.len();
        }
    }
    written += write_checkpoints(layers.first(), epochs.catalog, batch.take()).await?.len();
    Ok(written)
}

#[cfg(test)]
mod tests;
