//! A table's or the whole catalog's state, out of the file and back into an empty one.

use std::sync::Arc;

use gigapi_model::{NewFile, TableId, Timestamp};
use rusqlite::{Connection, params};

use super::cache::read_watermarks;
use super::commit::{catalog_epoch, insert_file, set_version};
use super::define;
use super::log;
use super::sql::{definition, locate, run, signed};
use crate::judge;
use crate::record::decode_file;
use crate::{Error, Restore, Result, TableExport};

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

/// Installs rebuilt state; runs inside one transaction.
pub(super) fn restore(connection: &Connection, restore: &Restore, now: Timestamp) -> Result<()> {
    let tables: i64 = connection.prepare_cached("SELECT count(*) FROM tables")?.query_row([], |row| row.get(0))?;
    if tables != 0 {
        return Err(Error::NotEmpty { tables: usize::try_from(tables).unwrap_or(usize::MAX) });
    }
    judge::check_restore(restore)?;
    let identity = params![restore.catalog.uuid().into_bytes(), signed(restore.epoch), now.nanos()];
    run(connection, "UPDATE meta SET catalog = ?1, epoch = ?2, since = ?3", identity)?;
    run(connection, "DELETE FROM writers", [])?;
    run(connection, "DELETE FROM places", [])?;
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
