//! The catalog in Redis, for several processes on several machines.
//!
//! A table's whole state lies in one slot and changes by one script, under a revision whose number goes up by one
//! with each change and whose mark no other change has: this process judges a change over the revision that it read, and the script makes it only if the table is
//! still there. A registry, in a slot of its own, maps names to tables; a name is taken before its table is made and
//! freed after it is dropped, and a name without a live table is no table. Nothing here holds a lock on the server,
//! and nothing relies on a message arriving: a lost answer is asked for again under the same commit id.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::{
    Clock, Commit, DatabaseName, FileId, IdempotencyRecord, Ids, TableDef, TableId, TableName, TableSettings,
    TimeRange, Timestamp, WriterId,
};
use parking_lot::Mutex;
use redis::Script;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::{
    Catalog, Claim, ClaimRequest, CommitOutcome, Definition, Epochs, Error, Freshness, Grave, Limits, Reader, Restore,
    Result, Snapshot, Standing, TableExport, TableState, WriterSession,
};

mod commit;
mod connection;
mod graves;
mod keys;
mod reader;
mod registry;
mod replica;
mod scripts;
mod standing;
mod state;
mod table;

use connection::Connection;
pub use connection::RedisOptions;
use keys::{RegistryKeys, TableKeys};
use reader::RedisReader;
use replica::Replica;
use standing::Seen;

/// Tables that one call works on at the same time.
const TABLES_AT_ONCE: usize = 64;

#[derive(Debug)]
struct Scripts {
    read: Script,
    apply: Script,
    fence: Script,
    remove: Script,
    settle: Script,
    found: Script,
    register: Script,
    unregister: Script,
    raise: Script,
    suspect: Script,
    begin: Script,
    restore: Script,
}

/// A catalog in Redis. Clones share connection and replicas.
#[derive(Clone)]
pub struct RedisCatalog(Arc<Shared>);

struct Shared {
    connection: Connection,
    prefix: String,
    registry: RegistryKeys,
    scripts: Scripts,
    ids: Arc<dyn Ids>,
    limits: Limits,
    /// In place of the server's time, for tests.
    clock: Option<Arc<dyn Clock>>,
    replicas: Mutex<HashMap<TableId, Arc<AsyncMutex<Replica>>>>,
    seen: Mutex<Seen>,
    /// Until when queries do not ask the server, because it did not answer just now.
    unreachable_until: Mutex<Option<Instant>>,
}

impl fmt::Debug for RedisCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCatalog").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl RedisCatalog {
    /// Connects and checks the server's persistence. Founds nothing: an empty server may be one that was emptied.
    pub async fn open(url: &str, options: &RedisOptions, ids: Arc<dyn Ids>, limits: Limits) -> Result<Self> {
        Self::open_at(url, options, ids, limits, None).await
    }

    async fn open_at(
        url: &str,
        options: &RedisOptions,
        ids: Arc<dyn Ids>,
        limits: Limits,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        let connection = Connection::open(url, options).await?;
        let scripts = Scripts {
            read: Script::new(scripts::READ),
            apply: Script::new(scripts::APPLY),
            fence: Script::new(scripts::FENCE),
            remove: Script::new(scripts::REMOVE),
            settle: Script::new(scripts::SETTLE),
            found: Script::new(scripts::FOUND),
            register: Script::new(scripts::REGISTER),
            unregister: Script::new(scripts::UNREGISTER),
            raise: Script::new(scripts::RAISE),
            suspect: Script::new(scripts::SUSPECT),
            begin: Script::new(scripts::BEGIN),
            restore: Script::new(scripts::RESTORE),
        };
        let catalog = Self(Arc::new(Shared {
            connection,
            registry: RegistryKeys::new(&options.prefix),
            prefix: options.prefix.clone(),
            scripts,
            ids,
            limits,
            clock,
            replicas: Mutex::default(),
            seen: Mutex::default(),
            unreachable_until: Mutex::default(),
        }));
        // Whatever its standing: whoever opens it decides what is to be done.
        catalog.standing().await?;
        Ok(catalog)
    }

    /// Commands and scripts that this process has sent to Redis.
    pub fn round_trips(&self) -> u64 {
        self.0.connection.round_trips()
    }

    fn keys(&self, table: TableId) -> TableKeys {
        TableKeys::new(&self.0.prefix, table)
    }

    fn replica(&self, table: TableId) -> Arc<AsyncMutex<Replica>> {
        Arc::clone(self.0.replicas.lock().entry(table).or_default())
    }

    /// The present: the server's, or that of a test.
    fn present(&self, server: Timestamp) -> Timestamp {
        self.0.clock.as_ref().map_or(server, |clock| clock.now())
    }
}

#[async_trait]
impl Catalog for RedisCatalog {
    async fn epochs(&self) -> Result<Epochs> {
        self.attend().await
    }

    async fn standing(&self) -> Result<Standing> {
        self.read_standing().await
    }

    async fn found(&self) -> Result<Epochs> {
        self.found_catalog().await
    }

    fn reader(self: Arc<Self>, freshness: Freshness) -> Arc<dyn Reader> {
        Arc::new(RedisReader::new(self.as_ref().clone(), freshness))
    }

    async fn now(&self) -> Result<Timestamp> {
        if let Some(clock) = &self.0.clock {
            return Ok(clock.now());
        }
        replica::server_time(self.0.connection.run(&redis::cmd("TIME")).await?)
    }

    async fn open_writer(&self, writer: WriterId) -> Result<WriterSession> {
        self.raise_writer(writer).await
    }

    async fn writers(&self) -> Result<Vec<WriterId>> {
        self.read_writers().await
    }

    async fn place_writer(&self, writer: WriterId, place: &str) -> Result<()> {
        let mut command = redis::cmd("HSET");
        command.arg(&self.0.registry.places).arg(place).arg(writer.to_string());
        self.0.connection.run::<u64>(&command).await.map(drop)
    }

    async fn writer_at(&self, place: &str) -> Result<Option<WriterId>> {
        let mut command = redis::cmd("HGET");
        command.arg(&self.0.registry.places).arg(place);
        let found: Option<String> = self.0.connection.run(&command).await?;
        found.map(|id| registry::writer_id(&id)).transpose()
    }

    async fn register_writer(&self, writer: WriterId, address: &str) -> Result<()> {
        let mut command = redis::cmd("HSET");
        command.arg(&self.0.registry.addresses).arg(writer.to_string()).arg(address);
        self.0.connection.run::<u64>(&command).await.map(drop)
    }

    async fn withdraw_writer(&self, writer: WriterId) -> Result<()> {
        let mut command = redis::cmd("HDEL");
        command.arg(&self.0.registry.addresses).arg(writer.to_string());
        self.0.connection.run::<u64>(&command).await.map(drop)
    }

    async fn registered_writers(&self) -> Result<BTreeMap<WriterId, String>> {
        let mut command = redis::cmd("HGETALL");
        command.arg(&self.0.registry.addresses);
        let found: HashMap<String, String> = self.0.connection.run(&command).await?;
        found.into_iter().map(|(id, address)| Ok((registry::writer_id(&id)?, address))).collect()
    }

    async fn adopt(&self, table: &TableDef) -> Result<Arc<TableDef>> {
        self.adopt_table(table).await
    }

    async fn databases(&self) -> Result<Vec<DatabaseName>> {
        // A database whose only name is half made or half freed is told from the tables.
        let databases: BTreeSet<DatabaseName> =
            self.live_tables().await?.into_iter().map(|table| table.database.clone()).collect();
        Ok(databases.into_iter().collect())
    }

    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>> {
        self.read_tables(Some(database)).await
    }

    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>> {
        let Some(id) = self.named(database, table).await? else {
            // A name that is missing may be missing because the catalog is.
            self.attend().await?;
            return Ok(None);
        };
        Ok(self.read_head(id).await?.and_then(|head| head.def))
    }

    async fn table_state(&self, table: TableId) -> Result<TableState> {
        Ok(match self.read_head(table).await? {
            Some(head) => head.def.map_or(TableState::Dropped, TableState::Live),
            None => {
                self.attend().await?;
                if self.was_dropped(table).await? { TableState::Dropped } else { TableState::Unknown }
            }
        })
    }

    async fn define(&self, definition: Definition) -> Result<Arc<TableDef>> {
        self.define_table(definition).await
    }

    async fn configure(&self, table: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>> {
        self.configure_table(table, wanted).await
    }

    async fn live_tables(&self) -> Result<Vec<Arc<TableDef>>> {
        self.read_tables(None).await
    }

    async fn drop_table(&self, table: TableId) -> Result<()> {
        self.bury_table(table).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome>> {
        // Those of one table one after the other, those of different tables at once.
        let mut by_table: HashMap<TableId, Vec<(usize, Commit)>> = HashMap::new();
        let count = commits.len();
        for (index, commit) in commits.into_iter().enumerate() {
            by_table.entry(commit.table).or_default().push((index, commit));
        }
        let groups = by_table.into_values().map(|group| async move {
            let mut answers = Vec::with_capacity(group.len());
            for (index, commit) in group {
                answers.push((index, self.commit_one(commit).await));
            }
            answers
        });
        let mut answers: Vec<_> = futures::stream::iter(groups)
            .buffer_unordered(TABLES_AT_ONCE)
            .flat_map(futures::stream::iter)
            .collect()
            .await;
        debug_assert_eq!(answers.len(), count);
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn snapshot(&self, table: TableId, range: TimeRange) -> Result<Snapshot> {
        self.look(table, &[], |replica, _| {
            Ok(Snapshot {
                version: replica.version,
                table: table::live(replica, table)?,
                files: replica.files.within(range),
                watermarks: Arc::clone(&replica.watermarks),
            })
        })
        .await
    }

    async fn version(&self, table: TableId) -> Result<u64> {
        match self.read_head(table).await? {
            Some(head) if head.def.is_some() => Ok(head.version),
            Some(_) => Err(Error::Dropped { table }),
            None => {
                self.attend().await?;
                Err(if self.was_dropped(table).await? {
                    Error::Dropped { table }
                } else {
                    Error::UnknownTable { table }
                })
            }
        }
    }

    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        self.read_statistics(table, files).await
    }

    async fn idempotency_records(&self) -> Result<Vec<IdempotencyRecord>> {
        let now = self.now().await?;
        let tables: Vec<TableId> = self.names().await?.into_iter().map(|(_, id)| id).collect();
        let found: Vec<Vec<(Timestamp, IdempotencyRecord)>> = futures::stream::iter(tables)
            .map(|table| self.read_idempotency(table, now))
            .buffer_unordered(TABLES_AT_ONCE)
            .try_collect()
            .await?;
        let mut records: Vec<_> = found.into_iter().flatten().collect();
        records.sort_by(|(at_a, a), (at_b, b)| (&a.key, at_a).cmp(&(&b.key, at_b)));
        // The first answer is the one that counts, whichever table's commit brought it.
        records.dedup_by(|(_, later), (_, first)| later.key == first.key);
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        self.claim_files(request).await
    }

    async fn renew(&self, table: TableId, claim: Claim, lease: Duration) -> Result<Claim> {
        self.renew_claim(table, claim, lease).await
    }

    async fn release(&self, table: TableId, claim: Claim) -> Result<()> {
        self.release_claim(table, claim).await
    }

    async fn claimed(&self, table: TableId) -> Result<HashSet<FileId>> {
        let claimed = self.look(table, &[], |replica, look| {
            table::live(replica, table)?;
            Ok(replica.ledger.claimed(look.now))
        });
        match claimed.await {
            Err(Error::Dropped { .. }) => Ok(HashSet::new()),
            other => other,
        }
    }

    async fn graves(&self) -> Result<Vec<Grave>> {
        let now = self.now().await?;
        self.read_graves_due(now).await
    }

    async fn graveyard(&self) -> Result<Vec<Grave>> {
        self.read_graves_due(Timestamp::MAX).await
    }

    async fn forget_graves(&self, graves: &[Grave]) -> Result<()> {
        self.forget(graves).await
    }

    async fn export(&self, table: TableId) -> Result<TableExport> {
        self.export_table(table).await
    }

    async fn begin_restore(&self, epoch: u64) -> Result<()> {
        self.begin(epoch).await
    }

    async fn restore(&self, state: Restore) -> Result<()> {
        self.restore_all(state).await
    }

    async fn overtaken(&self, epoch: u64) -> Result<()> {
        self.overtake(epoch).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
