//! Making, extending, configuring and dropping tables in the file.

use std::sync::Arc;

use gigapi_model::{TableDef, TableId, TableSettings, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::commit::{bury, catalog_epoch, record, set_version};
use super::log;
use super::sql::{definition, locate, run, signed};
use crate::judge;
use crate::record::encode_definition;
use crate::{Definition, Error, Limits, Result};

/// Makes the table under `id`, or extends the one that has its name.
pub(super) fn define(
    connection: &Connection,
    wanted: &Definition,
    id: TableId,
    limits: &Limits,
) -> Result<Arc<TableDef>> {
    let epoch = catalog_epoch(connection)?;
    let sql = "SELECT key FROM tables WHERE db = ?1 AND name = ?2 AND dropped = 0";
    let name = params![wanted.database.as_str(), wanted.table.as_str()];
    let existing: Option<i64> = connection.prepare_cached(sql)?.query_row(name, |row| row.get(0)).optional()?;
    let Some(key) = existing else { return make(connection, wanted, id, epoch, limits) };
    let table = definition(connection, key)?;
    let extended = table.with_columns(&wanted.columns, limits.columns_max)?;
    if extended.revision != table.revision {
        let version = locate(connection, table.id)?.version + 1;
        extend(connection, key, &extended, version)?;
    }
    Ok(Arc::new(extended))
}

/// Changes what is set for the table.
pub(super) fn configure(connection: &Connection, id: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>> {
    catalog_epoch(connection)?;
    let table = locate(connection, id)?;
    let known = definition(connection, table.key)?;
    let changed = known.configured(wanted)?;
    if changed.revision != known.revision {
        extend(connection, table.key, &changed, table.version + 1)?;
    }
    Ok(Arc::new(changed))
}

fn make(
    connection: &Connection,
    wanted: &Definition,
    id: TableId,
    epoch: u64,
    limits: &Limits,
) -> Result<Arc<TableDef>> {
    let count = |sql: &str, name: &[&str]| -> Result<usize> {
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement.query_row(rusqlite::params_from_iter(name), |row| row.get::<_, i64>(0)).optional()?;
        Ok(usize::try_from(found.unwrap_or(0)).unwrap_or(0))
    };
    let tables = count("SELECT tables FROM databases WHERE name = ?1", &[wanted.database.as_str()])?;
    let databases = if tables == 0 { count("SELECT count(*) FROM databases", &[])? } else { 0 };
    judge::check_room(databases, tables, limits)?;
    let def = judge::first_definition(wanted, id, limits)?;
    let key = insert(connection, &def, 1, judge::first_token(epoch))?;
    log::append(connection, key, log::DEFINITION, 1, &[])?;
    Ok(Arc::new(def))
}

/// Installs a definition under its own id, or brings the table of that id up to it.
pub(super) fn adopt(connection: &Connection, wanted: &TableDef) -> Result<Arc<TableDef>> {
    let epoch = catalog_epoch(connection)?;
    match locate(connection, wanted.id) {
        Ok(table) => {
            let known = definition(connection, table.key)?;
            if !judge::replaces(&known, wanted)? {
                return Ok(Arc::new(known));
            }
            extend(connection, table.key, wanted, table.version + 1)?;
        }
        Err(Error::UnknownTable { .. }) => {
            let sql = "SELECT count(*) FROM tables WHERE db = ?1 AND name = ?2 AND dropped = 0";
            let name = params![wanted.database.as_str(), wanted.name.as_str()];
            if connection.prepare_cached(sql)?.query_row(name, |row| row.get::<_, i64>(0))? > 0 {
                return Err(judge::name_taken(wanted));
            }
            let key = insert(connection, wanted, 1, judge::first_token(epoch))?;
            log::append(connection, key, log::DEFINITION, 1, &[])?;
        }
        Err(error) => return Err(error),
    }
    Ok(Arc::new(wanted.clone()))
}

fn extend(connection: &Connection, key: i64, table: &TableDef, version: u64) -> Result<()> {
    run(connection, "UPDATE tables SET def = ?2 WHERE key = ?1", params![key, encode_definition(table)?])?;
    set_version(connection, key, version, &[])?;
    log::append(connection, key, log::DEFINITION, version, &[])
}

/// Adds a live table; answers its key.
pub(super) fn insert(connection: &Connection, def: &TableDef, version: u64, token: u64) -> Result<i64> {
    let sql = "INSERT INTO tables(id, dropped, db, name, def) VALUES (?1, 0, ?2, ?3, ?4)";
    let (id, text) = (def.id.uuid(), encode_definition(def)?);
    run(connection, sql, params![id.as_bytes(), def.database.as_str(), def.name.as_str(), text])?;
    let key = connection.last_insert_rowid();
    let sql = "INSERT INTO versions(table_key, version, claim_token, longest) VALUES (?1, ?2, ?3, 0)";
    run(connection, sql, params![key, signed(version), signed(token)])?;
    let sql = "INSERT INTO databases(name, tables) VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET tables = tables + 1";
    run(connection, sql, [def.database.as_str()])?;
    Ok(key)
}

/// Buries the table's files and forgets all of it but its id.
pub(super) fn drop_table(connection: &Connection, id: TableId, delete_after: Timestamp) -> Result<()> {
    catalog_epoch(connection)?;
    let table = match locate(connection, id) {
        Err(Error::Dropped { .. }) => return Ok(()),
        other => other?,
    };
    let def = definition(connection, table.key)?;
    let mut files = connection.prepare_cached("SELECT record FROM files WHERE table_key = ?1")?;
    let files = files.query_map([table.key], record)?.map(|row| row?).collect::<Result<Vec<_>>>()?;
    for file in &files {
        bury(connection, table, &def, file, delete_after)?;
    }
    for sql in [
        "DELETE FROM claim_files WHERE claim IN (SELECT id FROM claims WHERE table_key = ?1)",
        "DELETE FROM claims WHERE table_key = ?1",
        "DELETE FROM watermarks WHERE table_key = ?1",
        "DELETE FROM versions WHERE table_key = ?1",
        "UPDATE tables SET dropped = 1, def = '' WHERE key = ?1",
    ] {
        run(connection, sql, [table.key])?;
    }
    run(connection, "UPDATE databases SET tables = tables - 1 WHERE name = ?1", [def.database.as_str()])?;
    run(connection, "DELETE FROM databases WHERE name = ?1 AND tables <= 0", [def.database.as_str()])?;
    log::append(connection, table.key, log::DEFINITION, table.version + 1, &[])
}
