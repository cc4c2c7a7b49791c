//! A query's view of the catalog in Redis: what this process holds, brought up to the server at most once for each
//! table, and not at all where it is young enough.
//!
//! Where the server cannot be asked, or says that it is not what it was, what was known last is answered and the
//! answer says how old it is. That is right for a query and for nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::{DatabaseName, ErrorKind, FileId, TableDef, TableId, TableName, WriterId};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::replica::Replica;
use super::standing::Names;
use super::{RedisCatalog, TABLES_AT_ONCE};
use crate::{Error, Freshness, Reader, Result, Snapshot};

/// How long queries go without asking a server that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct RedisReader {
    catalog: RedisCatalog,
    /// What was asked for at or after this moment is current enough.
    since: Instant,
    stale: Mutex<Option<Duration>>,
}

/// Whether an answer from memory takes the place of this error.
fn is_bearable(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable
}

impl RedisReader {
    pub(super) fn new(catalog: RedisCatalog, freshness: Freshness) -> Self {
        let now = Instant::now();
        Self { catalog, since: now.checked_sub(freshness.age_max).unwrap_or(now), stale: Mutex::default() }
    }

    /// Notes that an answer is this old.
    fn is_stale(&self, age: Duration) {
        let mut stale = self.stale.lock();
        *stale = Some(stale.map_or(age, |known| known.max(age)));
    }

    /// An error at once if the server did not answer a moment ago.
    fn reachable(&self) -> Result<()> {
        match *self.catalog.0.unreachable_until.lock() {
            Some(until) if Instant::now() < until => {
                Err(Error::Unavailable { reason: "Redis did not answer just now".to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Spares the next queries the wait for a server that does not answer.
    fn note(&self, error: &Error) {
        if matches!(error, Error::Unavailable { .. }) {
            let (mut until, now) = (self.catalog.0.unreachable_until.lock(), Instant::now());
            // An error that only says that the pause lasts must not prolong it.
            if until.is_none_or(|until| now >= until) {
                *until = Some(now + PAUSE);
            }
        }
    }

    /// The names, and why they may be old.
    async fn names(&self) -> Result<(Arc<Names>, Option<Error>)> {
        let asked = match self.reachable() {
            Ok(()) => self.catalog.names_since(self.since).await,
            Err(error) => Err(error),
        };
        match asked {
            Err(error) if is_bearable(&error) => {
                self.note(&error);
                let Some((names, age)) = self.catalog.names_stale() else { return Err(error) };
                self.is_stale(age);
                Ok((names, Some(error)))
            }
            other => other.map(|names| (names, None)),
        }
    }

    /// The table as it is current enough, or as it was known last.
    async fn with_replica<T>(
        &self,
        table: TableId,
        floors: &[(WriterId, u64)],
        uses: impl FnOnce(&mut Replica) -> Result<T>,
    ) -> Result<T> {
        let replica = self.catalog.replica(table);
        let mut replica = replica.lock().await;
        let reached = |replica: &Replica| {
            let seen = |writer: &WriterId| replica.watermarks.get(writer).copied().unwrap_or(0);
            floors.iter().all(|(writer, floor)| seen(writer) >= *floor)
        };
        if replica.is_since(self.since) && reached(&replica) {
            return uses(&mut replica);
        }
        let asked = match self.reachable() {
            Ok(()) => match self.catalog.unlost().await {
                Ok(()) => self.catalog.refresh(table, &mut replica, &[]).await.map(drop),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match asked {
            Err(error) if is_bearable(&error) => {
                self.note(&error);
                if !replica.is_known() || !reached(&replica) {
                    return Err(error);
                }
                self.is_stale(replica.age());
            }
            other => other?,
        }
        uses(&mut replica)
    }

    /// The table's definition without its files; none if the server cannot be asked.
    async fn head(&self, table: TableId) -> Result<Option<Option<Arc<TableDef>>>> {
        let asked = match self.reachable() {
            Ok(()) => self.catalog.read_head(table).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(head) => Ok(Some(head.and_then(|head| head.def))),
            Err(error) if is_bearable(&error) => {
                self.note(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The table's definition; none if it was dropped or never made.
    async fn definition(&self, table: TableId) -> Result<Option<Arc<TableDef>>> {
        match self.with_replica(table, &[], |replica| Ok(replica.def.clone())).await {
            Err(Error::Dropped { .. } | Error::UnknownTable { .. }) => Ok(None),
            other => other,
        }
    }
}

fn find(names: &Names, database: &DatabaseName, table: &TableName) -> Option<TableId> {
    names.get(database)?.get(table).copied()
}

#[async_trait]
impl Reader for RedisReader {
    async fn databases(&self) -> Result<Vec<DatabaseName>> {
        Ok(self.names().await?.0.keys().cloned().collect())
    }

    async fn known_databases(&self) -> Result<Vec<DatabaseName>> {
        match self.catalog.names_stale() {
            Some((names, _)) => Ok(names.keys().cloned().collect()),
            None => self.databases().await,
        }
    }

    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>> {
        let (names, _) = self.names().await?;
        let ids: Vec<TableId> = names.get(database).into_iter().flat_map(|tables| tables.values().copied()).collect();
        let heads = ids.into_iter().map(|id| async move { Ok::<_, Error>((id, self.head(id).await?)) });
        let heads: Vec<_> = heads.collect();
        let heads: Vec<_> = futures::stream::iter(heads).buffered(TABLES_AT_ONCE).try_collect().await?;
        let mut tables = Vec::with_capacity(heads.len());
        for (id, found) in heads {
            match found {
                Some(found) => tables.extend(found),
                None => {
                    let replica = self.catalog.replica(id);
                    let replica = replica.lock().await;
                    // Of a table that was never read, nothing is known but its name.
                    let name_age = || self.catalog.names_stale().map(|(_, age)| age).unwrap_or_default();
                    self.is_stale(if replica.is_known() { replica.age() } else { name_age() });
                    tables.extend(replica.def.clone());
                }
            }
        }
        Ok(tables)
    }

    async fn table_names(&self, database: &DatabaseName) -> Result<Vec<TableName>> {
        let (names, _) = self.names().await?;
        Ok(names.get(database).into_iter().flat_map(|tables| tables.keys().cloned()).collect())
    }

    /// A name that is known is not asked for again: while its table lives, no other has it, and whether it lives is
    /// what the table's own answer tells.
    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>> {
        if let Some((names, _)) = self.catalog.names_stale()
            && let Some(id) = find(&names, database, table)
            && let Some(found) = self.definition(id).await?
        {
            return Ok(Some(found));
        }
        let (names, why_old) = self.names().await?;
        match (find(&names, database, table), why_old) {
            (Some(id), _) => self.definition(id).await,
            // It may have been made since.
            (None, Some(reason)) => Err(reason),
            (None, None) => Ok(None),
        }
    }

    async fn snapshot(&self, table: TableId, floors: &[(WriterId, u64)]) -> Result<Arc<Snapshot>> {
        self.with_replica(table, floors, |replica| replica.snapshot(table)).await
    }

    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        if files.is_empty() {
            return Ok(HashMap::new());
        }
        let asked = match self.reachable() {
            Ok(()) => self.catalog.read_statistics(table, files).await,
            Err(error) => Err(error),
        };
        match asked {
            // A scan without statistics reads more and answers the same.
            Err(error) if is_bearable(&error) => {
                self.note(&error);
                Ok(HashMap::new())
            }
            other => other,
        }
    }

    fn stale(&self) -> Option<Duration> {
        *self.stale.lock()
    }
}
