//! What is written beside data files: checkpoints of tables, and tombstones of those that are dropped.
//!
//! Taking a checkpoint and writing it are two steps, and so are the two halves of a drop: the catalog and a layer
//! share no moment.

use gigapi_model::TableId;
use gigapi_recovery::CheckpointName;

use crate::events::Event;
use crate::protections::Protection;
use crate::random::short;
use crate::world::World;

impl World {
    /// Some writer takes a checkpoint of a table; it is written later.
    pub(crate) fn export(&mut self) {
        if self.writers.iter().all(|writer| writer.session.is_none()) {
            return;
        }
        let tables = self.store.live_tables();
        let Some(index) = self.random.index(tables.len()) else { return };
        let Ok(mut export) = self.store.export(tables[index].id) else { return };
        if !self.holds(Protection::OneMoment)
            && let Some(before) = self.layers.newest_checkpoints().get(&export.table.id)
        {
            export.watermarks.clone_from(&before.watermarks);
        }
        self.exports.push_back(export);
        if self.random.chance(70) {
            self.checkpoint();
        }
    }

    /// Writes a checkpoint that was taken before.
    pub(crate) fn checkpoint(&mut self) {
        let Some(export) = self.exports.pop_front() else { return };
        let name = CheckpointName::of(&export);
        let table = short(name.table.uuid());
        self.note(|| format!("checkpoint {}-{} of table {table} is written", name.epoch, name.version));
        self.layers.write_checkpoint(export);
        self.count(Event::Checkpointed);
    }

    /// The first half of a drop; the second may never come.
    pub(crate) fn drop_table(&mut self) {
        if self.recovering {
            return;
        }
        let tables = self.store.live_tables();
        let Some(index) = self.random.index(tables.len()) else { return };
        let table = tables[index].clone();
        self.doomed.insert(table.id);
        self.note(|| format!("table {} is to be dropped", short(table.id.uuid())));
        if self.holds(Protection::TombstoneFirst) {
            self.entomb(table.id);
        } else {
            self.drop_now(table.id);
        }
        self.half_drops.push(table);
        if self.random.chance(70) {
            self.finish_drop();
        }
    }

    fn entomb(&mut self, table: TableId) {
        if self.holds(Protection::Tombstone) {
            self.layers.tombstones.insert(table);
        }
    }

    fn drop_now(&mut self, table: TableId) {
        let answer = self.store.drop_table(table);
        self.note(|| format!("table {} is dropped: {answer:?}", short(table.uuid())));
        if answer.is_ok() && !self.recovering {
            self.count(Event::Dropped);
            // Whoever dies before the tombstone says so, as one of five does, has told nobody that the table is gone.
            if !table.uuid().as_u128().is_multiple_of(5) {
                self.layers.done.insert(table);
                self.dropped.insert(table);
            }
        }
    }

    fn finish_drop(&mut self) {
        let Some(table) = self.half_drops.pop() else { return };
        if self.holds(Protection::TombstoneFirst) {
            self.drop_now(table.id);
        } else {
            self.entomb(table.id);
        }
    }

    /// Drops that were begun are finished, or their process is gone and the next one finds the tombstone.
    pub(crate) fn follow_drop(&mut self) {
        if self.random.chance(30) {
            self.half_drops.clear();
        }
        self.finish_drop();
        if self.recovering {
            return;
        }
        for table in self.layers.tombstones.clone() {
            // One that was done and is live again tells of a rollback.
            if self.store.live(table).is_some() && !self.layers.done.contains(&table) {
                self.drop_now(table);
            }
        }
    }
}
