//! The file on disk: how a connection is opened, what the tables are, and which formats are read.
//!
//! The format's number is SQLite's `user_version`, beside our `application_id`, so a foreign or a newer
//! file is refused before its first table is touched. A full integrity check reads the whole file and is
//! left to operators; pages that are damaged answer `Corrupt` when they are met.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gigapi_model::{Clock, Ids};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use crate::{Error, Result};

/// `GIGA`, so that tools can tell the file from other SQLite files.
const APPLICATION_ID: i32 = 0x4749_4741;
/// Format 1 had no places of writers, format 2 no rebuilds in a catalog that is not empty, format 3 no addresses of writers.
const FORMAT: i32 = 4;
const FILE_NAME: &str = "catalog.sqlite";
/// Another process on this host holds the lock for one transaction at a time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENTS_CACHED: usize = 96;
/// The default of 2 MiB is less than the pages that a thousand tables' commits touch.
const CACHE_KIB: i32 = 32 * 1024;
/// 32 MiB of write-ahead log: a page that every commit of a second touches is copied back once.
const CHECKPOINT_PAGES: i32 = 8192;

const TABLES: &str = "
CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK (one = 1), catalog BLOB NOT NULL, epoch INTEGER NOT NULL,
    since INTEGER NOT NULL, rebuilding INTEGER, heard INTEGER);
CREATE TABLE writers(id BLOB PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE places(place TEXT PRIMARY KEY, writer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE addresses(writer BLOB PRIMARY KEY, address TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE databases(name TEXT PRIMARY KEY, tables INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tables(key INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, dropped INTEGER NOT NULL, db TEXT NOT NULL,
    name TEXT NOT NULL, def TEXT NOT NULL);
CREATE UNIQUE INDEX tables_live ON tables(db, name) WHERE dropped = 0;
-- Apart from the definitions, so that a thousand commits touch a few narrow pages.
CREATE TABLE versions(table_key INTEGER PRIMARY KEY, version INTEGER NOT NULL, claim_token INTEGER NOT NULL,
    longest INTEGER NOT NULL);
CREATE TABLE files(table_key INTEGER NOT NULL, time_min INTEGER NOT NULL, id BLOB NOT NULL, time_max INTEGER NOT NULL,
    record BLOB NOT NULL, PRIMARY KEY (table_key, time_min, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX files_id ON files(id);
CREATE TABLE statistics(id BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE graves(file BLOB NOT NULL, layer TEXT NOT NULL, table_id BLOB NOT NULL, path TEXT NOT NULL,
    version INTEGER NOT NULL, delete_after INTEGER NOT NULL, PRIMARY KEY (file, layer)) WITHOUT ROWID;
CREATE INDEX graves_due ON graves(delete_after);
-- Ids whose graves are forgotten while they are still young enough to be added again.
CREATE TABLE spent(file BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX spent_until ON spent(until);
CREATE TABLE watermarks(table_key INTEGER NOT NULL, writer BLOB NOT NULL, seq INTEGER NOT NULL, outcomes BLOB NOT NULL,
    PRIMARY KEY (table_key, writer)) WITHOUT ROWID;
CREATE TABLE claims(id BLOB PRIMARY KEY, table_key INTEGER NOT NULL, token INTEGER NOT NULL,
    expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX claims_table ON claims(table_key);
CREATE TABLE claim_files(file BLOB PRIMARY KEY, claim BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX claim_files_claim ON claim_files(claim);
CREATE TABLE claim_outcomes(claim BLOB PRIMARY KEY, commit_id BLOB NOT NULL, version INTEGER NOT NULL,
    at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX claim_outcomes_at ON claim_outcomes(at);
CREATE TABLE idempotency(key TEXT PRIMARY KEY, at INTEGER NOT NULL, received_at INTEGER NOT NULL,
    answer BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency(at);
CREATE TABLE log(seq INTEGER PRIMARY KEY, table_key INTEGER NOT NULL, kind INTEGER NOT NULL, version INTEGER NOT NULL,
    entry BLOB NOT NULL);
";

/// What each format lacks of the next one.
const UPGRADES: [(i32, &str); 3] = [
    (1, "CREATE TABLE places(place TEXT PRIMARY KEY, writer BLOB NOT NULL) WITHOUT ROWID"),
    (2, "ALTER TABLE meta ADD COLUMN rebuilding INTEGER; ALTER TABLE meta ADD COLUMN heard INTEGER"),
    (3, "CREATE TABLE addresses(writer BLOB PRIMARY KEY, address TEXT NOT NULL) WITHOUT ROWID"),
];

/// Opens the catalog's file in `folder`, which is made if need be, and makes its tables if it is new.
pub(super) fn open(folder: &Path, clock: &dyn Clock, ids: &dyn Ids) -> Result<Connection> {
    std::fs::create_dir_all(folder).map_err(|error| Error::Unavailable {
        reason: format!("the folder {} cannot be made: {error}; correct the path or its rights", folder.display()),
    })?;
    let path = folder.join(FILE_NAME);
    let mut connection = connect(&path)?;
    prepare(&mut connection, clock, ids).map_err(|error| explain(error, &path))?;
    Ok(connection)
}

/// One more connection to a file that [`open`] has prepared.
pub(super) fn open_again(folder: &Path) -> Result<Connection> {
    let path = folder.join(FILE_NAME);
    let connection = connect(&path)?;
    configure(&connection).map_err(|error| explain(error, &path))?;
    Ok(connection)
}

fn connect(path: &PathBuf) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(error.into(), path))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Plans do not depend on the values that are bound: otherwise statements are compiled again each time they are used.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, clock: &dyn Clock, ids: &dyn Ids) -> Result<()> {
    check_format(connection)?;
    configure(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: another process may have made the tables in between.
    let found = check_format(&transaction)?;
    if found == FORMAT {
        return Ok(());
    }
    if found > 0 {
        UPGRADES.iter().filter(|(from, _)| *from >= found).try_for_each(|(_, sql)| transaction.execute_batch(sql))?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
        return Ok(());
    }
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO meta(one, catalog, epoch, since) VALUES (1, ?1, 1, ?2)",
        params![ids.random().as_bytes(), clock.now().nanos()],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

fn configure(connection: &Connection) -> Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Unavailable {
            reason: format!("its journal mode is {mode} and cannot become wal; keep it on a local file system"),
        });
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(())
}

/// The file's format; 0 where it is empty.
fn check_format(connection: &Connection) -> Result<i32> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let (application, format) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && format == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Error::Corrupt {
            reason: "it is a SQLite file of another program; move it away or choose another folder".to_owned(),
        });
    }
    if !(1..=FORMAT).contains(&format) {
        return Err(Error::Corrupt {
            reason: format!("it has format {format} and this program reads {FORMAT}; use the version that wrote it"),
        });
    }
    Ok(format)
}

/// Names the file in what went wrong with it.
fn explain(error: Error, path: &Path) -> Error {
    match error {
        Error::Unavailable { reason } => Error::Unavailable { reason: format!("{}: {reason}", path.display()) },
        Error::Corrupt { reason } => Error::Corrupt { reason: format!("{}: {reason}", path.display()) },
        other => other,
    }
}
