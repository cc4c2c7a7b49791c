//! The catalog in memory: the reference of the contract, and what tests of everything above run on.
//!
//! One lock around plain maps, held for no longer than one call's own work; nothing survives the process.
//! It shares the judge with the stored implementations, so it refuses what they refuse.

mod state;
mod table;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gigapi_model::{
    CatalogId, Clock, Commit, DatabaseName, FileId, IdempotencyRecord, Ids, TableDef, TableId, TableName,
    TableSettings, TimeRange, Timestamp, WriterId,
};
use parking_lot::Mutex;

use crate::{
    Catalog, Claim, ClaimRequest, CommitOutcome, Definition, DirectReader, Epochs, Error, Freshness, Grave, Limits,
    Reader, Restore, Result, Snapshot, Standing, TableExport, TableState, WriterSession,
};
use state::State;

/// A catalog that lives as long as its process.
#[derive(Debug)]
pub struct MemoryCatalog {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    limits: Limits,
    state: Mutex<State>,
}

impl MemoryCatalog {
    /// An empty catalog under a fresh identity, at epoch 1.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, limits: Limits) -> Self {
        let epochs = Epochs { catalog: CatalogId::from_uuid(ids.random()), epoch: 1, since: clock.now() };
        Self { clock, ids, limits, state: Mutex::new(State::new(epochs)) }
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn epochs(&self) -> Result<Epochs> {
        let state = self.state.lock();
        state.serving()?;
        Ok(state.epochs)
    }

    async fn standing(&self) -> Result<Standing> {
        Ok(self.state.lock().standing(self.clock.now()))
    }

    async fn found(&self) -> Result<Epochs> {
        self.epochs().await
    }

    fn reader(self: Arc<Self>, _: Freshness) -> Arc<dyn Reader> {
        Arc::new(DirectReader(self))
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }

    async fn open_writer(&self, writer: WriterId) -> Result<WriterSession> {
        self.state.lock().open_writer(writer)
    }

    async fn writers(&self) -> Result<Vec<WriterId>> {
        Ok(self.state.lock().writers())
    }

    async fn place_writer(&self, writer: WriterId, place: &str) -> Result<()> {
        self.state.lock().places.insert(place.to_owned(), writer);
        Ok(())
    }

    async fn writer_at(&self, place: &str) -> Result<Option<WriterId>> {
        Ok(self.state.lock().places.get(place).copied())
    }

    async fn register_writer(&self, writer: WriterId, address: &str) -> Result<()> {
        self.state.lock().addresses.insert(writer, address.to_owned());
        Ok(())
    }

    async fn withdraw_writer(&self, writer: WriterId) -> Result<()> {
        self.state.lock().addresses.remove(&writer);
        Ok(())
    }

    async fn registered_writers(&self) -> Result<BTreeMap<WriterId, String>> {
        Ok(self.state.lock().addresses.clone())
    }

    async fn adopt(&self, table: &TableDef) -> Result<Arc<TableDef>> {
        self.state.lock().adopt(table)
    }

    async fn databases(&self) -> Result<Vec<DatabaseName>> {
        Ok(self.state.lock().names.keys().cloned().collect())
    }

    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>> {
        let state = self.state.lock();
        let Some(names) = state.names.get(database) else { return Ok(Vec::new()) };
        names.values().map(|id| state.table(*id).map(|table| table.def.clone())).collect()
    }

    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>> {
        let state = self.state.lock();
        let id = state.names.get(database).and_then(|names| names.get(table));
        id.map(|id| state.table(*id).map(|table| table.def.clone())).transpose()
    }

    async fn table_state(&self, table: TableId) -> Result<TableState> {
        match self.state.lock().table(table) {
            Ok(live) => Ok(TableState::Live(live.def.clone())),
            Err(Error::Dropped { .. }) => Ok(TableState::Dropped),
            Err(_) => Ok(TableState::Unknown),
        }
    }

    async fn define(&self, definition: Definition) -> Result<Arc<TableDef>> {
        let id = TableId::from_uuid(self.ids.timed(self.clock.now()));
        self.state.lock().define(definition, id, &self.limits)
    }

    async fn configure(&self, table: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>> {
        self.state.lock().configure(table, wanted)
    }

    async fn live_tables(&self) -> Result<Vec<Arc<TableDef>>> {
        let state = self.state.lock();
        let ids = state.names.values().flat_map(|names| names.values());
        ids.map(|id| state.table(*id).map(|table| table.def.clone())).collect()
    }

    async fn drop_table(&self, table: TableId) -> Result<()> {
        let delete_after = self.clock.now().plus(self.limits.grace);
        self.state.lock().drop_table(table, delete_after)
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome>> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        commits.into_iter().map(|commit| state.commit(commit, now, &self.limits)).collect()
    }

    async fn snapshot(&self, table: TableId, range: TimeRange) -> Result<Snapshot> {
        let state = self.state.lock();
        let table = state.table(table)?;
        Ok(Snapshot {
            version: table.version,
            table: table.def.clone(),
            files: table.files.within(range),
            watermarks: table.watermarks.clone(),
        })
    }

    async fn version(&self, table: TableId) -> Result<u64> {
        Ok(self.state.lock().table(table)?.version)
    }

    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        let state = self.state.lock();
        state.table(table)?;
        Ok(files.iter().filter_map(|id| Some((*id, state.statistics.get(id)?.clone()))).collect())
    }

    async fn idempotency_records(&self) -> Result<Vec<IdempotencyRecord>> {
        Ok(self.state.lock().idempotency_records(self.clock.now(), &self.limits))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let id = gigapi_model::ClaimId::from_uuid(self.ids.random());
        self.state.lock().claim(&request, id, self.clock.now())
    }

    async fn renew(&self, table: TableId, claim: Claim, lease: Duration) -> Result<Claim> {
        self.state.lock().renew(table, claim, lease, self.clock.now())
    }

    async fn release(&self, table: TableId, claim: Claim) -> Result<()> {
        self.state.lock().release(table, claim);
        Ok(())
    }

    async fn claimed(&self, table: TableId) -> Result<HashSet<FileId>> {
        self.state.lock().claimed(table, self.clock.now())
    }

    async fn graves(&self) -> Result<Vec<Grave>> {
        Ok(self.state.lock().graves_due(self.clock.now()))
    }

    async fn graveyard(&self) -> Result<Vec<Grave>> {
        Ok(self.state.lock().graves_due(Timestamp::MAX))
    }

    async fn forget_graves(&self, graves: &[Grave]) -> Result<()> {
        self.state.lock().forget_graves(graves, self.clock.now(), &self.limits);
        Ok(())
    }

    async fn export(&self, table: TableId) -> Result<TableExport> {
        self.state.lock().export(table)
    }

    async fn begin_restore(&self, epoch: u64) -> Result<()> {
        self.state.lock().begin_restore(epoch, self.clock.now())
    }

    async fn restore(&self, restore: Restore) -> Result<()> {
        self.state.lock().restore(restore, self.clock.now())
    }
    async fn overtaken(&self, epoch: u64) -> Result<()> {
        crate::judge::reached(self.begin_restore(epoch).await)
    }
}
