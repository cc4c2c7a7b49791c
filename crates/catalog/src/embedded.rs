//! The catalog in one SQLite file, for one host.
//!
//! Changes go through one thread that groups them into transactions (`queue`); reads come from memory that
//! one connection keeps current (`cache`). Several processes of a host may share the file: SQLite orders
//! their transactions, and each notices what the others did. No call waits for the disk on the caller's
//! thread.

mod cache;
mod claims;
mod commit;
mod define;
mod graves;
mod log;
mod queue;
mod schema;
mod sql;
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gigapi_model::{
    ClaimId, Clock, Commit, DatabaseName, FileId, IdempotencyRecord, Ids, TableDef, TableId, TableName, TableSettings,
    TimeRange, Timestamp, WriterId,
};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    Catalog, Claim, ClaimRequest, CommitOutcome, Definition, DirectReader, Epochs, Error, Freshness, Grave, Limits,
    Reader, Restore, Result, Snapshot, Standing, TableExport, TableState, WriterSession,
};
use cache::{Cache, Registry};
use queue::Queue;

/// How long a caller's thread waits for another reader who answers from memory; longer waits are handed to
/// a thread that may block.
const LOCK_WAIT: Duration = Duration::from_micros(100);

/// A catalog in one SQLite file.
#[derive(Debug)]
pub struct EmbeddedCatalog {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    limits: Arc<Limits>,
    queue: Queue,
    cache: Arc<Mutex<Cache>>,
    /// Held by whoever reads on a blocking thread: a crowd of them would only keep a thread each for waiting.
    turn: Arc<AsyncMutex<()>>,
}

impl EmbeddedCatalog {
    /// Opens or makes `catalog.sqlite` in `folder`, which is made too; blocks for a few milliseconds.
    ///
    /// Answers `Corrupt` for a file that is no catalog, is damaged, or has a newer format, and
    /// `Unavailable` where the file cannot be opened or written. Definitions and files are read when they
    /// are first asked for.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, limits: Limits) -> Result<Self> {
        let writing = schema::open(folder, clock.as_ref(), ids.as_ref())?;
        let cache = Cache::new(schema::open_again(folder)?);
        let (queue, cache) = (Queue::start(writing)?, Arc::new(Mutex::new(cache)));
        Ok(Self { clock, ids, limits: Arc::new(limits), queue, cache, turn: Arc::default() })
    }

    /// Answers from memory where that is current and holds what is asked for, else on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        in_memory: impl FnOnce(&Cache) -> Option<Result<T>> + Send,
        refreshed: impl FnOnce(&mut Cache) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = self
            .cache
            .try_lock_for(LOCK_WAIT)
            .and_then(|cache| if cache.is_current() { in_memory(&cache) } else { None });
        match answer {
            Some(answer) => answer,
            None => self.block(refreshed).await,
        }
    }

    /// Runs `work` on a blocking thread, on memory that is current when it starts.
    async fn block<T: Send + 'static>(&self, work: impl FnOnce(&mut Cache) -> Result<T> + Send + 'static) -> Result<T> {
        let (cache, turn) = (self.cache.clone(), Arc::clone(&self.turn).lock_owned().await);
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut cache = cache.lock();
            cache.refresh()?;
            work(&mut cache)
        });
        task.await.map_err(|error| Error::Unavailable { reason: format!("reading failed: {error}") })?
    }

    /// Answers from the definitions.
    async fn look<T: Send + 'static>(&self, look: impl Fn(&Registry) -> T + Clone + Send + 'static) -> Result<T> {
        let again = look.clone();
        self.read(move |cache| Some(Ok(look(cache.registry()))), move |cache| Ok(again(cache.registry()))).await
    }
}

#[async_trait]
impl Catalog for EmbeddedCatalog {
    async fn epochs(&self) -> Result<Epochs> {
        self.read(|cache| Some(cache.epochs()), |cache| cache.epochs()).await
    }

    async fn standing(&self) -> Result<Standing> {
        let clock = Arc::clone(&self.clock);
        self.block(move |cache| state::standing(&cache.connection, clock.now())).await
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
        self.queue.run(move |connection| claims::open_writer(connection, writer)).await
    }

    async fn writers(&self) -> Result<Vec<WriterId>> {
        self.queue.run(claims::writers).await
    }

    async fn place_writer(&self, writer: WriterId, place: &str) -> Result<()> {
        let place = place.to_owned();
        self.queue.run(move |connection| claims::place_writer(connection, writer, &place)).await
    }

    async fn writer_at(&self, place: &str) -> Result<Option<WriterId>> {
        let place = place.to_owned();
        self.queue.run(move |connection| claims::writer_at(connection, &place)).await
    }

    async fn register_writer(&self, writer: WriterId, address: &str) -> Result<()> {
        let address = address.to_owned();
        self.queue.run(move |connection| claims::register_writer(connection, writer, &address)).await
    }

    async fn withdraw_writer(&self, writer: WriterId) -> Result<()> {
        self.queue.run(move |connection| claims::withdraw_writer(connection, writer)).await
    }

    async fn registered_writers(&self) -> Result<BTreeMap<WriterId, String>> {
        self.queue.run(claims::registered_writers).await
    }

    async fn adopt(&self, table: &TableDef) -> Result<Arc<TableDef>> {
        let table = table.clone();
        self.queue.run(move |connection| define::adopt(connection, &table)).await
    }

    async fn databases(&self) -> Result<Vec<DatabaseName>> {
        self.look(|registry| registry.names.keys().cloned().collect()).await
    }

    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>> {
        let database = database.clone();
        self.look(move |registry| {
            registry.names.get(&database).map(|names| names.values().cloned().collect()).unwrap_or_default()
        })
        .await
    }

    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>> {
        let (database, table) = (database.clone(), table.clone());
        self.look(move |registry| registry.names.get(&database)?.get(&table).cloned()).await
    }

    async fn table_state(&self, table: TableId) -> Result<TableState> {
        self.look(move |registry| registry.state(table)).await
    }

    async fn define(&self, definition: Definition) -> Result<Arc<TableDef>> {
        // Most definitions ask for nothing new, and what memory refuses the file refuses too.
        if let Some(table) = self.table(&definition.database, &definition.table).await?
            && table.with_columns(&definition.columns, self.limits.columns_max)?.revision == table.revision
        {
            return Ok(table);
        }
        let id = TableId::from_uuid(self.ids.timed(self.clock.now()));
        let limits = self.limits.clone();
        self.queue.run(move |connection| define::define(connection, &definition, id, &limits)).await
    }

    async fn configure(&self, table: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>> {
        let wanted = wanted.clone();
        self.queue.run(move |connection| define::configure(connection, table, &wanted)).await
    }

    async fn live_tables(&self) -> Result<Vec<Arc<TableDef>>> {
        self.look(|registry| registry.names.values().flat_map(|names| names.values().cloned()).collect()).await
    }

    async fn drop_table(&self, table: TableId) -> Result<()> {
        let delete_after = self.clock.now().plus(self.limits.grace);
        self.queue.run(move |connection| define::drop_table(connection, table, delete_after)).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome>> {
        let (clock, limits, count) = (self.clock.clone(), self.limits.clone(), commits.len());
        let work =
            move |connection: &rusqlite::Connection| commit::commit_all(connection, commits, clock.now(), &limits);
        match self.queue.run(work).await {
            Ok(answers) => answers,
            Err(Error::Recovering { reason }) => {
                (0..count).map(|_| Err(Error::Recovering { reason: reason.clone() })).collect()
            }
            Err(error) => {
                let reason = match error {
                    Error::Unavailable { reason } => reason,
                    other => other.to_string(),
                };
                (0..count).map(|_| Err(Error::Unavailable { reason: reason.clone() })).collect()
            }
        }
    }

    async fn snapshot(&self, table: TableId, range: TimeRange) -> Result<Snapshot> {
        let in_memory = move |cache: &Cache| cache.snapshot_in_memory(table, range);
        self.read(in_memory, move |cache| cache.snapshot(table, range)).await
    }

    async fn version(&self, table: TableId) -> Result<u64> {
        let read = move |cache: &mut Cache| sql::locate(&cache.connection, table).map(|found| found.version);
        self.read(move |cache| cache.version_in_memory(table), read).await
    }

    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        let files = files.to_vec();
        self.block(move |cache| {
            sql::locate(&cache.connection, table)?;
            cache.statistics(&files)
        })
        .await
    }

    async fn idempotency_records(&self) -> Result<Vec<IdempotencyRecord>> {
        let (clock, limits) = (self.clock.clone(), self.limits.clone());
        self.block(move |cache| graves::idempotency(&cache.connection, clock.now(), &limits)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let (clock, id) = (self.clock.clone(), ClaimId::from_uuid(self.ids.random()));
        self.queue.run(move |connection| claims::claim(connection, &request, id, clock.now())).await
    }

    async fn renew(&self, table: TableId, claim: Claim, lease: Duration) -> Result<Claim> {
        let clock = self.clock.clone();
        self.queue.run(move |connection| claims::renew(connection, table, claim, lease, clock.now())).await
    }

    async fn release(&self, _table: TableId, claim: Claim) -> Result<()> {
        self.queue.run(move |connection| claims::release(connection, claim)).await
    }

    async fn claimed(&self, table: TableId) -> Result<HashSet<FileId>> {
        let clock = self.clock.clone();
        self.block(move |cache| claims::claimed(&cache.connection, table, clock.now())).await
    }

    async fn graves(&self) -> Result<Vec<Grave>> {
        let clock = self.clock.clone();
        self.block(move |cache| graves::due(&cache.connection, clock.now())).await
    }

    async fn graveyard(&self) -> Result<Vec<Grave>> {
        self.block(move |cache| graves::due(&cache.connection, Timestamp::MAX)).await
    }

    async fn forget_graves(&self, graves: &[Grave]) -> Result<()> {
        let (gone, clock, limits) = (graves.to_vec(), self.clock.clone(), self.limits.clone());
        self.queue.run(move |connection| graves::forget(connection, &gone, clock.now(), &limits)).await
    }

    async fn export(&self, table: TableId) -> Result<TableExport> {
        self.block(move |cache| cache.in_transaction(|cache| state::export(&cache.connection, table))).await
    }

    async fn begin_restore(&self, epoch: u64) -> Result<()> {
        let clock = self.clock.clone();
        self.queue.run(move |connection| state::begin_restore(connection, epoch, clock.now())).await
    }

    async fn restore(&self, restore: Restore) -> Result<()> {
        let clock = self.clock.clone();
        self.queue.run(move |connection| state::restore(connection, &restore, clock.now())).await
    }
    async fn overtaken(&self, epoch: u64) -> Result<()> {
        crate::judge::reached(self.begin_restore(epoch).await)
    }
}

#[cfg(test)]
mod tests;
