//! Checkpoints, drops, losses of the catalog, and rebuilding it.
//!
//! A rebuild is as many steps as it has writes; two may run at once, and one may sleep for long between two steps.

use std::sync::Arc;

use gigapi_catalog::{Error, Restore, TableExport, TableState};
use gigapi_model::{TableDef, TableId};
use gigapi_recovery::{CatalogView, CheckpointName, Condition, LayersView, RebuildPlan, detect, plan};

use crate::check::{Kind, Violation};
use crate::layers::layer_name;
use crate::own_plan;
use crate::protections::Protection;
use crate::random::short;
use crate::store::Store;
use crate::world::World;

/// A rebuild under way.
#[derive(Debug, Default)]
pub(crate) struct Rebuilder {
    epoch: Option<u64>,
    planned: Option<RebuildPlan>,
    /// Whether its checkpoints are written.
    written: bool,
}

impl World {
    /// Takes a checkpoint of a table; it is written later.
    pub(crate) fn export(&mut self) {
        if self.recovering && self.holds(Protection::CheckpointsWait) {
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
        self.count("a checkpoint is written");
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
            self.count("a table is dropped");
            self.dropped.insert(table);
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
            if self.store.live(table).is_some() {
                self.drop_now(table);
            }
        }
    }

    /// The catalog is empty.
    pub(crate) fn lose(&mut self) {
        self.remember_places();
        self.empty();
        self.recovering = true;
        self.count("the catalog is lost");
        self.note(|| "the catalog is lost".to_owned());
    }

    fn remember_places(&mut self) {
        if !self.recovering {
            self.last_seen = self.store.live_tables().iter().map(|table| self.places(table.id)).collect();
        }
    }

    fn empty(&mut self) {
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
        let recent = self.random.below(40);
        let length = u64::try_from(history.len()).unwrap();
        let calls = usize::try_from(length.saturating_sub(1 + recent)).unwrap();
        let stream = self.new_stream();
        let copy = Store::copy_of(&history, calls, &self.clock, self.limits(), stream);
        if !knows_less(&copy, &self.store) {
            return;
        }
        self.remember_places();
        let before = std::mem::replace(&mut self.store, copy);
        self.dumps.push(before.history().clone());
        let told_by_checkpoint = !matches!(self.condition(), Ok(Condition::Fresh | Condition::Healthy));
        self.recovering = told_by_checkpoint || self.holds(Protection::ProcessesRemember);
        let noticed = self.recovering;
        self.count(if told_by_checkpoint { "a rollback is told by a checkpoint" } else { "a rollback is remembered" });
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

    /// A rebuild begins, goes on, or dies.
    pub(crate) fn rebuild(&mut self) -> Result<(), Violation> {
        if self.random.chance(4) && !self.rebuilders.is_empty() {
            self.rebuilders.clear();
            self.note(|| "whoever rebuilt dies".to_owned());
            return Ok(());
        }
        let begins = self.recovering && (self.rebuilders.is_empty() || self.random.chance(25));
        if begins && self.rebuilders.len() < 2 {
            if self.store.epochs().catalog == self.owner {
                // An older copy is put aside.
                self.empty();
            }
            self.rebuilders.push(Rebuilder::default());
        }
        let Some(index) = self.random.index(self.rebuilders.len()) else { return Ok(()) };
        let mut rebuilder = self.rebuilders.remove(index);
        if self.advance(&mut rebuilder)? {
            self.rebuilders.push(rebuilder);
        }
        Ok(())
    }

    /// One step of a rebuild; says whether there is another.
    fn advance(&mut self, rebuilder: &mut Rebuilder) -> Result<bool, Violation> {
        let reserves = self.holds(Protection::Reservation);
        let may_take = reserves || rebuilder.planned.is_some();
        match (rebuilder.epoch, &rebuilder.planned) {
            (None, _) if may_take => {
                let epoch = self.take_epoch();
                rebuilder.epoch = Some(epoch);
                let granted = !reserves || self.store.reserve(epoch, self.owner);
                self.note(|| format!("a rebuild takes epoch {epoch}; granted: {granted}"));
                Ok(granted)
            }
            (_, None) => {
                rebuilder.planned = self.planned()?;
                self.note(|| "a rebuild has looked".to_owned());
                if rebuilder.planned.is_none() {
                    self.count("a rebuild needs a damaged checkpoint");
                    self.is_over = true;
                }
                Ok(true)
            }
            (Some(epoch), Some(planned)) if !rebuilder.written && self.holds(Protection::CheckpointsFirst) => {
                if reserves && !self.store.is_reserved(epoch) {
                    self.count("a rebuild comes too late");
                    return Ok(false);
                }
                self.write_checkpoints(epoch, planned);
                rebuilder.written = true;
                Ok(true)
            }
            (Some(epoch), Some(planned)) => self.open(epoch, planned.clone()).map(|()| false),
            (None, Some(_)) => Ok(false),
        }
    }

    fn take_epoch(&mut self) -> u64 {
        let highest = self.layers.highest_epoch().max(self.store.epochs().epoch);
        if !self.holds(Protection::NewEpoch) {
            return highest;
        }
        let another = self.rebuilders.iter().find_map(|other| other.epoch);
        if let Some(another) = another
            && !self.holds(Protection::ExclusiveEpoch)
        {
            return another;
        }
        self.layers.epochs.insert(highest + 1);
        highest + 1
    }

    /// What a rebuild would restore now; none if it is refused because a checkpoint is damaged.
    pub(crate) fn planned(&self) -> Result<Option<RebuildPlan>, Violation> {
        let survey = self.layers.survey(&self.protections);
        let by_product = plan(&survey);
        let may_refuse = self.damaged && by_product.is_err();
        let planned = if self.unordered { own_plan::plan(&survey, &self.protections) } else { by_product };
        let mut planned = match planned {
            Ok(planned) => planned,
            Err(_) if may_refuse => return Ok(None),
            Err(error) => return Err(Violation::new(Kind::Unrebuildable, error.to_string())),
        };
        if self.holds(Protection::FooterDefinitions) {
            for def in self.layers.definitions.values().filter(|def| !survey.dropped.contains(&def.id)) {
                define(&mut planned, def);
            }
        }
        Ok(Some(planned))
    }

    /// The newest checkpoint of a table can be read no more.
    pub(crate) fn damage(&mut self) {
        let tables = self.store.live_tables();
        let Some(index) = self.random.index(tables.len()) else { return };
        if let Some(name) = self.layers.damage(tables[index].id) {
            self.damaged = true;
            self.note(|| format!("checkpoint {name} is damaged"));
        }
    }

    fn write_checkpoints(&mut self, epoch: u64, planned: &RebuildPlan) {
        for table in &planned.tables {
            self.layers.write_checkpoint(TableExport { epoch, ..table.clone() });
        }
        self.note(|| format!("checkpoints of epoch {epoch} are written"));
    }

    /// The last step of a rebuild.
    fn open(&mut self, epoch: u64, planned: RebuildPlan) -> Result<(), Violation> {
        let RebuildPlan { tables, dropped, .. } = planned;
        let tables: Vec<TableExport> = tables.into_iter().map(|table| TableExport { epoch, ..table }).collect();
        let was_recovering = self.recovering;
        let state = Restore { catalog: self.owner, epoch, tables, dropped: dropped.clone() };
        let answer = self.store.restore(state, self.holds(Protection::Reservation));
        self.note(|| format!("the catalog is restored under epoch {epoch}: {answer:?}"));
        match answer {
            Ok(()) => {
                self.recovering = false;
                self.damaged = false;
                self.count("the catalog is rebuilt");
                self.dropped.extend(dropped);
                Ok(())
            }
            Err(Error::Superseded { .. }) if was_recovering && self.store.epochs().catalog != self.owner => {
                Err(Violation::new(Kind::Unrebuildable, "somebody wrote to the lost catalog".to_owned()))
            }
            Err(_) => {
                self.count("a rebuild comes too late");
                Ok(())
            }
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

/// The plan with a definition that was kept.
fn define(planned: &mut RebuildPlan, def: &Arc<TableDef>) {
    match planned.tables.iter_mut().find(|table| table.table.id == def.id) {
        Some(table) if table.table.revision < def.revision => table.table = def.clone(),
        Some(_) => {}
        None => planned.tables.push(TableExport {
            epoch: 0,
            table: def.clone(),
            version: 1,
            files: Vec::new(),
            watermarks: std::collections::HashMap::new(),
        }),
    }
}
