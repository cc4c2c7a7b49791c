//! Rebuilding a lost catalog, in the order of the product's own: take an epoch, close the catalog, look and plan, write
//! checkpoints, restore.
//!
//! A rebuild is as many steps as it has writes; two may run at once, and one may sleep for long between two steps.

use std::collections::HashMap;
use std::sync::Arc;

use gigapi_catalog::{Error, Restore, TableExport};
use gigapi_model::{FileId, NewFile, TableDef, TableId, WriterId};
use gigapi_recovery::{PlanError, RebuildPlan, plan};
use gigapi_storage::Origin;

use crate::check::{Kind, Violation};
use crate::events::Event;
use crate::layers::{COLD, HOT, Object, place_of};
use crate::own_plan;
use crate::protections::{Protection, Protections};
use crate::world::World;

/// The epoch in which a catalog is founded; no marker says that it is taken.
pub(crate) const FIRST_EPOCH: u64 = 1;

/// A rebuild under way.
#[derive(Debug, Default)]
pub(crate) struct Rebuilder {
    /// It takes an epoch above this.
    seen: u64,
    taken: Option<u64>,
    /// Whether the catalog is closed in its name.
    begun: bool,
    /// Whether the catalog was sound when it closed it.
    was_sound: bool,
    planned: Option<RebuildPlan>,
    /// Whether its checkpoints are written.
    written: bool,
}

/// What a rebuild does next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Take,
    Begin(u64),
    Look,
    Write(u64),
    Open(u64),
}

impl Rebuilder {
    /// The epoch under which it has closed the catalog.
    pub(crate) fn begun(&self) -> Option<u64> {
        self.taken.filter(|_| self.begun)
    }

    /// The epoch under which it has closed a sound catalog.
    pub(crate) fn begun_needlessly(&self) -> Option<u64> {
        self.begun().filter(|_| self.was_sound)
    }

    fn stage(&self, protections: &Protections) -> Stage {
        let closes = protections.hold(Protection::Closing);
        let has_looked = self.planned.is_some();
        match self.taken {
            None if closes || has_looked => Stage::Take,
            Some(epoch) if closes && !self.begun => Stage::Begin(epoch),
            Some(epoch) if has_looked => {
                let is_written = self.written || !protections.hold(Protection::CheckpointsFirst);
                if is_written { Stage::Open(epoch) } else { Stage::Write(epoch) }
            }
            _ => Stage::Look,
        }
    }

    /// Begins again above an epoch.
    fn begin_above(&mut self, seen: u64) {
        *self = Self { seen: self.seen.max(seen), ..Self::default() };
    }
}

impl World {
    /// A rebuild begins, goes on, or dies.
    pub(crate) fn rebuild(&mut self) -> Result<(), Violation> {
        if self.random.chance(4) && !self.rebuilders.is_empty() {
            self.rebuilders.clear();
            self.note(|| "whoever rebuilt dies".to_owned());
            return Ok(());
        }
        let begins = match self.recovering {
            true => self.rebuilders.is_empty() || self.random.chance(25),
            // An operator asks for it without need.
            false => self.unnoticed.is_none() && self.random.chance(1),
        };
        if begins && self.rebuilders.len() < 2 {
            self.rebuilders.push(Rebuilder::default());
        }
        let Some(index) = self.random.index(self.rebuilders.len()) else { return Ok(()) };
        let mut rebuilder = self.rebuilders.remove(index);
        match rebuilder.stage(&self.protections) {
            Stage::Take => rebuilder.taken = Some(self.take_epoch(rebuilder.seen)),
            Stage::Begin(epoch) => self.begin(&mut rebuilder, epoch),
            Stage::Look => self.look(&mut rebuilder)?,
            Stage::Write(epoch) => {
                rebuilder.written = true;
                if !self.write_checkpoints(epoch, rebuilder.planned.as_ref()) {
                    return Ok(());
                }
            }
            Stage::Open(epoch) => return self.open(epoch, rebuilder.planned.unwrap_or_default()),
        }
        self.rebuilders.push(rebuilder);
        Ok(())
    }

    /// The first free epoch above all that are known.
    fn take_epoch(&mut self, seen: u64) -> u64 {
        let epochs = self.store.epochs();
        let of_catalog = if epochs.catalog == self.owner { epochs.epoch } else { FIRST_EPOCH };
        let known = self.store.rebuilding().unwrap_or(of_catalog);
        let highest = self.layers.epochs.last().copied().unwrap_or(0).max(known).max(seen);
        let another = self.rebuilders.iter().find_map(|other| other.taken);
        let epoch = match another {
            Some(another) if !self.holds(Protection::ExclusiveEpoch) => another,
            _ if !self.holds(Protection::NewEpoch) => highest.max(FIRST_EPOCH + 1),
            _ => highest + 1,
        };
        self.layers.epochs.insert(epoch);
        self.note(|| format!("a rebuild takes epoch {epoch}"));
        epoch
    }

    /// Closes the catalog for everybody else.
    fn begin(&mut self, rebuilder: &mut Rebuilder, epoch: u64) {
        if !self.holds(Protection::NewEpoch) && self.store.epochs().epoch >= epoch {
            self.empty();
        }
        let was_recovering = self.recovering;
        let answer = self.store.begin_restore(epoch);
        self.note(|| format!("a rebuild closes the catalog under epoch {epoch}: {answer:?}"));
        match answer {
            Ok(()) => {
                rebuilder.begun = true;
                rebuilder.was_sound = !was_recovering && self.unnoticed.is_none();
                self.remember_places();
                self.recovering = true;
                if !was_recovering {
                    self.count(Event::BegunLate);
                }
            }
            Err(Error::StaleEpoch { current, .. }) => rebuilder.begin_above(current.max(epoch)),
            Err(_) => {}
        }
    }

    fn look(&mut self, rebuilder: &mut Rebuilder) -> Result<(), Violation> {
        let remembered = self.layers.remembered_epoch();
        let taken = self.layers.epochs.last().copied().unwrap_or(0);
        if let Some(epoch) = rebuilder.taken {
            if remembered >= epoch && self.holds(Protection::NewEpoch) {
                self.count(Event::EpochInUse);
                rebuilder.begin_above(remembered.max(taken));
                return Ok(());
            }
            if taken > epoch && self.holds(Protection::LatestEpoch) {
                self.count(Event::LaterEpoch);
                rebuilder.begin_above(taken);
                return Ok(());
            }
        }
        rebuilder.planned = self.planned()?;
        self.count_sights(rebuilder.planned.as_ref());
        self.note(|| "a rebuild has looked".to_owned());
        if rebuilder.planned.is_none() {
            self.count(Event::Refused);
            self.is_over = true;
        }
        Ok(())
    }

    /// Counts what a plan had to deal with.
    fn count_sights(&mut self, planned: Option<&RebuildPlan>) {
        let Some(planned) = planned else { return };
        let (objects, bases) = (&self.layers.objects, self.layers.newest_checkpoints());
        let exists = |file: FileId| [HOT, COLD].iter().any(|layer| objects.contains_key(&(*layer, file)));
        let named = |base: &TableExport, file: FileId| base.files.iter().any(|new| new.file.id == file);
        let is_late = |object: &Object| {
            let base = bases.get(&object.table.id);
            base.is_some_and(|base| object.facts.catalog_epoch < base.epoch && !named(base, object.file.id))
        };
        let stands_alone = |new: &NewFile| {
            let object = objects.get(&place_of(&new.file));
            object.is_some_and(|object| match &object.facts.origin {
                Origin::Merge { sources, .. } => !sources.iter().any(|source| exists(source.file)),
                Origin::Flush { .. } => false,
            })
        };
        let on_both = |file: FileId| [HOT, COLD].iter().all(|layer| objects.contains_key(&(*layer, file)));
        let chosen = || planned.tables.iter().flat_map(|table| &table.files);
        let sights = [
            (Event::TwoLayers, objects.keys().any(|(_, file)| on_both(*file))),
            (Event::LateFile, objects.values().any(is_late)),
            (Event::NoCheckpoint, planned.tables.iter().any(|table| !bases.contains_key(&table.table.id))),
            (Event::InputsGone, chosen().any(stands_alone)),
            (Event::OrphansLeft, !planned.orphans.is_empty()),
        ];
        sights.iter().filter(|(_, seen)| *seen).for_each(|(event, _)| self.count(*event));
    }

    /// What a rebuild would restore now; none if it is refused because a checkpoint is damaged.
    pub(crate) fn planned(&self) -> Result<Option<RebuildPlan>, Violation> {
        let survey = self.layers.survey(&self.protections);
        let by_product = plan(&survey);
        let may_refuse = self.damaged && by_product.is_err();
        let planned = if self.unordered {
            let own = own_plan::plan(&survey, &self.protections);
            if !self.holds(Protection::ProductPlan) {
                agree(&own, &by_product)?;
            }
            own
        } else {
            by_product
        };
        let mut planned = match planned {
            Ok(planned) => planned,
            Err(_) if may_refuse => return Ok(None),
            Err(error) => return Err(Violation::new(Kind::Unrebuildable, error.to_string())),
        };
        for (_, def) in self.layers.definitions.values().filter(|(_, def)| !survey.dropped.contains(&def.id)) {
            define(&mut planned, def);
        }
        Ok(Some(planned))
    }

    /// Writes a checkpoint of each table; says whether it came to the end.
    fn write_checkpoints(&mut self, epoch: u64, planned: Option<&RebuildPlan>) -> bool {
        for table in planned.iter().flat_map(|planned| &planned.tables) {
            if self.random.chance(3) {
                self.count(Event::HalfWritten);
                self.note(|| format!("not all checkpoints of epoch {epoch} are written"));
                return false;
            }
            self.layers.write_checkpoint(TableExport { epoch, ..table.clone() });
        }
        self.note(|| format!("checkpoints of epoch {epoch} are written"));
        true
    }

    /// The last step of a rebuild. One that did not close the catalog before does it now.
    fn open(&mut self, epoch: u64, planned: RebuildPlan) -> Result<(), Violation> {
        if !self.holds(Protection::Closing) {
            self.begin(&mut Rebuilder::default(), epoch);
        }
        let RebuildPlan { tables, dropped, .. } = planned;
        let tables: Vec<TableExport> = tables.into_iter().map(|table| TableExport { epoch, ..table }).collect();
        let state = Restore { catalog: self.owner, epoch, tables, dropped: dropped.clone() };
        let answer = self.store.restore(state);
        self.note(|| format!("the catalog is restored under epoch {epoch}: {answer:?}"));
        match answer {
            Ok(()) => {
                // A copy that was rolled back into an older rebuild: whoever saw a later epoch goes on refusing it.
                self.recovering = epoch < self.served && self.holds(Protection::ProcessesRemember);
                self.served = self.served.max(epoch);
                self.damaged = false;
                self.count(if self.recovering { Event::OlderEpoch } else { Event::Rebuilt });
                self.dropped.extend(dropped);
            }
            Err(Error::Superseded { .. }) => {
                self.count(Event::Superseded);
                if !self.recovering && self.store.rebuilding().is_none() && self.store.epochs().epoch < epoch {
                    self.notice(|| "whoever rebuilt finds that its epoch is not known".to_owned());
                }
            }
            Err(error) => return Err(Violation::new(Kind::Unrebuildable, error.to_string())),
        }
        Ok(())
    }
}

/// Two plans, if there are two, say the same of how far writers have come.
fn agree(own: &Result<RebuildPlan, PlanError>, other: &Result<RebuildPlan, PlanError>) -> Result<(), Violation> {
    let watermarks = |planned: &RebuildPlan| -> Vec<(TableId, HashMap<WriterId, u64>)> {
        planned.tables.iter().map(|table| (table.table.id, table.watermarks.clone())).collect()
    };
    let (Ok(own), Ok(other)) = (own, other) else { return Ok(()) };
    let (own, other) = (watermarks(own), watermarks(other));
    if own == other { Ok(()) } else { Err(Violation::new(Kind::Disagreement, format!("{own:?} and {other:?}"))) }
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
            watermarks: HashMap::new(),
        }),
    }
}
