//! Whoever deletes objects: graves whose time has come, and orphans that are old enough.
//!
//! A list is made at one moment and worked off in batches, so it ages. The look before a batch and the deletion of its
//! objects are one step: a request to delete takes no longer than the ages here by far. After each object everything is
//! checked, since a batch may be cut short anywhere.

use std::collections::{HashMap, HashSet};

use gigapi_catalog::Grave;
use gigapi_model::{Clock, NewFile, TableId};
use gigapi_recovery::is_deletable;
use gigapi_storage::Origin;

use crate::check::Violation;
use crate::events::Event;
use crate::layers::{Object, Place, layer_of};
use crate::protections::Protection;
use crate::random::short;
use crate::world::{ORPHAN_AGE, World};

/// Objects that share a look, at most.
const BATCH_MAX: usize = 4;

/// A list of objects to delete.
#[derive(Debug)]
pub(crate) struct Deleter {
    places: Vec<Place>,
    /// The catalog's epoch when the list was made.
    epoch: u64,
    /// Graves to forget afterwards.
    graves: Vec<Grave>,
}

fn place_of(grave: &Grave) -> Place {
    (layer_of(&grave.layer), grave.file)
}

impl World {
    /// Whether lists are made and looked through again: a catalog that is being rebuilt tells nothing.
    fn may_delete(&self) -> bool {
        let waits = self.holds(Protection::DeletionWaits) && (self.recovering || self.is_overtaken());
        self.store.rebuilding().is_none() && !waits
    }

    /// Graves that may go, by the product's own rule.
    fn deletable_graves(&self) -> Vec<Grave> {
        let epoch = self.store.epochs().epoch;
        let mut newest: HashMap<TableId, u64> = HashMap::new();
        for name in self.layers.checkpoints.keys().filter(|name| name.epoch == epoch) {
            let version = newest.entry(name.table).or_default();
            *version = name.version.max(*version);
        }
        let dropped: HashSet<TableId> = self.layers.tombstones.iter().copied().collect();
        let mut graves = self.store.graves();
        graves.retain(|grave| !self.holds(Protection::GraveCheckpoint) || is_deletable(grave, &newest, &dropped));
        graves
    }

    pub(crate) fn list_graves(&mut self) {
        if !self.may_delete() {
            return;
        }
        let graves = self.deletable_graves();
        if graves.is_empty() {
            return;
        }
        let places = graves.iter().map(place_of).collect();
        let epoch = self.store.epochs().epoch;
        self.deleters.push(Deleter { places, epoch, graves });
    }

    /// Whether nobody needs the object.
    fn is_orphan(&self, place: Place) -> bool {
        let Some(object) = self.layers.objects.get(&place) else { return false };
        let (now, epochs) = (self.clock.now(), self.store.epochs());
        let age = if self.holds(Protection::OrphanAge) { ORPHAN_AGE } else { std::time::Duration::from_secs(3) };
        let modified = if self.holds(Protection::OrphanModified) { object.modified } else { place.1.minted_at() };
        let is_old = now.since(place.1.minted_at()) > age && now.since(modified) > age;
        let is_settled = now.since(epochs.since) > ORPHAN_AGE || !self.holds(Protection::OrphanEpochAge);
        // By what the catalog says now: it may have forgotten a claim whose worker goes on.
        let claimed = self.store.claimed(object.table.id).unwrap_or_default();
        let is_claimed = self.holds(Protection::OrphanNotClaimed) && claimed.contains(&place.1);
        is_old
            && is_settled
            && !is_claimed
            && !self.is_live(place)
            && !self.is_buried(place)
            && !self.is_ahead(object)
            && !self.is_input(place)
            && !self.is_checkpointed(place)
    }

    /// Whether a rebuild would miss it: after two rollbacks the catalog may be a copy that has never known it. That comes
    /// about once in some ten thousand histories, so the rule is not one of those that are taken out.
    fn is_checkpointed(&self, place: Place) -> bool {
        let is_named = |new: &NewFile| crate::layers::place_of(&new.file) == place;
        let mut checkpoints = self.layers.checkpoints.iter();
        checkpoints
            .any(|(name, export)| !self.layers.tombstones.contains(&name.table) && export.files.iter().any(is_named))
    }

    /// Whether a merge has read it whose output nobody has taken back yet.
    fn is_input(&self, place: Place) -> bool {
        let has_read = |object: &Object| match &object.facts.origin {
            Origin::Merge { sources, .. } => sources.iter().any(|source| source.file == place.1),
            Origin::Flush { .. } => false,
        };
        let outputs = self.layers.objects.iter().filter(|(_, object)| has_read(object));
        self.holds(Protection::OrphanNotInput) && outputs.into_iter().any(|(output, _)| !self.is_live(*output))
    }

    /// Whether it is a flush that its writer may not have repeated yet.
    fn is_ahead(&self, object: &Object) -> bool {
        let Origin::Flush { writer, hi, .. } = object.facts.origin else { return false };
        let Ok(snapshot) = self.store.snapshot(object.table.id) else { return false };
        self.holds(Protection::OrphanBelowWatermark) && snapshot.watermarks.get(&writer).copied().unwrap_or(0) < hi
    }

    fn is_live(&self, place: Place) -> bool {
        self.store.live_tables().iter().any(|table| self.places(table.id).contains(&place))
    }

    fn is_buried(&self, place: Place) -> bool {
        self.holds(Protection::OrphanNotBuried) && self.store.graveyard().iter().any(|grave| place_of(grave) == place)
    }

    pub(crate) fn list_orphans(&mut self) {
        if !self.may_delete() {
            return;
        }
        let places: Vec<Place> = self.layers.objects.keys().filter(|place| self.is_orphan(**place)).copied().collect();
        if !places.is_empty() {
            let epoch = self.store.epochs().epoch;
            self.deleters.push(Deleter { places, epoch, graves: Vec::new() });
        }
    }

    /// A batch of a list goes after one look.
    pub(crate) fn delete(&mut self) -> Result<(), Violation> {
        let Some(index) = self.random.index(self.deleters.len()) else { return Ok(()) };
        if self.random.chance(3) {
            self.deleters.remove(index);
            return Ok(());
        }
        if self.deleters[index].places.is_empty() {
            let Deleter { graves, epoch, .. } = self.deleters.remove(index);
            if !graves.is_empty() && self.may_delete() && epoch == self.store.epochs().epoch {
                self.store.forget_graves(graves);
            }
            return Ok(());
        }
        let count = 1 + self.random.index(BATCH_MAX).unwrap_or(0);
        let places = &mut self.deleters[index].places;
        let mut batch = places.split_off(places.len().saturating_sub(count));
        let deleter = &self.deleters[index];
        let of_graves = !deleter.graves.is_empty();
        if self.holds(Protection::LookAgain) {
            if !self.may_delete() || deleter.epoch != self.store.epochs().epoch {
                return Ok(());
            }
            let graves: Vec<Place> = self.deletable_graves().iter().map(place_of).collect();
            batch.retain(|place| if of_graves { graves.contains(place) } else { self.is_orphan(*place) });
        }
        batch.into_iter().try_for_each(|place| self.remove(place, of_graves))
    }

    /// An object is gone, whether or not those after it in its batch will be.
    fn remove(&mut self, place: Place, of_graves: bool) -> Result<(), Violation> {
        if self.layers.objects.remove(&place).is_none() {
            return Ok(());
        }
        let why = if of_graves { "buried" } else { "orphaned" };
        self.count(if of_graves { Event::BuriedDeleted } else { Event::OrphanDeleted });
        self.note(|| format!("{why} file {} on layer {} is deleted", short(place.1.uuid()), place.0));
        self.check_rebuildable()
    }
}
