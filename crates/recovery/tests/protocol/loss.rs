//! What can befall the catalog and its checkpoints: it is emptied, it is an older copy of itself, a checkpoint is
//! damaged. Whether a rollback is noticed by what the layers say is the product's own decision.

use std::collections::{BTreeMap, HashMap};
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
        self.unnoticed = None;
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
        // What nobody remembers was not long ago, or a checkpoint would tell.
        let is_forgotten = self.random.chance(40);
        let recent = self.random.index(if is_forgotten { 8 } else { 40 }).unwrap_or(0);
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
        self.unnoticed = None;
        self.note(|| format!("the catalog is rolled back to call {calls} of {length}"));
        if is_forgotten {
            self.everybody_dies();
        }
        let is_told = self.is_told();
        let is_closed = self.store.rebuilding().is_some();
        if is_forgotten {
            // Whoever starts looks at the layers first.
            self.recovering = is_told || is_closed;
            if !self.recovering {
                self.count(Event::RollbackForgotten);
                self.note(|| "nobody knows".to_owned());
                self.unnoticed = Some((0..self.writers.len()).collect());
            }
        } else {
            self.recovering = is_told || is_closed || self.holds(Protection::ProcessesRemember);
            self.count(if is_told { Event::RollbackTold } else { Event::RollbackRemembered });
        }
    }

    /// The catalog is a copy from right before a rebuild closed it, and nobody has seen the closing but whoever rebuilds.
    pub(crate) fn forget_closing(&mut self) {
        let closed = self.store.rebuilding();
        let Some(epoch) = self.rebuilders.iter().filter_map(|rebuilder| rebuilder.begun_needlessly()).next() else {
            return;
        };
        let history = self.store.history().clone();
        let (Some(calls), true) = (history.closed_at(epoch), closed == Some(epoch)) else { return };
        let stream = self.new_stream();
        let copy = Store::copy_of(&history, calls - 1, &self.clock, self.limits(), stream);
        if copy.rebuilding().is_some() {
            return;
        }
        self.store = copy;
        self.dumps.push(history);
        (self.recovering, self.unnoticed) = (false, None);
        self.count(Event::ClosingForgotten);
        self.note(|| format!("the catalog goes on as if no rebuild had closed it under epoch {epoch}"));
    }

    /// Whether a rebuild has taken a later epoch than the catalog's, for those who check.
    pub(crate) fn is_overtaken(&self) -> bool {
        let taken = self.layers.epochs.last().copied().unwrap_or(0);
        self.holds(Protection::EpochsChecked) && self.store.epochs().epoch < taken
    }

    /// All processes are gone; what they had sent may still arrive.
    fn everybody_dies(&mut self) {
        for writer in 0..self.writers.len() {
            self.crash(writer);
        }
        self.jobs.clear();
        self.deleters.clear();
        self.rebuilders.clear();
        self.queries.clear();
        self.last_seen.clear();
        // A checkpoint that was on its way arrives before anybody starts, or never.
        while !self.exports.is_empty() && self.random.chance(50) {
            self.checkpoint();
        }
        self.exports.clear();
    }

    /// Somebody has slept since before the rollback, and looks.
    pub(crate) fn remember(&mut self) {
        if self.unnoticed.is_some() {
            self.notice(|| "somebody remembers".to_owned());
        }
    }

    /// The rollback is known from here on.
    pub(crate) fn notice(&mut self, how: impl FnOnce() -> String) {
        self.remember_places();
        self.recovering = true;
        self.unnoticed = None;
        self.note(how);
    }

    /// Whether the layers tell of a rollback.
    pub(crate) fn is_told(&self) -> bool {
        !matches!(self.condition(), Ok(Condition::Fresh | Condition::Healthy))
    }

    /// How the catalog stands to the layers, by the product's own decision.
    fn condition(&self) -> gigapi_recovery::Result<Condition> {
        let epochs = self.store.epochs();
        let named = self.layers.checkpoint_names();
        let newest: BTreeMap<TableId, CheckpointName> = named.into_iter().map(|name| (name.table, name)).collect();
        let version = |table: TableId| match self.store.table_state(table) {
            TableState::Live(_) => Some((table, Some(self.store.snapshot(table).ok()?.version))),
            TableState::Dropped => Some((table, None)),
            TableState::Unknown => None,
        };
        let catalog = CatalogView {
            id: Some(epochs.catalog),
            epoch: epochs.epoch,
            revisions: self.revisions(),
            checkpointed: newest.keys().filter_map(|table| version(*table)).collect(),
        };
        let layers = LayersView {
            owners: vec![(layer_name(0), Some(self.owner))],
            checkpoints: newest.into_values().collect(),
            definitions: if self.holds(Protection::DefinitionsTell) {
                self.layers.definition_names()
            } else {
                Vec::new()
            },
            dropped: match self.holds(Protection::TombstonesTell) {
                true => self.layers.tombstones.iter().copied().collect(),
                false => {
                    self.layers.tombstones.iter().filter(|table| self.store.live(**table).is_none()).copied().collect()
                }
            },
            begun: self.layers.tombstones.difference(&self.layers.done).copied().collect(),
            taken: match self.holds(Protection::EpochsChecked) {
                true => self.layers.epochs.last().copied().unwrap_or(0),
                false => 0,
            },
        };
        detect(&catalog, &layers)
    }

    fn revisions(&self) -> HashMap<TableId, Option<u64>> {
        let revision = |table: TableId| match self.store.table_state(table) {
            TableState::Live(def) => Some((table, Some(def.revision))),
            TableState::Dropped => Some((table, None)),
            TableState::Unknown => None,
        };
        let live = self.store.live_tables().into_iter().map(|table| table.id);
        live.chain(self.layers.definitions.keys().copied()).filter_map(revision).collect()
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
