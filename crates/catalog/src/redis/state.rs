//! A table's whole state out of Redis, a whole catalog into an empty one, and what is read beside snapshots.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use gigapi_model::{FileId, IdempotencyRecord, NewFile, TableId, Timestamp};
use serde::{Deserialize, Serialize};

use super::registry::field;
use super::table::{Place, Write, live};
use super::{RedisCatalog, TABLES_AT_ONCE};
use crate::judge;
use crate::ledger::Ledger;
use crate::record::{damaged, encode_file};
use crate::{Error, Restore, Result, Standing, TableExport};

/// The first version had one record each.
const VERSION: u32 = 2;

/// Files that one script writes while a catalog is restored: a script blocks the server for as long as it runs.
const FILES_PER_SCRIPT: usize = 1_000;

/// Records of one commit that lie together: a script with an operation for each would block the server.
#[derive(Serialize, Deserialize)]
struct StoredRecords<'a> {
    v: u32,
    at: Timestamp,
    records: Cow<'a, [IdempotencyRecord]>,
}

pub(super) fn encode_idempotency(at: Timestamp, records: &[IdempotencyRecord]) -> Result<Vec<u8>> {
    serde_json::to_vec(&StoredRecords { v: VERSION, at, records: Cow::Borrowed(records) })
        .map_err(|error| damaged(format!("idempotency records cannot be written: {error}")))
}

fn decode_idempotency(bytes: &[u8]) -> Result<StoredRecords<'static>> {
    let refused = |error: serde_json::Error| damaged(format!("idempotency records: {error}"));
    let stored: StoredRecords<'static> = serde_json::from_slice(bytes).map_err(refused)?;
    match stored.v {
        VERSION => Ok(stored),
        version => Err(damaged(format!("idempotency records of version {version}, this program reads {VERSION}"))),
    }
}

/// An entry of a stream: its id, and fields with their values.
type StreamEntry = (String, Vec<Vec<u8>>);

impl RedisCatalog {
    /// Records whose window has not passed, with the time of their commit.
    pub(super) async fn read_idempotency(
        &self,
        table: TableId,
        now: Timestamp,
    ) -> Result<Vec<(Timestamp, IdempotencyRecord)>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys(table).idempotency).arg("-").arg("+");
        let entries: Vec<StreamEntry> = self.0.connection.run(&command).await?;
        let mut known = Vec::with_capacity(entries.len());
        for (_, fields) in &entries {
            let Some(value) = fields.get(1) else { continue };
            let stored = decode_idempotency(value)?;
            if now.since(stored.at) < self.0.limits.idempotency_window {
                known.extend(stored.records.into_owned().into_iter().map(|record| (stored.at, record)));
            }
        }
        Ok(known)
    }

    pub(super) async fn read_statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        let mut found: Vec<Option<Vec<u8>>> = Vec::new();
        if !files.is_empty() {
            let mut command = redis::cmd("HMGET");
            command.arg(self.keys(table).statistics);
            files.iter().for_each(|file| {
                command.arg(file.uuid().as_bytes().as_slice());
            });
            found = self.0.connection.run(&command).await?;
        }
        if found.iter().all(Option::is_none) {
            // Where nothing is found, the table itself may be missing.
            crate::Catalog::version(self, table).await?;
        }
        Ok(files.iter().zip(found).filter_map(|(file, bytes)| Some((*file, Arc::from(bytes?)))).collect())
    }

    pub(super) async fn export_table(&self, table: TableId) -> Result<TableExport> {
        let mut export = self
            .look(table, &[], |replica, _| {
                let files = replica.files.iter();
                Ok(TableExport {
                    epoch: replica.epoch,
                    table: live(replica, table)?,
                    version: replica.version,
                    files: files
                        .map(|file| NewFile { file: gigapi_model::DataFile::clone(file), statistics: Vec::new() })
                        .collect(),
                    watermarks: HashMap::clone(&replica.watermarks),
                })
            })
            .await?;
        // Statistics never change while a file is live or buried, so they may be read after the files.
        for files in export.files.chunks_mut(FILES_PER_SCRIPT) {
            let ids: Vec<FileId> = files.iter().map(|new| new.file.id).collect();
            let mut found = self.read_statistics(table, &ids).await?;
            for new in files {
                new.statistics = found.remove(&new.file.id).map(|bytes| bytes.to_vec()).unwrap_or_default();
            }
        }
        Ok(export)
    }

    /// Writes all tables, which nobody may read yet, then the registry that names them, in one step, and then opens
    /// them; whoever comes upon a table in between opens it.
    pub(super) async fn restore_all(&self, restore: Restore) -> Result<()> {
        let rebuilding = match self.read_standing().await? {
            Standing::Rebuilding { epoch, .. } => Some(epoch),
            _ => None,
        };
        judge::check_restore(&restore, rebuilding)?;
        let kept: HashSet<TableId> = restore.tables.iter().map(|export| export.table.id).collect();
        let gone: Vec<TableId> = self.all_tables().await?.into_iter().filter(|id| !kept.contains(id)).collect();
        let tables = restore.tables.iter().map(|export| self.restore_table(export, restore.epoch));
        let tables: Vec<_> = tables.collect();
        futures::stream::iter(tables).buffer_unordered(TABLES_AT_ONCE).try_collect::<()>().await?;
        let now = crate::Catalog::now(self).await?;
        let answer: String = self.registry(&self.0.scripts.restore, arguments(&restore, now)).await?;
        if answer != "done" {
            return Err(Error::Superseded { epoch: restore.epoch });
        }
        // What follows tidies up: a process that dies here leaves nothing that is wrong.
        let opened = kept.into_iter().map(|table| self.open_restored(table, restore.epoch));
        let opened: Vec<_> = opened.collect();
        futures::stream::iter(opened).buffer_unordered(TABLES_AT_ONCE).try_collect::<()>().await?;
        for table in gone {
            self.remove(table, restore.epoch).await?;
        }
        self.0.replicas.lock().clear();
        Ok(())
    }

    async fn open_restored(&self, table: TableId, epoch: u64) -> Result<()> {
        let (keys, arguments) = (self.keys(table), [epoch.to_string().into_bytes()]);
        let _: String = self.0.connection.script(&self.0.scripts.settle, &keys.all(), &arguments).await?;
        Ok(())
    }

    /// Removes a table that no later rebuild has made.
    async fn remove(&self, table: TableId, epoch: u64) -> Result<()> {
        let (keys, arguments) = (self.keys(table), [epoch.to_string().into_bytes()]);
        let answer: String = self.0.connection.script(&self.0.scripts.remove, &keys.all(), &arguments).await?;
        if answer == "done" { Ok(()) } else { Err(Error::Superseded { epoch }) }
    }

    /// Writes one table anew: an earlier attempt may have left part of it.
    pub(super) async fn restore_table(&self, export: &TableExport, epoch: u64) -> Result<()> {
        self.remove(export.table.id, epoch).await?;
        let mut ledger = Ledger::new(judge::first_token(epoch));
        for (writer, watermark) in &export.watermarks {
            let entry = ledger.writers.entry(*writer).or_default();
            (entry.epoch, entry.watermark) = (judge::first_token(epoch), *watermark);
        }
        let mut pieces = export.files.chunks(FILES_PER_SCRIPT);
        let mut rev = String::new();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let mut write = Write::new(None, piece, &[]);
            for NewFile { file, statistics } in piece {
                write.set(Place::Files, file.id.uuid().as_bytes(), encode_file(file));
                if !statistics.is_empty() {
                    write.set(Place::Statistics, file.id.uuid().as_bytes(), statistics.clone());
                }
            }
            if rev.is_empty() {
                write.state("recovering", Some(&export.table))?;
                write.version(export.version);
                write.ledger(ledger.clone())?;
            }
            let made = self.apply(export.table.id, epoch, &rev, write).await?;
            (rev, _) = made.ok_or(Error::Superseded { epoch })?;
            if pieces.len() == 0 {
                return Ok(());
            }
        }
    }
}

/// What the registry is restored from.
fn arguments(restore: &Restore, now: Timestamp) -> Vec<Vec<u8>> {
    let first = judge::first_token(restore.epoch).to_string();
    let writers: BTreeSet<String> =
        restore.tables.iter().flat_map(|export| export.watermarks.keys()).map(ToString::to_string).collect();
    let mut arguments: Vec<String> = vec![
        restore.catalog.to_string(),
        restore.epoch.to_string(),
        now.nanos().to_string(),
        restore.tables.len().to_string(),
        writers.len().to_string(),
        restore.dropped.len().to_string(),
    ];
    for export in &restore.tables {
        let table = &export.table;
        arguments.extend([field(&table.database, &table.name), table.id.to_string(), table.database.to_string()]);
    }
    writers.into_iter().for_each(|writer| arguments.extend([writer, first.clone()]));
    arguments.extend(restore.dropped.iter().map(ToString::to_string));
    arguments.into_iter().map(String::into_bytes).collect()
}
