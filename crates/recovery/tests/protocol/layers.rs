//! The layers of a history: objects by layer and id, checkpoints, tombstones, kept definitions and taken epochs.
//!
//! An object is there wholly or not at all, and a listing sees what is there. What a rebuild finds is put together
//! as `survey::look` does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gigapi_catalog::TableExport;
use gigapi_model::{DataFile, FieldId, FileId, LayerName, TableDef, TableId, Timestamp};
use gigapi_recovery::{CHECKPOINTS_KEPT, CheckpointName, DefinitionName, Found, Survey};
use gigapi_storage::FileFacts;

use crate::protections::{Protection, Protections};

/// The layers, in their order.
const NAMES: [&str; 2] = ["hot", "cold"];
/// The first layer.
pub(crate) const HOT: usize = 0;
/// The last layer.
pub(crate) const COLD: usize = 1;

/// What a value means: its column's name, and whether it is a float.
pub(crate) type Meaning = (&'static str, bool);

/// An acknowledged row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Tells it from all other rows of the history.
    pub(crate) serial: u32,
    pub(crate) table: TableId,
    /// The writer's place in the history.
    pub(crate) writer: usize,
    pub(crate) seq: u64,
    pub(crate) field: FieldId,
    pub(crate) meaning: Meaning,
    /// Its own time, and the hour in which that lies.
    pub(crate) at: Timestamp,
    pub(crate) hour: u8,
}

/// A data object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) rows: Arc<Vec<Row>>,
    pub(crate) file: DataFile,
    pub(crate) facts: FileFacts,
    pub(crate) table: Arc<TableDef>,
    /// When it was written here last.
    pub(crate) modified: Timestamp,
}

/// Where an object lies.
pub(crate) type Place = (usize, FileId);

#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) objects: BTreeMap<Place, Object>,
    pub(crate) checkpoints: BTreeMap<CheckpointName, TableExport>,
    /// Checkpoints that can be read no more. Their names still tell how far the catalog had come.
    pub(crate) damaged: BTreeSet<CheckpointName>,
    pub(crate) tombstones: BTreeSet<TableId>,
    /// Those of them that say that the drop is done.
    pub(crate) done: BTreeSet<TableId>,
    /// Per table, the latest definition that was kept.
    pub(crate) definitions: BTreeMap<TableId, (u64, Arc<TableDef>)>,
    /// Numbers that rebuilds took.
    pub(crate) epochs: BTreeSet<u64>,
}

pub(crate) fn layer_name(layer: usize) -> LayerName {
    LayerName::new(NAMES[layer]).expect("a layer's name")
}

pub(crate) fn layer_of(name: &LayerName) -> usize {
    NAMES.iter().position(|known| *known == name.as_str()).expect("one of ours")
}

/// Where a live file lies.
pub(crate) fn place_of(file: &DataFile) -> Place {
    (layer_of(&file.layer), file.id)
}

impl Layers {
    pub(crate) fn put(&mut self, object: Object) {
        self.objects.insert(place_of(&object.file), object);
    }

    /// Keeps a definition of an epoch, unless a later one is kept.
    pub(crate) fn keep(&mut self, epoch: u64, def: &Arc<TableDef>) {
        let known = self.definitions.entry(def.id).or_insert_with(|| (epoch, def.clone()));
        if (known.0, known.1.revision) < (epoch, def.revision) {
            *known = (epoch, def.clone());
        }
    }

    /// What was kept, by name.
    pub(crate) fn definition_names(&self) -> Vec<DefinitionName> {
        self.definitions.values().map(|(epoch, def)| DefinitionName::of(*epoch, def)).collect()
    }

    /// Writes a checkpoint and removes the surplus, as `write_checkpoints` does.
    pub(crate) fn write_checkpoint(&mut self, export: TableExport) {
        let table = export.table.id;
        let written = CheckpointName::of(&export);
        self.damaged.remove(&written);
        self.checkpoints.insert(written, export);
        let named = self.checkpoint_names();
        let of_table: Vec<_> = named.iter().rev().filter(|name| name.table == table).collect();
        for name in of_table.into_iter().skip(CHECKPOINTS_KEPT) {
            self.checkpoints.remove(name);
            self.damaged.remove(name);
        }
    }

    /// The names of all checkpoints, readable or not.
    pub(crate) fn checkpoint_names(&self) -> BTreeSet<CheckpointName> {
        self.checkpoints.keys().chain(&self.damaged).copied().collect()
    }

    /// The newest checkpoint of a table can be read no more, if the one before it is of the same epoch: what a
    /// rebuild chose stands in no checkpoint of an earlier one.
    pub(crate) fn damage(&mut self, table: TableId) -> Option<CheckpointName> {
        let mut of_table = self.checkpoints.keys().rev().filter(|name| name.table == table).copied();
        let (newest, before) = (of_table.next()?, of_table.next()?);
        (newest.epoch == before.epoch).then(|| self.checkpoints.remove(&newest))?;
        self.damaged.insert(newest);
        Some(newest)
    }

    /// The newest checkpoint of each table.
    pub(crate) fn newest_checkpoints(&self) -> BTreeMap<TableId, &TableExport> {
        self.checkpoints.iter().map(|(name, export)| (name.table, export)).collect()
    }

    /// The highest epoch that a data file or a checkpoint remembers.
    pub(crate) fn remembered_epoch(&self) -> u64 {
        let of_objects = self.objects.values().map(|object| object.facts.catalog_epoch);
        let of_checkpoints = self.checkpoints.keys().map(|name| name.epoch);
        of_objects.chain(of_checkpoints).max().unwrap_or(0)
    }

    /// What a rebuild finds.
    pub(crate) fn survey(&self, protections: &Protections) -> Survey {
        let mut checkpoints = self.newest_checkpoints();
        checkpoints.retain(|_, _| protections.hold(Protection::Base));
        let named: BTreeSet<FileId> =
            checkpoints.values().flat_map(|export| &export.files).map(|new| new.file.id).collect();
        let mut survey = Survey {
            checkpoints: checkpoints.iter().map(|(table, export)| (*table, (*export).clone())).collect(),
            dropped: self.tombstones.iter().copied().collect(),
            ..Survey::default()
        };
        let mut unknown: BTreeMap<FileId, &Object> = BTreeMap::new();
        let ascending = self.objects.iter();
        let objects: Vec<_> =
            if protections.hold(Protection::LaterLayer) { ascending.collect() } else { ascending.rev().collect() };
        for ((layer, id), object) in objects {
            if named.contains(id) {
                survey.present.insert(*id, layer_name(*layer));
            } else {
                unknown.insert(*id, object);
            }
        }
        for object in unknown.into_values() {
            let base = checkpoints.get(&object.table.id).copied();
            survey.found.push(found(object, base, protections));
        }
        survey
    }
}

fn found(object: &Object, base: Option<&TableExport>, protections: &Protections) -> Found {
    let mut found = Found {
        file: object.file.clone(),
        statistics: Vec::new(),
        facts: object.facts.clone(),
        table: object.table.clone(),
    };
    if let Some(base) = base {
        if !protections.hold(Protection::EpochFilter) {
            found.facts.catalog_epoch = found.facts.catalog_epoch.max(base.epoch);
        }
        if !protections.hold(Protection::FooterDefinitions) {
            found.table = base.table.clone();
        }
    }
    found
}
