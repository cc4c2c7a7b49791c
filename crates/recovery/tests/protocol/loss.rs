//! What can befall the catalog and its checkpoints: it is emptied, it is an older copy of itself, a checkpoint is
//! damaged. Whether a rollback is noticed by what the layers say is the product's own decision.

use std::sync::Arc;

use gigapi_catalog::TableState;
use gigapi_model::{TableDef, TableId};
use gigapi_recovery::{CatalogView, CheckpointName, Condition, LayersView, detect};

use crate::events::Event;
use crate::layers::layer_name;
use crate::protections::Protection;
use crate::store::Store;
use crate::world::World;

impl World {
    /// The catalog is empty.
    pub(crate) fn lose(&mut self) {
        self.remember_places();
        self.empty();
        self.recovering = true;
        self.count(Event::Lost);
        self.note(|| "the catalog is lost".to_owned());
    }

    pub(crate) fn remember_places(&mut self) {
        if !self.recovering {
            self.last_seen = self.store.live_tables().iter().map(|table| self.places(table.id)).collect();
        }
    }

    pub(crate) fn empty(&mut self) {
        let stream = self.new_stream();
        let store = Store::new(&self.clock, self.limits(), stream);
        let before = std::mem::replace(&mut self.store, store);
        self.dumps.push(before.history().clone());
    }

    /// The catalog is an older copy of itself. Where nothing was lost by it, nothing happens.
    pub(crate) fn roll_back(&mut self) {
        if self.recovering {
            return;
        }
        let current = self.store.history().clone();
        let of_before = self.random.chance(15);
        let history = match self.random.index(self.dumps.len()) {
            Some(index) if of_before => self.dumps[index].clone(),
            _ => current,
        };
        let recent = self.random.index(40).unwrap_or(0);
        let length = history.len();
        // Back to where a rebuild had closed it that sleeps since.
        let asleep = self.rebuilders.iter().filter_map(|rebuilder| history.closed_at(rebuilder.begun()?)).next();
        let calls = match asleep {
            Some(calls) if self.random.chance(50) => calls,
            _ => length.saturating_sub(1 + recent),
        };
        let stream = self.new_stream();
        let copy = Store::copy_of(&history, calls, &self.clock, self.limits(), stream);
        if !knows_less(&copy, &self.store) {
            return;
        }
        self.remember_places();
        let before = std::mem::replace(&mut self.store, copy);
        self.dumps.push(before.history().clone());
        let told_by_checkpoint = !matches!(self.condition(), Ok(Condition::Fresh | Condition::Healthy));
        let is_closed = self.store.rebuilding().is_some();
        self.recovering = told_by_checkpoint || is_closed || self.holds(Protection::ProcessesRemember);
        let noticed = self.recovering;
        self.count(if told_by_checkpoint { Event::RollbackTold } else { Event::RollbackRemembered });
        self.note(|| format!("the catalog is rolled back to call {calls} of {length}; noticed: {noticed}"));
    }

    /// How the catalog stands to the layers, by the product's own decision.
    fn condition(&self) -> gigapi_recovery::Result<Condition> {
        let epochs = self.store.epochs();
        let newest = self.layers.newest_checkpoints();
        let version = |table: TableId| match self.store.table_state(table) {
            TableState::Live(_) => Some((table, Some(self.store.snapshot(table).ok()?.version))),
            TableState::Dropped => Some((table, None)),
            TableState::Unknown => None,
        };
        let catalog = CatalogView {
            id: Some(epochs.catalog),
            epoch: epochs.epoch,
            tables: self.store.live_tables().len(),
            checkpointed: newest.keys().filter_map(|table| version(*table)).collect(),
        };
        let layers = LayersView {
            owners: vec![(layer_name(0), Some(self.owner))],
            checkpoints: newest.values().map(|export| CheckpointName::of(export)).collect(),
            dropped: self.layers.tombstones.iter().copied().collect(),
        };
        detect(&catalog, &layers)
    }

    /// The newest checkpoint of a table can be read no more.
    pub(crate) fn damage(&mut self) {
        let tables = self.store.live_tables();
        let Some(index) = self.random.index(tables.len()) else { return };
        if let Some(name) = self.layers.damage(tables[index].id) {
            self.damaged = true;
            self.count(Event::Damaged);
            self.note(|| format!("checkpoint {name} is damaged"));
        }
    }
}

/// Whether some table's version, or the end of some table, is unknown to the copy.
fn knows_less(copy: &Store, current: &Store) -> bool {
    let version = |store: &Store, table: TableId| store.snapshot(table).map_or(0, |snapshot| snapshot.version);
    let is_behind = |table: &Arc<TableDef>| {
        (copy.epochs().epoch, version(copy, table.id)) < (current.epochs().epoch, version(current, table.id))
    };
    let lives_on = |table: &Arc<TableDef>| matches!(current.table_state(table.id), TableState::Dropped);
    current.live_tables().iter().any(is_behind) || copy.live_tables().iter().any(lives_on)
}
