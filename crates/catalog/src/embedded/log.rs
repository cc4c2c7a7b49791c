//! The change log: what readers apply to the files that they hold in memory, instead of reading all again.
//!
//! One row per change of a table, over all tables, in the order of commits. It is bounded; a reader that
//! fell behind its end starts afresh. Nothing but readers' memory depends on it.

use rusqlite::{Connection, params};

use super::sql::run;
use crate::Result;

/// A row of 250 bytes each makes this 8 MiB at most in common use.
const ENTRIES_MAX: i64 = 32_768;

/// The table's files changed.
pub(super) const FILES: i64 = 1;
/// The table was made, extended or dropped.
pub(super) const DEFINITION: i64 = 2;
/// The whole catalog was restored.
pub(super) const RESET: i64 = 3;

/// Appends one row.
pub(super) fn append(connection: &Connection, table: i64, kind: i64, version: u64, entry: &[u8]) -> Result<()> {
    let sql = "INSERT INTO log(table_key, kind, version, entry) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, params![table, kind, version.cast_signed(), entry]).map(drop)
}

/// Forgets the rows beyond the bound; the newest always stays, so numbers are never given twice.
pub(super) fn trim(connection: &Connection) -> Result<()> {
    run(connection, "DELETE FROM log WHERE seq <= (SELECT max(seq) FROM log) - ?1", [ENTRIES_MAX]).map(drop)
}
