//! What readers hold in memory, and how it stays current.
//!
//! One connection reads. `PRAGMA data_version` tells whether any other connection, of this process or
//! another, has committed since the last look; it reads a few words of shared memory. If nothing changed,
//! answers come from memory; if something did, the change log since the last look is applied. Files of a
//! table are read once, at the table's first snapshot. This side never writes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gigapi_model::{CatalogId, DatabaseName, FileId, TableDef, TableId, TableName, TimeRange, Timestamp, WriterId};
use rusqlite::Connection;
use uuid::Uuid;

use super::commit::record;
use super::log;
use super::sql::{unsigned, uuid};
use super::state::identity;
use crate::delta;
use crate::file_set::FileSet;
use crate::judge;
use crate::record::decode_definition;
use crate::{Epochs, Error, Result, Snapshot, TableState};

/// The reading connection with everything read through it so far.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) connection: Connection,
    /// SQLite's counter at the last look; none before the first.
    seen: Option<i64>,
    /// The last log entry that is applied.
    applied: i64,
    epochs: Epochs,
    /// The epoch of the rebuild that goes on.
    rebuilding: Option<u64>,
    registry: Registry,
    loaded: HashMap<i64, Loaded>,
}

/// All tables that the catalog knows.
#[derive(Debug, Default)]
pub(super) struct Registry {
    by_id: HashMap<TableId, Known>,
    by_key: HashMap<i64, TableId>,
    pub(super) names: BTreeMap<DatabaseName, BTreeMap<TableName, Arc<TableDef>>>,
}

#[derive(Debug, Clone)]
struct Known {
    key: i64,
    /// None once it was dropped.
    def: Option<Arc<TableDef>>,
}

/// A table's files at the version that the cache has reached.
#[derive(Debug)]
struct Loaded {
    version: u64,
    files: FileSet,
    watermarks: Arc<HashMap<WriterId, u64>>,
}

impl Cache {
    pub(super) fn new(connection: Connection) -> Self {
        let nobody = CatalogId::from_uuid(Uuid::nil());
        Self {
            connection,
            seen: None,
            applied: 0,
            epochs: Epochs { catalog: nobody, epoch: 0, since: Timestamp::MIN },
            rebuilding: None,
            registry: Registry::default(),
            loaded: HashMap::new(),
        }
    }

    /// Whether memory holds what the file holds. An error counts as no: whoever refreshes meets it again.
    pub(super) fn is_current(&self) -> bool {
        self.seen.is_some() && self.data_version().ok() == self.seen
    }

    fn data_version(&self) -> Result<i64> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// Brings memory up to the file.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        self.in_transaction(Self::catch_up)
    }

    /// Brings memory up to the state that the transaction around this call sees.
    fn catch_up(&mut self) -> Result<()> {
        let sql = "SELECT coalesce((SELECT min(seq) FROM log), 0), coalesce((SELECT max(seq) FROM log), 0)";
        let (first, last): (i64, i64) =
            self.connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // What is applied in part because of an error is not trusted.
        let known = self.seen.take().is_some();
        if !known || first > self.applied + 1 || !self.apply_log()? {
            self.reload()?;
        }
        self.applied = last;
        self.seen = Some(self.data_version()?);
        Ok(())
    }

    /// Runs `work` on one state of the file, which others may move on meanwhile.
    pub(super) fn in_transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        let result = work(self);
        let ended = self.connection.prepare_cached("COMMIT")?.execute([]);
        let value = result?;
        ended?;
        Ok(value)
    }

    /// Applies what was logged since the last look; false if that cannot be done by pieces.
    fn apply_log(&mut self) -> Result<bool> {
        let Self { connection, applied, registry, loaded, .. } = self;
        let sql = "SELECT table_key, kind, version, entry FROM log WHERE seq > ?1 ORDER BY seq";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([*applied])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            match row.get::<_, i64>(1)? {
                log::FILES => {
                    let Some(table) = loaded.get_mut(&key) else { continue };
                    let entry = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
                    table.apply(delta::decode(entry)?, unsigned(row, 2)?);
                }
                log::DEFINITION => {
                    registry.read_one(connection, key)?;
                    match loaded.get_mut(&key) {
                        Some(table) if registry.is_live(key) => table.version = unsigned(row, 2)?,
                        _ => drop(loaded.remove(&key)),
                    }
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Starts afresh: identity and definitions now, files when they are asked for.
    fn reload(&mut self) -> Result<()> {
        let (epochs, rebuilding) = identity(&self.connection)?;
        (self.epochs, self.rebuilding) = (epochs, rebuilding.map(|(epoch, _)| epoch));
        self.registry = Registry::read_all(&self.connection)?;
        self.loaded.clear();
        Ok(())
    }

    pub(super) fn epochs(&self) -> Result<Epochs> {
        self.rebuilding.map_or(Ok(self.epochs), |epoch| Err(judge::rebuilding(epoch)))
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The table at the state of memory; none if its files have to be read first.
    pub(super) fn snapshot_in_memory(&self, id: TableId, range: TimeRange) -> Option<Result<Snapshot>> {
        let (key, def) = match self.registry.live(id) {
            Ok(known) => known,
            Err(error) => return Some(Err(error)),
        };
        let table = self.loaded.get(&key)?;
        Some(Ok(Snapshot {
            version: table.version,
            table: def.clone(),
            files: table.files.within(range),
            watermarks: table.watermarks.clone(),
        }))
    }

    /// The table at the state of the file.
    pub(super) fn snapshot(&mut self, id: TableId, range: TimeRange) -> Result<Snapshot> {
        self.in_transaction(|cache| {
            // In one transaction, so that the files belong to the state that the rest of memory is at.
            cache.catch_up()?;
            let (key, _) = cache.registry.live(id)?;
            if !cache.loaded.contains_key(&key) {
                let table = Loaded::read(&cache.connection, key)?;
                cache.loaded.insert(key, table);
            }
            cache.snapshot_in_memory(id, range).unwrap_or(Err(Error::UnknownTable { table: id }))
        })
    }

    /// The table's version if its files are in memory.
    pub(super) fn version_in_memory(&self, id: TableId) -> Option<Result<u64>> {
        match self.registry.live(id) {
            Ok((key, _)) => Some(Ok(self.loaded.get(&key)?.version)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Statistics as they were committed.
    pub(super) fn statistics(&self, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        let mut statement = self.connection.prepare_cached("SELECT data FROM statistics WHERE id = ?1")?;
        let mut found = HashMap::with_capacity(files.len());
        for file in files {
            let mut rows = statement.query([file.uuid().into_bytes()])?;
            if let Some(row) = rows.next()? {
                let data = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
                found.insert(*file, Arc::from(data));
            }
        }
        Ok(found)
    }
}

impl Loaded {
    fn read(connection: &Connection, key: i64) -> Result<Self> {
        let sql = "SELECT version FROM versions WHERE table_key = ?1";
        let version = connection.prepare_cached(sql)?.query_row([key], |row| unsigned(row, 0))?;
        let mut files = FileSet::default();
        let mut statement = connection.prepare_cached("SELECT record FROM files WHERE table_key = ?1")?;
        for file in statement.query_map([key], record)? {
            files.insert(file??);
        }
        Ok(Self { version, files, watermarks: Arc::new(read_watermarks(connection, key)?) })
    }

    fn apply(&mut self, delta: delta::Delta, version: u64) {
        for file in delta.removed {
            self.files.remove(file);
        }
        for file in delta.added {
            self.files.insert(file);
        }
        if let Some((writer, seq)) = delta.watermark {
            Arc::make_mut(&mut self.watermarks).insert(writer, seq);
        }
        self.version = version;
    }
}

pub(super) fn read_watermarks(connection: &Connection, key: i64) -> Result<HashMap<WriterId, u64>> {
    let mut statement = connection.prepare_cached("SELECT writer, seq FROM watermarks WHERE table_key = ?1")?;
    let rows = statement.query_map([key], |row| Ok((WriterId::from_uuid(uuid(row, 0)?), unsigned(row, 1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Registry {
    fn read_all(connection: &Connection) -> Result<Self> {
        let mut registry = Self::default();
        let mut statement = connection.prepare_cached("SELECT key, id, dropped, def FROM tables")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            registry.put(row)?;
        }
        Ok(registry)
    }

    fn read_one(&mut self, connection: &Connection, key: i64) -> Result<()> {
        let mut statement = connection.prepare_cached("SELECT key, id, dropped, def FROM tables WHERE key = ?1")?;
        let mut rows = statement.query([key])?;
        rows.next()?.map_or(Ok(()), |row| self.put(row))
    }

    fn put(&mut self, row: &rusqlite::Row<'_>) -> Result<()> {
        let (key, id) = (row.get::<_, i64>(0)?, TableId::from_uuid(uuid(row, 1)?));
        let def = if row.get::<_, bool>(2)? {
            None
        } else {
            let text = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
            Some(Arc::new(decode_definition(text)?))
        };
        self.by_key.insert(key, id);
        let before = self.by_id.insert(id, Known { key, def: def.clone() });
        match def {
            Some(def) => {
                self.names.entry(def.database.clone()).or_default().insert(def.name.clone(), def);
            }
            None => self.forget_name(id, before.and_then(|known| known.def)),
        }
        Ok(())
    }

    /// The name may belong to a later table already, which then keeps it.
    fn forget_name(&mut self, id: TableId, def: Option<Arc<TableDef>>) {
        let Some(def) = def else { return };
        let Some(names) = self.names.get_mut(&def.database) else { return };
        if names.get(&def.name).is_some_and(|named| named.id == id) {
            names.remove(&def.name);
        }
        if names.is_empty() {
            self.names.remove(&def.database);
        }
    }

    fn is_live(&self, key: i64) -> bool {
        self.by_key.get(&key).and_then(|id| self.by_id.get(id)).is_some_and(|known| known.def.is_some())
    }

    fn live(&self, id: TableId) -> Result<(i64, &Arc<TableDef>)> {
        match self.by_id.get(&id) {
            Some(Known { key, def: Some(def) }) => Ok((*key, def)),
            Some(Known { def: None, .. }) => Err(Error::Dropped { table: id }),
            None => Err(Error::UnknownTable { table: id }),
        }
    }

    pub(super) fn state(&self, id: TableId) -> TableState {
        match self.live(id) {
            Ok((_, def)) => TableState::Live(def.clone()),
            Err(Error::Dropped { .. }) => TableState::Dropped,
            Err(_) => TableState::Unknown,
        }
    }
}
