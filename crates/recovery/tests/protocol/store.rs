//! The catalog of a history: the product's own memory catalog with its judge, and what can befall it.
//!
//! Every changing call is noted with its time, so that an older copy is the same calls replayed up to some moment.
//! Nothing here bypasses a check: whoever wants one removed asks in a way that passes it. The memory catalog waits for
//! nothing and has no store that fails, so calls that nobody may refuse are expected to succeed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use gigapi_catalog::{
    Catalog, Claim, ClaimRequest, CommitOutcome, Definition, Epochs, Grave, Limits, MemoryCatalog, Restore, Result,
    Snapshot, Standing, TableExport, TableState, WriterSession,
};
use gigapi_model::{
    Clock, Commit, DatabaseName, FileId, ManualClock, TableDef, TableId, TableName, TimeRange, Timestamp, WriterId,
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
    Forget(Vec<Grave>),
    Begin(u64),
    Restore(Restore),
}

/// How a catalog came to be what it is.
#[derive(Debug, Clone)]
pub(crate) struct History {
    founded: Timestamp,
    stream: u64,
    calls: Vec<(Timestamp, Call)>,
    /// It is a copy of a copy: after how many calls it went on by itself, and the stream that it minted from then on.
    branches: Vec<(usize, u64)>,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// How many calls there were when the rebuild of that epoch had closed the catalog.
    pub(crate) fn closed_at(&self, epoch: u64) -> Option<usize> {
        let is_closing = |(_, call): &(Timestamp, Call)| matches!(call, Call::Begin(begun) if *begun == epoch);
        Some(self.calls.iter().rposition(is_closing)? + 1)
    }
}

/// A catalog.
#[derive(Debug)]
pub(crate) struct Store {
    memory: MemoryCatalog,
    clock: Arc<ManualClock>,
    history: History,
    /// Identity and epoch as they were when it served last.
    epochs: Epochs,
}

fn ready<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("the memory catalog never waits")
}

impl Store {
    /// An empty catalog, as whoever lost theirs finds it.
    pub(crate) fn new(clock: &Arc<ManualClock>, limits: Limits, stream: u64) -> Self {
        let memory = MemoryCatalog::new(clock.clone(), Arc::new(ModelIds::new(stream)), limits);
        let history = History { founded: clock.now(), stream, calls: Vec::new(), branches: Vec::new() };
        Self::of(memory, clock, history)
    }

    fn of(memory: MemoryCatalog, clock: &Arc<ManualClock>, history: History) -> Self {
        let epochs = ready(memory.epochs()).expect("a new catalog serves");
        Self { memory, clock: clock.clone(), history, epochs }
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
        let mut branches = history.branches.clone();
        branches.retain(|(after, _)| *after <= calls);
        let copied = History { calls: history.calls[..calls].to_vec(), branches, ..history.clone() };
        let mut copy = Self::of(memory, clock, copied);
        for (index, (at, call)) in history.calls[..calls].iter().enumerate() {
            let went_on = copy.history.branches.iter().filter(|(after, _)| *after == index);
            went_on.for_each(|(_, stream)| ids.branch(*stream));
            clock.set(*at);
            replay(&copy.memory, call.clone());
            copy.look();
        }
        clock.set(now);
        copy.history.branches.push((calls, stream));
        ids.branch(stream);
        copy
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    fn note(&mut self, call: Call) {
        self.history.calls.push((self.clock.now(), call));
    }

    fn look(&mut self) {
        self.epochs = ready(self.memory.epochs()).unwrap_or(self.epochs);
    }

    /// Identity and epoch, as whoever asked last before a rebuild remembers them.
    pub(crate) fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// The epoch of the rebuild that keeps everybody else out.
    pub(crate) fn rebuilding(&self) -> Option<u64> {
        match ready(self.memory.standing()).expect("it is in memory") {
            Standing::Rebuilding { epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    pub(crate) fn live_tables(&self) -> Vec<Arc<TableDef>> {
        ready(self.memory.live_tables()).expect("it is in memory")
    }

    pub(crate) fn table(&self, database: &DatabaseName, name: &TableName) -> Option<Arc<TableDef>> {
        ready(self.memory.table(database, name)).expect("it is in memory")
    }

    pub(crate) fn table_state(&self, table: TableId) -> TableState {
        ready(self.memory.table_state(table)).expect("it is in memory")
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
        ready(self.memory.graves()).expect("it is in memory")
    }

    /// All buried files.
    pub(crate) fn graveyard(&self) -> Vec<Grave> {
        ready(self.memory.graveyard()).expect("it is in memory")
    }

    pub(crate) fn open_writer(&mut self, writer: WriterId) -> Result<WriterSession> {
        self.note(Call::Open(writer));
        ready(self.memory.open_writer(writer))
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

    pub(crate) fn forget_graves(&mut self, graves: Vec<Grave>) {
        self.note(Call::Forget(graves.clone()));
        ready(self.memory.forget_graves(&graves)).expect("it is in memory");
    }

    /// Files that a claim of the table names.
    pub(crate) fn claimed(&self, table: TableId) -> Result<HashSet<FileId>> {
        ready(self.memory.claimed(table))
    }

    /// A rebuild keeps everybody else out.
    pub(crate) fn begin_restore(&mut self, epoch: u64) -> Result<()> {
        self.note(Call::Begin(epoch));
        ready(self.memory.begin_restore(epoch))
    }

    /// Installs rebuilt state in place of all that was there.
    pub(crate) fn restore(&mut self, state: Restore) -> Result<()> {
        self.note(Call::Restore(state.clone()));
        let answer = ready(self.memory.restore(state));
        self.look();
        answer
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
        Call::Forget(graves) => drop(ready(memory.forget_graves(&graves))),
        Call::Begin(epoch) => drop(ready(memory.begin_restore(epoch))),
        Call::Restore(state) => drop(ready(memory.restore(state))),
    }
}
