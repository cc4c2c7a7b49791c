//! Names, writers and the catalog's identity, and how a table begins and ends.
//!
//! Beginning: the name is taken, then the table is made under the id that took it; whoever finds a name without a
//! table finishes the making. Ending: the table is dropped in its own slot, then its name is freed; whoever finds
//! the name of a dropped table frees it. So a process may die anywhere in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use gigapi_model::{DatabaseName, TableDef, TableId, TableName, TableSettings, WriterId};
use redis::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::commit::bury;
use super::connection::unexpected;
use super::replica::convert;
use super::table::{Judged, Write, live};
use super::{RedisCatalog, TABLES_AT_ONCE};
use crate::judge;
use crate::ledger::Ledger;
use crate::record::damaged;
use crate::{Definition, Epochs, Error, Result, WriterSession};

/// How often a name that moves between tables is followed.
const NAME_ATTEMPTS_MAX: usize = 100;

/// A table with its name.
type Named = ((DatabaseName, TableName), TableId);

impl RedisCatalog {
    pub(super) async fn registry<T: redis::FromRedisValue>(
        &self,
        script: &redis::Script,
        arguments: Vec<Vec<u8>>,
    ) -> Result<T> {
        self.0.connection.script(script, &self.0.registry.all(), &arguments).await
    }

    pub(super) async fn named(&self, database: &DatabaseName, table: &TableName) -> Result<Option<TableId>> {
        let mut command = redis::cmd("HGET");
        command.arg(&self.0.registry.names).arg(field(database, table));
        let found: Option<String> = self.0.connection.run(&command).await?;
        found.map(|id| table_id(&id)).transpose()
    }

    /// All names, of live tables and of those that begin or end, in order.
    pub(super) async fn names(&self) -> Result<Vec<Named>> {
        let names = self.names_since(Instant::now()).await?;
        let named = |(database, tables): (&DatabaseName, &BTreeMap<TableName, TableId>)| {
            let database = database.clone();
            tables.iter().map(move |(name, id)| ((database.clone(), name.clone()), *id)).collect::<Vec<_>>()
        };
        Ok(names.iter().flat_map(named).collect())
    }

    /// Every table that has a name, whatever the catalog's standing.
    async fn named_ids(&self) -> Result<Vec<TableId>> {
        let mut command = redis::cmd("HVALS");
        command.arg(&self.0.registry.names);
        let ids: Vec<String> = self.0.connection.run(&command).await?;
        ids.iter().map(|id| table_id(id)).collect()
    }

    /// Every table that may hold anything, dropped ones included, whatever the catalog's standing.
    pub(super) async fn all_tables(&self) -> Result<Vec<TableId>> {
        let mut command = redis::cmd("HKEYS");
        command.arg(&self.0.registry.dropped);
        let dropped: Vec<String> = self.0.connection.run(&command).await?;
        let mut tables = self.named_ids().await?;
        for id in &dropped {
            tables.push(table_id(id)?);
        }
        Ok(tables)
    }

    pub(super) async fn was_dropped(&self, table: TableId) -> Result<bool> {
        let mut command = redis::cmd("HEXISTS");
        command.arg(&self.0.registry.dropped).arg(table.to_string());
        self.0.connection.run(&command).await
    }

    /// Live tables by name, of one database or of all.
    pub(super) async fn read_tables(&self, database: Option<&DatabaseName>) -> Result<Vec<Arc<TableDef>>> {
        let names = self.names().await?;
        let wanted = names.into_iter().filter(|((of, _), _)| database.is_none_or(|database| database == of));
        let heads = futures::stream::iter(wanted).map(|(_, id)| self.read_head(id)).buffered(TABLES_AT_ONCE);
        let found: Vec<_> = heads.try_collect().await?;
        Ok(found.into_iter().flatten().filter_map(|head| head.def).collect())
    }

    pub(super) async fn read_writers(&self) -> Result<Vec<WriterId>> {
        let mut command = redis::cmd("HKEYS");
        command.arg(&self.0.registry.writers);
        let ids: Vec<String> = self.0.connection.run(&command).await?;
        ids.iter().map(|id| writer_id(id)).collect()
    }

    pub(super) async fn writer_epoch(&self, writer: WriterId) -> Result<Option<u64>> {
        let mut command = redis::cmd("HGET");
        command.arg(&self.0.registry.writers).arg(writer.to_string());
        self.0.connection.run(&command).await
    }

    /// Raises the writer's epoch in the registry, then in every table that knows the writer, where its watermark is
    /// read by the same change. A table that does not know it yet asks the registry.
    pub(super) async fn raise_writer(&self, writer: WriterId) -> Result<WriterSession> {
        let epochs = self.attend().await?;
        let arguments = vec![
            epochs.catalog.to_string().into_bytes(),
            epochs.epoch.to_string().into_bytes(),
            writer.to_string().into_bytes(),
            judge::first_token(epochs.epoch).to_string().into_bytes(),
        ];
        let raised: Vec<Value> = self.registry(&self.0.scripts.raise, arguments).await?;
        let Ok([epoch, known]) = <[Value; 2]>::try_from(raised) else { return Err(self.moved().await) };
        let (epoch, known): (u64, u8) = (convert(epoch)?, convert(known)?);
        let fenced = futures::stream::iter(self.names().await?)
            .map(|(_, table)| async move { Ok::<_, Error>((table, self.fence(table, writer, epoch).await?)) })
            .buffer_unordered(TABLES_AT_ONCE);
        let found: Vec<(TableId, Option<u64>)> = fenced.try_collect().await?;
        let watermarks = found.into_iter().filter_map(|(table, watermark)| Some((table, watermark?))).collect();
        Ok(WriterSession { epoch, known: known == 1, watermarks })
    }

    /// Why a script found that the catalog is not what this process knows.
    async fn moved(&self) -> Error {
        match self.attend().await {
            Ok(_) => Error::Unavailable { reason: "it was rebuilt at this moment; try again".to_owned() },
            Err(error) => error,
        }
    }

    /// Keeps whoever is of an older epoch from changing any table.
    pub(super) async fn fence_tables(&self, epoch: u64) -> Result<()> {
        // The registry is closed: no name comes any more.
        let fenced: Vec<_> = self.named_ids().await?.into_iter().map(|id| self.fence_table(id, epoch)).collect();
        futures::stream::iter(fenced).buffer_unordered(TABLES_AT_ONCE).try_collect().await
    }

    async fn fence_table(&self, id: TableId, epoch: u64) -> Result<()> {
        let (keys, arguments) = (self.keys(id), [epoch.to_string().into_bytes()]);
        let _: String = self.0.connection.script(&self.0.scripts.fence, &keys.all(), &arguments).await?;
        Ok(())
    }

    /// Raises the epoch of a writer that the table knows; answers its watermark.
    async fn fence(&self, table: TableId, writer: WriterId, epoch: u64) -> Result<Option<u64>> {
        loop {
            // Without the files: a writer starts on tables that it need not read.
            let Some(head) = self.read_head(table).await? else { return Ok(None) };
            let mut ledger = head.ledger;
            let (Some(entry), Some(_)) = (ledger.writers.get_mut(&writer), &head.def) else { return Ok(None) };
            entry.epoch = epoch.max(entry.epoch);
            let watermark = entry.watermark;
            let mut write = Write::new(None, &[], &[]);
            write.ledger(ledger)?;
            if self.apply(table, head.epoch, &head.rev, write).await?.is_some() {
                return Ok(Some(watermark));
            }
        }
    }

    pub(super) async fn define_table(&self, wanted: Definition) -> Result<Arc<TableDef>> {
        for _ in 0..NAME_ATTEMPTS_MAX {
            let (epochs, rev) = self.attend_rev().await?;
            let id = match self.named(&wanted.database, &wanted.table).await? {
                Some(id) => id,
                None => {
                    let id = TableId::from_uuid(self.0.ids.random());
                    // Judged before the name is taken: a refused definition leaves nothing.
                    judge::first_definition(&wanted, id, &self.0.limits)?;
                    self.register((epochs, rev), &wanted.database, &wanted.table, id, true).await?
                }
            };
            match self.extend_or_make(epochs.epoch, id, &wanted).await? {
                Some(table) => return Ok(table),
                None => self.free_name(&wanted.database, &wanted.table, id, epochs.epoch).await?,
            }
        }
        Err(Error::Unavailable { reason: "the table is dropped as fast as it is made; try again".to_owned() })
    }

    /// Takes the name for `id`, or answers the id that has it.
    async fn register(
        &self,
        (epochs, rev): (Epochs, u64),
        database: &DatabaseName,
        table: &TableName,
        id: TableId,
        limited: bool,
    ) -> Result<TableId> {
        let limits = &self.0.limits;
        let most = |limit: usize| if limited { limit.to_string().into_bytes() } else { Vec::new() };
        let arguments = vec![
            epochs.catalog.to_string().into_bytes(),
            epochs.epoch.to_string().into_bytes(),
            rev.to_string().into_bytes(),
            field(database, table).into_bytes(),
            id.to_string().into_bytes(),
            database.as_str().as_bytes().to_vec(),
            most(limits.databases_max),
            most(limits.tables_per_database_max),
        ];
        let answer: String = self.registry(&self.0.scripts.register, arguments).await?;
        match answer.as_str() {
            "made" => Ok(id),
            "moved" => Err(self.moved().await),
            "databases" => Err(judge::too_many_databases(limits)),
            "tables" => Err(judge::too_many_tables(limits)),
            other => table_id(other),
        }
    }

    /// The table that has the name, with the columns; none if it was dropped.
    async fn extend_or_make(&self, epoch: u64, id: TableId, wanted: &Definition) -> Result<Option<Arc<TableDef>>> {
        loop {
            let Some(head) = self.read_head(id).await? else {
                let first = judge::first_definition(wanted, id, &self.0.limits)?;
                if self.make(epoch, &first, 1).await? {
                    return Ok(Some(Arc::new(first)));
                }
                continue;
            };
            let Some(table) = head.def else { return Ok(None) };
            let extended = table.with_columns(&wanted.columns, self.0.limits.columns_max)?;
            let is_new = extended.revision != table.revision;
            let at = (head.epoch, head.rev.as_str());
            if !is_new || self.redefine(id, at, &extended, head.version + 1).await? {
                return Ok(Some(Arc::new(extended)));
            }
        }
    }

    /// Makes the table; false if there is one of its id.
    async fn make(&self, epoch: u64, table: &TableDef, version: u64) -> Result<bool> {
        let mut write = Write::new(None, &[], &[]);
        write.state("live", Some(table))?;
        write.version(version);
        write.ledger(Ledger::new(judge::first_token(epoch)))?;
        Ok(self.apply(table.id, epoch, "", write).await?.is_some())
    }

    async fn redefine(&self, id: TableId, (epoch, rev): (u64, &str), table: &TableDef, version: u64) -> Result<bool> {
        let mut write = Write::new(None, &[], &[]);
        write.state("live", Some(table))?;
        write.version(version);
        Ok(self.apply(id, epoch, rev, write).await?.is_some())
    }

    /// Judged over the replica, so that a table that was rolled back is noticed rather than set on its way anew.
    pub(super) async fn configure_table(&self, id: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>> {
        self.change(id, &[], |replica, _| {
            let known = live(replica, id)?;
            let changed = known.configured(wanted)?;
            if changed.revision == known.revision {
                return Ok(Judged::Answer(known));
            }
            let mut write = Write::new(None, &[], &[]);
            write.state("live", Some(&changed))?;
            write.version(replica.version + 1);
            Ok(Judged::Change(Box::new(write), Arc::new(changed)))
        })
        .await
    }

    pub(super) async fn adopt_table(&self, wanted: &TableDef) -> Result<Arc<TableDef>> {
        loop {
            let Some(head) = self.read_head(wanted.id).await? else {
                if self.was_dropped(wanted.id).await? {
                    return Err(Error::Dropped { table: wanted.id });
                }
                let (epochs, rev) = self.attend_rev().await?;
                let registered = self.register((epochs, rev), &wanted.database, &wanted.name, wanted.id, false);
                if registered.await? != wanted.id {
                    return Err(judge::name_taken(wanted));
                }
                if self.make(epochs.epoch, wanted, 1).await? {
                    return Ok(Arc::new(wanted.clone()));
                }
                continue;
            };
            let Some(known) = head.def else { return Err(Error::Dropped { table: wanted.id }) };
            if !judge::replaces(&known, wanted)? {
                return Ok(known);
            }
            if self.redefine(wanted.id, (head.epoch, &head.rev), wanted, head.version + 1).await? {
                return Ok(Arc::new(wanted.clone()));
            }
        }
    }

    pub(super) async fn bury_table(&self, id: TableId) -> Result<()> {
        let grace = self.0.limits.grace;
        let dropped = self
            .change(id, &[], |replica, look| {
                let Some(table) = replica.def.clone() else { return Ok(Judged::Answer(None)) };
                let files: Vec<_> = replica.files.iter().cloned().collect();
                let mut write = Write::new(None, &[], &files);
                let version = replica.version + 1;
                for file in &files {
                    bury(&mut write, &table, version, file, look.now.plus(grace))?;
                }
                write.state("dropped", None)?;
                write.version(version);
                write.ledger(Ledger::new(replica.ledger.claim_token))?;
                Ok(Judged::Change(Box::new(write), Some((table, replica.epoch))))
            })
            .await;
        match dropped {
            Ok(Some((table, epoch))) => self.free_name(&table.database, &table.name, id, epoch).await,
            Ok(None) | Err(Error::Dropped { .. }) => self.free_name_of(id).await,
            Err(error) => Err(error),
        }
    }

    /// Frees the name of a table that was dropped before, where whoever dropped it did not come to it.
    async fn free_name_of(&self, id: TableId) -> Result<()> {
        let named = self.names().await?.into_iter().find(|(_, of)| *of == id);
        let Some(((database, table), _)) = named else { return Ok(()) };
        let epoch = self.attend().await?.epoch;
        self.free_name(&database, &table, id, epoch).await
    }

    async fn free_name(&self, database: &DatabaseName, table: &TableName, id: TableId, epoch: u64) -> Result<()> {
        let arguments = vec![
            epoch.to_string().into_bytes(),
            field(database, table).into_bytes(),
            id.to_string().into_bytes(),
            database.as_str().as_bytes().to_vec(),
        ];
        let answer: String = self.registry(&self.0.scripts.unregister, arguments).await?;
        if answer == "done" { Ok(()) } else { Err(self.moved().await) }
    }
}

/// Names cannot contain NUL, so it divides them.
pub(super) fn field(database: &DatabaseName, table: &TableName) -> String {
    format!("{database}\0{table}")
}

pub(super) fn parse_field(text: &str) -> Result<(DatabaseName, TableName)> {
    let refused = || damaged(format!("the name {text:?} in the registry"));
    let (database, table) = text.split_once('\0').ok_or_else(refused)?;
    Ok((DatabaseName::new(database).map_err(|_| refused())?, TableName::new(table).map_err(|_| refused())?))
}

pub(super) fn table_id(text: &str) -> Result<TableId> {
    Ok(TableId::from_uuid(Uuid::parse_str(text).map_err(|_| unexpected("a table id"))?))
}

pub(super) fn writer_id(text: &str) -> Result<WriterId> {
    Ok(WriterId::from_uuid(Uuid::parse_str(text).map_err(|_| unexpected("a writer id"))?))
}
