//! The catalog of a history: the product's own memory catalog with its judge, and what can befall it.
//!
//! Every changing call is noted with its time, so that an older copy is the same calls replayed up to some moment.
//! Nothing here bypasses a check: whoever wants one removed asks in a way that passes it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use gigapi_catalog::{
    Catalog, Claim, ClaimRequest, CommitOutcome, Definition, Epochs, Error, Grave, Limits, MemoryCatalog, Restore,
    Result, Snapshot, TableExport, TableState, WriterSession,
};
use gigapi_model::{
    CatalogId, Clock, Commit, DatabaseName, FileId, ManualClock, TableDef, TableId, TableName, TimeRange, Timestamp,
    WriterId,
};

use crate::random::ModelIds;

/// A changing call.
#[derive(Debug, Clone)]
enum Call {
    Open(WriterId),
    Define(Definition),
    Adopt(Arc<TableDef>),
    Drop(TableId),
    Commit(Commit),
    Claim(ClaimRequest),
    Renew(TableId, Claim, Duration),
    Forget(Vec<FileId>),
    Restore(Restore),
}

/// How a catalog came to be what it is.
#[derive(Debug, Clone)]
pub(crate) struct History {
    founded: Timestamp,
    stream: u64,
    calls: Vec<(Timestamp, Call)>,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

/// A catalog.
#[derive(Debug)]
pub(crate) struct Store {
    memory: MemoryCatalog,
    clock: Arc<ManualClock>,
    history: History,
    /// The epoch that a rebuild announced; none before the first.
    reserved: Option<u64>,
}

fn ready<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("the memory catalog never waits")
}

impl Store {
    /// An empty catalog, as whoever lost theirs finds it.
    pub(crate) fn new(clock: &Arc<ManualClock>, limits: Limits, stream: u64) -> Self {
        let memory = MemoryCatalog::new(clock.clone(), Arc::new(ModelIds::new(stream)), limits);
        let history = History { founded: clock.now(), stream, calls: Vec::new() };
        Self { memory, clock: clock.clone(), history, reserved: None }
    }

    /// The copy that was made after so many calls of a history. What it mints from here on goes by `stream`.
    pub(crate) fn copy_of(
        history: &History,
        calls: usize,
        clock: &Arc<ManualClock>,
        limits: Limits,
        stream: u64,
    ) -> Self {
        let now = clock.now();
        clock.set(history.founded);
        let ids = Arc::new(ModelIds::new(history.stream));
        let memory = MemoryCatalog::new(clock.clone(), ids.clone(), limits);
        for (at, call) in &history.calls[..calls] {
            clock.set(*at);
            replay(&memory, call.clone());
        }
        clock.set(now);
        ids.branch(stream);
        let history = History { calls: history.calls[..calls].to_vec(), ..history.clone() };
        Self { memory, clock: clock.clone(), history, reserved: None }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    fn note(&mut self, call: Call) {
        self.history.calls.push((self.clock.now(), call));
    }

    pub(crate) fn epochs(&self) -> Epochs {
        ready(self.memory.epochs()).unwrap()
    }

    pub(crate) fn live_tables(&self) -> Vec<Arc<TableDef>> {
        ready(self.memory.live_tables()).unwrap()
    }

    pub(crate) fn table(&self, database: &DatabaseName, name: &TableName) -> Option<Arc<TableDef>> {
        ready(self.memory.table(database, name)).unwrap()
    }

    pub(crate) fn table_state(&self, table: TableId) -> TableState {
        ready(self.memory.table_state(table)).unwrap()
    }

    /// The definition, if the table is live.
    pub(crate) fn live(&self, table: TableId) -> Option<Arc<TableDef>> {
        match self.table_state(table) {
            TableState::Live(def) => Some(def),
            TableState::Dropped | TableState::Unknown => None,
        }
    }

    pub(crate) fn snapshot(&self, table: TableId) -> Result<Snapshot> {
        ready(self.memory.snapshot(table, TimeRange::ALL))
    }

    pub(crate) fn export(&self, table: TableId) -> Result<TableExport> {
        ready(self.memory.export(table))
    }

    /// Buried files whose time has come.
    pub(crate) fn graves(&self) -> Vec<Grave> {
        ready(self.memory.graves()).unwrap()
    }

    /// All buried files: the contract lists only those whose time has come, so the clock is put forward.
    pub(crate) fn all_graves(&self) -> Vec<Grave> {
        let now = self.clock.now();
        self.clock.set(Timestamp::MAX);
        let graves = self.graves();
        self.clock.set(now);
        graves
    }

    pub(crate) fn open_writer(&mut self, writer: WriterId) -> WriterSession {
        self.note(Call::Open(writer));
        ready(self.memory.open_writer(writer)).unwrap()
    }

    pub(crate) fn define(&mut self, definition: Definition) -> Result<Arc<TableDef>> {
        self.note(Call::Define(definition.clone()));
        ready(self.memory.define(definition))
    }

    pub(crate) fn adopt(&mut self, def: Arc<TableDef>) -> Result<Arc<TableDef>> {
        self.note(Call::Adopt(def.clone()));
        ready(self.memory.adopt(&def))
    }

    pub(crate) fn drop_table(&mut self, table: TableId) -> Result<()> {
        self.note(Call::Drop(table));
        ready(self.memory.drop_table(table))
    }

    pub(crate) fn commit(&mut self, commit: Commit) -> Result<CommitOutcome> {
        self.note(Call::Commit(commit.clone()));
        ready(self.memory.commit(vec![commit])).remove(0)
    }

    pub(crate) fn claim(&mut self, request: ClaimRequest) -> Result<Claim> {
        self.note(Call::Claim(request.clone()));
        ready(self.memory.claim(request))
    }

    pub(crate) fn renew(&mut self, table: TableId, claim: Claim, lease: Duration) -> Result<Claim> {
        self.note(Call::Renew(table, claim, lease));
        ready(self.memory.renew(table, claim, lease))
    }

    pub(crate) fn forget_graves(&mut self, files: Vec<FileId>) {
        self.note(Call::Forget(files.clone()));
        ready(self.memory.forget_graves(&files)).unwrap();
    }

    /// A rebuild says under which epoch it will restore; a later one takes the place of an earlier one. Refused
    /// once the catalog is `owner`'s, with or without tables.
    pub(crate) fn reserve(&mut self, epoch: u64, owner: CatalogId) -> bool {
        let epochs = self.epochs();
        let granted = epochs.catalog != owner && epochs.epoch <= epoch && self.reserved <= Some(epoch);
        if granted {
            self.reserved = Some(epoch);
        }
        granted
    }

    /// Whether the catalog is to be restored under this epoch.
    pub(crate) fn is_reserved(&self, epoch: u64) -> bool {
        self.reserved == Some(epoch)
    }

    /// Installs rebuilt state; under the announced epoch alone, if there has to be one.
    pub(crate) fn restore(&mut self, state: Restore, announced: bool) -> Result<()> {
        if announced && self.reserved != Some(state.epoch) {
            let current = self.reserved.unwrap_or(0);
            return Err(Error::StaleEpoch { current, known: state.epoch });
        }
        self.note(Call::Restore(state.clone()));
        ready(self.memory.restore(state))
    }
}

/// The same call again, on a copy. The answer is the one that was given then.
fn replay(memory: &MemoryCatalog, call: Call) {
    match call {
        Call::Open(writer) => drop(ready(memory.open_writer(writer))),
        Call::Define(definition) => drop(ready(memory.define(definition))),
        Call::Adopt(def) => drop(ready(memory.adopt(&def))),
        Call::Drop(table) => drop(ready(memory.drop_table(table))),
        Call::Commit(commit) => drop(ready(memory.commit(vec![commit]))),
        Call::Claim(request) => drop(ready(memory.claim(request))),
        Call::Renew(table, claim, lease) => drop(ready(memory.renew(table, claim, lease))),
        Call::Forget(files) => drop(ready(memory.forget_graves(&files))),
        Call::Restore(state) => drop(ready(memory.restore(state))),
    }
}
