//! A table's or the whole catalog's state, out of the file and back into one.

use std::sync::Arc;

use gigapi_model::{CatalogId, NewFile, TableId, Timestamp};
use rusqlite::{Connection, params};

use super::cache::read_watermarks;
use super::commit::{catalog_epoch, insert_file, set_version};
use super::define;
use super::log;
use super::sql::{definition, locate, run, signed, unsigned, uuid};
use crate::judge;
use crate::record::decode_file;
use crate::{Epochs, Restore, Result, Standing, TableExport};

/// The table's state; runs inside one transaction.
pub(super) fn export(connection: &Connection, id: TableId) -> Result<TableExport> {
    let table = locate(connection, id)?;
    let sql = "SELECT record, data FROM files LEFT JOIN statistics ON statistics.id = files.id
               WHERE table_key = ?1 ORDER BY time_min, files.id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([table.key])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        let file = decode_file(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        files.push(NewFile { file, statistics: row.get::<_, Option<_>>(1)?.unwrap_or_default() });
    }
    Ok(TableExport {
        epoch: catalog_epoch(connection)?,
        table: Arc::new(definition(connection, table.key)?),
        version: table.version,
        files,
        watermarks: read_watermarks(connection, table.key)?,
    })
}

/// Who the catalog is, and the epoch of the rebuild that goes on with the moment when it was heard of.
pub(super) fn identity(connection: &Connection) -> Result<(Epochs, Option<(u64, Timestamp)>)> {
    let sql = "SELECT catalog, epoch, since, rebuilding, heard FROM meta";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| {
        let epochs = Epochs {
            catalog: CatalogId::from_uuid(uuid(row, 0)?),
            epoch: unsigned(row, 1)?,
            since: Timestamp::from_nanos(row.get(2)?),
        };
        let rebuilding: Option<i64> = row.get(3)?;
        let heard = Timestamp::from_nanos(row.get::<_, Option<i64>>(4)?.unwrap_or_default());
        Ok((epochs, rebuilding.map(|epoch| (epoch.unsigned_abs(), heard))))
    })?)
}

pub(super) fn standing(connection: &Connection, now: Timestamp) -> Result<Standing> {
    Ok(match identity(connection)? {
        (epochs, None) => Standing::Serving(epochs),
        (_, Some((epoch, heard))) => Standing::Rebuilding { epoch, silent: now.since(heard) },
    })
}

pub(super) fn begin_restore(connection: &Connection, epoch: u64, now: Timestamp) -> Result<()> {
    let (epochs, rebuilding) = identity(connection)?;
    judge::check_begin(epoch, epochs.epoch, rebuilding.map(|(epoch, _)| epoch))?;
    run(connection, "UPDATE meta SET rebuilding = ?1, heard = ?2", params![signed(epoch), now.nanos()])?;
    log::append(connection, 0, log::RESET, 0, &[])
}

/// Everything that a restore replaces.
const REPLACED: [&str; 13] = [
    "writers",
    "places",
    "databases",
    "tables",
    "versions",
    "files",
    "statistics",
    "graves",
    "spent",
    "watermarks",
    "claims",
    "claim_files",
    "claim_outcomes",
];

/// Installs rebuilt state; runs inside one transaction.
pub(super) fn restore(connection: &Connection, restore: &Restore, now: Timestamp) -> Result<()> {
    judge::check_restore(restore, identity(connection)?.1.map(|(epoch, _)| epoch))?;
    let owner = params![restore.catalog.uuid().into_bytes(), signed(restore.epoch), now.nanos()];
    let sql = "UPDATE meta SET catalog = ?1, epoch = ?2, since = ?3, rebuilding = NULL, heard = NULL";
    run(connection, sql, owner)?;
    for table in REPLACED {
        run(connection, &format!("DELETE FROM {table}"), [])?;
    }
    for id in &restore.dropped {
        let sql = "INSERT INTO tables(id, dropped, db, name, def) VALUES (?1, 1, '', '', '')";
        run(connection, sql, [id.uuid().into_bytes()])?;
    }
    let first = judge::first_token(restore.epoch);
    for export in &restore.tables {
        let key = define::insert(connection, &export.table, export.version, first)?;
        export.files.iter().try_for_each(|new| insert_file(connection, key, new))?;
        set_version(connection, key, export.version, &export.files)?;
        for (writer, seq) in &export.watermarks {
            let writer = writer.uuid();
            let sql = "INSERT INTO watermarks(table_key, writer, seq, outcomes) VALUES (?1, ?2, ?3, x'')";
            run(connection, sql, params![key, writer.as_bytes(), signed(*seq)])?;
            let sql = "INSERT OR IGNORE INTO writers(id, epoch) VALUES (?1, ?2)";
            run(connection, sql, params![writer.as_bytes(), signed(first)])?;
        }
    }
    log::append(connection, 0, log::RESET, 0, &[])
}
