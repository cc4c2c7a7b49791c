//! What is known of the tables that strays name: from the catalog, and from checkpoints.
//!
//! Apart from the walk because it is asked again before each batch. A checkpoint is read once in a run, and of
//! what it names only the strays are remembered, so memory does not follow the size of the tables.

use std::collections::{HashMap, HashSet};

use gigapi_catalog::TableState;
use gigapi_model::{ErrorKind, FileId, LayerName, TableId};

use super::{Run, Stray, TableFacts};
use crate::checkpoint::{CheckpointName, names_of};
use crate::{Error, Result, read_checkpoint};

/// Which strays checkpoints name, and which checkpoints have been read for that.
#[derive(Debug, Clone, Default)]
pub(super) struct Checkpointed {
    read: HashSet<(LayerName, CheckpointName)>,
    named: HashSet<(LayerName, FileId)>,
}

impl Run<'_> {
    /// What became of these tables.
    pub(super) async fn tables(
        &self,
        tables: &HashSet<TableId>,
        strays: &[Stray],
        checkpointed: &mut Checkpointed,
    ) -> Result<HashMap<TableId, TableFacts>> {
        let mut facts = HashMap::with_capacity(tables.len());
        for table in tables {
            facts.insert(*table, self.table(*table, strays, checkpointed).await?);
        }
        Ok(facts)
    }

    async fn table(&self, table: TableId, strays: &[Stray], checkpointed: &mut Checkpointed) -> Result<TableFacts> {
        if self.is_dropped(table).await? {
            return Ok(TableFacts::Dropped);
        }
        let is_live = matches!(self.catalog.table_state(table).await?, TableState::Live(_));
        // A live table with a tombstone, or one that was dropped without: the next rebuild sees it otherwise.
        if !is_live || self.dropped.contains(&table) {
            return Ok(TableFacts::Unclear);
        }
        // Claims first: one that ends with its commit meanwhile shows in the snapshot.
        let claimed = self.catalog.claimed(table).await?;
        let Some(snapshot) = self.snapshot(table).await? else { return Ok(TableFacts::Unclear) };
        self.read_checkpoints(table, strays, checkpointed).await?;
        let bytes = snapshot.files.iter().map(|file| file.bytes).sum();
        Ok(TableFacts::Live {
            bytes,
            watermarks: snapshot.watermarks,
            claimed,
            checkpointed: checkpointed.named.clone(),
        })
    }

    /// Reads the table's checkpoints that have not been read.
    async fn read_checkpoints(&self, table: TableId, strays: &[Stray], known: &mut Checkpointed) -> Result<()> {
        let wanted: HashSet<FileId> = strays.iter().map(|stray| stray.path.id).collect();
        for layer in self.layers.iter() {
            for name in names_of(layer, table).await? {
                if known.read.contains(&(layer.name.clone(), name)) {
                    continue;
                }
                match read_checkpoint(layer, self.epochs.catalog, name).await {
                    Ok(export) => {
                        let files = export.files.into_iter().filter(|new| wanted.contains(&new.file.id));
                        known.named.extend(files.map(|new| (new.file.layer, new.file.id)));
                    }
                    // Superseded since it was listed: a later one is there.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    // A rebuild passes over it too.
                    Err(Error::Object { .. }) => {}
                    Err(error) => return Err(error),
                }
                known.read.insert((layer.name.clone(), name));
            }
        }
        Ok(())
    }
}
