//! The maps of the memory catalog and the moves on them. Each move checks first and changes afterwards, so
//! a refused call leaves no trace.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{
    Actor, ClaimId, Commit, CommitId, DataFile, DatabaseName, FileId, IdempotencyRecord, NewFile, TableDef, TableId,
    TableName, TableSettings, TimeRange, Timestamp, WriterId,
};

use super::table::Table;
use crate::judge::{self, Facts, HeldClaim, Verdict};
use crate::path::object_path;
use crate::{
    Claim, ClaimRequest, CommitOutcome, Definition, Epochs, Error, Grave, Limits, Restore, Result, Standing,
    TableExport, WriterSession,
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) epochs: Epochs,
    /// The epoch of the rebuild that goes on, and when it was heard of.
    rebuilding: Option<(u64, Timestamp)>,
    writers: HashMap<WriterId, u64>,
    pub(super) places: HashMap<String, WriterId>,
    pub(super) addresses: BTreeMap<WriterId, String>,
    tables: HashMap<TableId, Entry>,
    pub(super) names: BTreeMap<DatabaseName, BTreeMap<TableName, TableId>>,
    pub(super) statistics: HashMap<FileId, Arc<[u8]>>,
    live: HashSet<FileId>,
    /// A file that was relocated may lie in graves on several layers.
    graves: HashMap<FileId, Vec<Grave>>,
    /// Ids whose graves are forgotten while they are still young enough to be added again.
    spent: HashMap<FileId, Timestamp>,
    idempotency: HashMap<String, (Timestamp, IdempotencyRecord)>,
}

#[derive(Debug)]
enum Entry {
    Live(Box<Table>),
    Dropped,
}

/// The state as a commit to one of its tables sees it.
struct View<'a> {
    state: &'a State,
    table: &'a Table,
    now: Timestamp,
}

impl Facts for View<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn version(&self) -> u64 {
        self.table.version
    }

    fn recorded(&self, actor: Actor, id: CommitId) -> Result<Option<u64>> {
        Ok(match actor {
            Actor::Writer { writer, .. } => self
                .table
                .outcomes
                .get(&writer)
                .and_then(|outcomes| outcomes.iter().find(|(known, _)| *known == id))
                .map(|(_, version)| *version),
            Actor::Claim { claim, .. } => {
                self.table.claim_outcomes.get(&claim).filter(|(known, ..)| *known == id).map(|(_, version, _)| *version)
            }
        })
    }

    fn writer_epoch(&self, writer: WriterId) -> Result<Option<u64>> {
        Ok(self.state.writers.get(&writer).copied())
    }

    fn watermark(&self, writer: WriterId) -> Result<Option<u64>> {
        Ok(self.table.watermarks.get(&writer).copied())
    }

    fn claim(&self, claim: ClaimId) -> Result<Option<HeldClaim>> {
        Ok(self.table.claims.get(&claim).cloned())
    }

    fn is_claimed(&self, file: FileId) -> Result<bool> {
        Ok(self.table.holder(file, self.now).is_some())
    }

    fn live(&self, file: FileId) -> Result<Option<Arc<DataFile>>> {
        Ok(self.table.files.get(file).cloned())
    }

    fn is_used(&self, file: FileId) -> Result<bool> {
        let state = self.state;
        Ok(state.live.contains(&file) || state.graves.contains_key(&file) || state.spent.contains_key(&file))
    }

    fn overlapping(&self, range: TimeRange) -> Result<Vec<Arc<DataFile>>> {
        Ok(self.table.files.overlapping(range).cloned().collect())
    }
}

impl State {
    pub(super) fn new(epochs: Epochs) -> Self {
        Self {
            epochs,
            rebuilding: None,
            writers: HashMap::new(),
            places: HashMap::new(),
            addresses: BTreeMap::new(),
            tables: HashMap::new(),
            names: BTreeMap::new(),
            statistics: HashMap::new(),
            live: HashSet::new(),
            graves: HashMap::new(),
            spent: HashMap::new(),
            idempotency: HashMap::new(),
        }
    }

    pub(super) fn table(&self, id: TableId) -> Result<&Table> {
        match self.tables.get(&id) {
            Some(Entry::Live(table)) => Ok(table),
            Some(Entry::Dropped) => Err(Error::Dropped { table: id }),
            None => Err(Error::UnknownTable { table: id }),
        }
    }

    fn table_mut(&mut self, id: TableId) -> Result<&mut Table> {
        match self.tables.get_mut(&id) {
            Some(Entry::Live(table)) => Ok(table),
            Some(Entry::Dropped) => Err(Error::Dropped { table: id }),
            None => Err(Error::UnknownTable { table: id }),
        }
    }

    /// Refuses while the catalog is rebuilt.
    pub(super) fn serving(&self) -> Result<()> {
        self.rebuilding.map_or(Ok(()), |(epoch, _)| Err(judge::rebuilding(epoch)))
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        match self.rebuilding {
            None => Standing::Serving(self.epochs),
            Some((epoch, heard)) => Standing::Rebuilding { epoch, silent: now.since(heard) },
        }
    }

    pub(super) fn begin_restore(&mut self, epoch: u64, now: Timestamp) -> Result<()> {
        judge::check_begin(epoch, self.epochs.epoch, self.rebuilding.map(|(epoch, _)| epoch))?;
        self.rebuilding = Some((epoch, now));
        Ok(())
    }

    pub(super) fn open_writer(&mut self, writer: WriterId) -> Result<WriterSession> {
        self.serving()?;
        let known = self.writers.contains_key(&writer);
        let epoch = self.writers.entry(writer).or_insert(judge::first_token(self.epochs.epoch));
        *epoch += 1;
        let epoch = *epoch;
        let watermarks = self
            .tables
            .iter()
            .filter_map(|(id, entry)| match entry {
                Entry::Live(table) => Some((*id, *table.watermarks.get(&writer)?)),
                Entry::Dropped => None,
            })
            .collect();
        Ok(WriterSession { epoch, known, watermarks })
    }

    pub(super) fn define(&mut self, wanted: Definition, id: TableId, limits: &Limits) -> Result<Arc<TableDef>> {
        self.serving()?;
        let names = self.names.get(&wanted.database);
        if let Some(existing) = names.and_then(|names| names.get(&wanted.table)).copied() {
            let table = self.table_mut(existing)?;
            let extended = table.def.with_columns(&wanted.columns, limits.columns_max)?;
            if extended.revision != table.def.revision {
                table.def = Arc::new(extended);
                table.version += 1;
            }
            return Ok(table.def.clone());
        }
        let tables = names.map_or(0, BTreeMap::len);
        judge::check_room(self.names.len(), tables, limits)?;
        let def = Arc::new(judge::first_definition(&wanted, id, limits)?);
        self.names.entry(wanted.database).or_default().insert(wanted.table, id);
        self.tables.insert(id, Entry::Live(Box::new(Table::new(def.clone(), self.epochs.epoch))));
        Ok(def)
    }

    pub(super) fn configure(&mut self, id: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>> {
        self.serving()?;
        let table = self.table_mut(id)?;
        let changed = table.def.configured(wanted)?;
        if changed.revision != table.def.revision {
            table.def = Arc::new(changed);
            table.version += 1;
        }
        Ok(table.def.clone())
    }

    pub(super) fn writers(&self) -> Vec<WriterId> {
        self.writers.keys().copied().collect()
    }

    pub(super) fn adopt(&mut self, wanted: &TableDef) -> Result<Arc<TableDef>> {
        self.serving()?;
        match self.table_mut(wanted.id) {
            Ok(table) => {
                if judge::replaces(&table.def, wanted)? {
                    table.def = Arc::new(wanted.clone());
                    table.version += 1;
                }
                Ok(table.def.clone())
            }
            Err(Error::UnknownTable { .. }) => {
                let names = self.names.entry(wanted.database.clone()).or_default();
                if names.contains_key(&wanted.name) {
                    return Err(judge::name_taken(wanted));
                }
                names.insert(wanted.name.clone(), wanted.id);
                let def = Arc::new(wanted.clone());
                self.tables.insert(wanted.id, Entry::Live(Box::new(Table::new(def.clone(), self.epochs.epoch))));
                Ok(def)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn drop_table(&mut self, id: TableId, delete_after: Timestamp) -> Result<()> {
        self.serving()?;
        let table = match self.table(id) {
            Err(Error::Dropped { .. }) => return Ok(()),
            other => other?,
        };
        let def = table.def.clone();
        let version = table.version + 1;
        let files: Vec<_> = table.files.iter().cloned().collect();
        for file in &files {
            self.bury(&def, version, file, delete_after);
        }
        self.tables.insert(id, Entry::Dropped);
        if let Some(names) = self.names.get_mut(&def.database) {
            names.remove(&def.name);
            if names.is_empty() {
                self.names.remove(&def.database);
            }
        }
        Ok(())
    }

    fn bury(&mut self, table: &TableDef, version: u64, file: &DataFile, delete_after: Timestamp) {
        self.live.remove(&file.id);
        let path = object_path(table, file);
        let (layer, table) = (file.layer.clone(), table.id);
        let grave = Grave { table, layer, path, file: file.id, version, delete_after };
        self.graves.entry(file.id).or_default().push(grave);
    }

    pub(super) fn commit(&mut self, commit: Commit, now: Timestamp, limits: &Limits) -> Result<CommitOutcome> {
        self.serving()?;
        judge::check_epoch(commit.catalog_epoch, self.epochs.epoch)?;
        let view = View { state: self, table: self.table(commit.table)?, now };
        let (version, removed) = match judge::judge(&view, &commit, limits)? {
            Verdict::Answer(outcome) => return Ok(outcome),
            Verdict::Make { version, removed } => (version, removed),
        };
        let def = view.table.def.clone();
        for file in &removed {
            self.bury(&def, version, file, now.plus(limits.grace));
        }
        let added = judge::sequenced(commit.change.added, commit.actor, version);
        for new in &added {
            self.live.insert(new.file.id);
            // A file that comes back to a layer where it was buried is not to be deleted there.
            self.exhume(new.file.id, |grave| grave.layer == new.file.layer);
            self.statistics.remove(&new.file.id);
            if !new.statistics.is_empty() {
                self.statistics.insert(new.file.id, Arc::from(new.statistics.as_slice()));
            }
        }
        self.idempotency.retain(|_, (at, _)| now.since(*at) < limits.idempotency_window);
        for record in commit.idempotency {
            self.idempotency.entry(record.key.clone()).or_insert((now, record));
        }
        let table = self.table_mut(commit.table)?;
        for file in &removed {
            table.files.remove(file.id);
        }
        for new in added {
            table.files.insert(Arc::new(new.file));
        }
        table.version = version;
        table.record(commit.actor, commit.id, version, now, limits);
        Ok(CommitOutcome::Committed { version })
    }

    pub(super) fn idempotency_records(&self, now: Timestamp, limits: &Limits) -> Vec<IdempotencyRecord> {
        let known = self.idempotency.values().filter(|(at, _)| now.since(*at) < limits.idempotency_window);
        let mut records: Vec<_> = known.map(|(_, record)| record.clone()).collect();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        records
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, id: ClaimId, now: Timestamp) -> Result<Claim> {
        self.serving()?;
        let table = self.table_mut(request.table)?;
        let inputs: HashSet<FileId> = request.inputs.iter().copied().collect();
        if inputs.is_empty() {
            return Err(Error::Malformed { reason: "a claim names no file" });
        }
        for &file in &request.inputs {
            if table.files.get(file).is_none() {
                return Err(Error::InputChanged { file });
            }
            if table.holder(file, now).is_some() {
                return Err(Error::Claimed { file });
            }
        }
        table.claims.retain(|_, claim| claim.expires > now);
        table.claim_token += 1;
        let claim = Claim { id, token: table.claim_token, expires: now.plus(request.lease) };
        table.claims.insert(id, HeldClaim { token: claim.token, expires: claim.expires, inputs });
        Ok(claim)
    }

    pub(super) fn renew(&mut self, table: TableId, claim: Claim, lease: Duration, now: Timestamp) -> Result<Claim> {
        let held = self.table_mut(table)?.claims.get_mut(&claim.id);
        let held = held.filter(|held| held.token == claim.token && held.expires > now).ok_or(Error::ClaimLost)?;
        held.expires = now.plus(lease);
        Ok(Claim { expires: held.expires, ..claim })
    }

    pub(super) fn release(&mut self, table: TableId, claim: Claim) {
        if let Ok(table) = self.table_mut(table)
            && table.claims.get(&claim.id).is_some_and(|held| held.token == claim.token)
        {
            table.claims.remove(&claim.id);
        }
    }

    /// Files that a claim names which has not lapsed.
    pub(super) fn claimed(&self, table: TableId, now: Timestamp) -> Result<HashSet<FileId>> {
        match self.table(table) {
            Ok(table) => {
                let held = table.claims.values().filter(|claim| claim.expires > now);
                Ok(held.flat_map(|claim| claim.inputs.iter().copied()).collect())
            }
            Err(Error::Dropped { .. }) => Ok(HashSet::new()),
            Err(error) => Err(error),
        }
    }

    /// Graves whose time has come, oldest first.
    pub(super) fn graves_due(&self, now: Timestamp) -> Vec<Grave> {
        let mut due: Vec<_> =
            self.graves.values().flatten().filter(|grave| grave.delete_after <= now).cloned().collect();
        due.sort_by_key(|grave| (grave.delete_after, grave.file));
        due
    }

    /// Takes matching graves of the file away; says whether there was one.
    fn exhume(&mut self, file: FileId, matches: impl Fn(&Grave) -> bool) -> bool {
        let Some(graves) = self.graves.get_mut(&file) else { return false };
        let before = graves.len();
        graves.retain(|grave| !matches(grave));
        let found = graves.len() < before;
        if graves.is_empty() {
            self.graves.remove(&file);
        }
        found
    }

    pub(super) fn forget_graves(&mut self, graves: &[Grave], now: Timestamp, limits: &Limits) {
        self.spent.retain(|_, until| *until > now);
        for Grave { file, layer, .. } in graves {
            let file = *file;
            let forgotten = self.exhume(file, |grave| grave.layer == *layer && grave.delete_after <= now);
            if forgotten && !self.live.contains(&file) && !self.graves.contains_key(&file) {
                self.statistics.remove(&file);
                self.spent.insert(file, file.minted_at().plus(limits.file_age_max));
            }
        }
    }

    pub(super) fn export(&self, id: TableId) -> Result<TableExport> {
        let table = self.table(id)?;
        let files = table.files.iter().map(|file| NewFile {
            file: DataFile::clone(file),
            statistics: self.statistics.get(&file.id).map(|bytes| bytes.to_vec()).unwrap_or_default(),
        });
        Ok(TableExport {
            epoch: self.epochs.epoch,
            table: table.def.clone(),
            version: table.version,
            files: files.collect(),
            watermarks: HashMap::clone(&table.watermarks),
        })
    }

    pub(super) fn restore(&mut self, restore: Restore, now: Timestamp) -> Result<()> {
        judge::check_restore(&restore, self.rebuilding.map(|(epoch, _)| epoch))?;
        *self = Self::new(Epochs { catalog: restore.catalog, epoch: restore.epoch, since: now });
        for id in restore.dropped {
            self.tables.insert(id, Entry::Dropped);
        }
        for export in restore.tables {
            let mut table = Table::new(export.table, restore.epoch);
            table.version = export.version;
            for new in export.files {
                self.live.insert(new.file.id);
                if !new.statistics.is_empty() {
                    self.statistics.insert(new.file.id, Arc::from(new.statistics));
                }
                table.files.insert(Arc::new(new.file));
            }
            for writer in export.watermarks.keys() {
                self.writers.insert(*writer, judge::first_token(restore.epoch));
            }
            table.watermarks = Arc::new(export.watermarks);
            let names = self.names.entry(table.def.database.clone()).or_default();
            names.insert(table.def.name.clone(), table.def.id);
            self.tables.insert(table.def.id, Entry::Live(Box::new(table)));
        }
        Ok(())
    }
}
