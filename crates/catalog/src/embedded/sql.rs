//! Between SQLite's values and ours, and what its errors mean.

use gigapi_model::TableId;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::{Error, Result};

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        let damaged = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => {
                matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => true,
            _ => false,
        };
        if damaged { Self::Corrupt { reason } } else { Self::Unavailable { reason } }
    }
}

/// SQLite's integers are signed; ours are stored bit by bit.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

/// A live table as the statements know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    pub(super) key: i64,
    pub(super) version: u64,
}

/// Finds a live table.
pub(super) fn locate(connection: &Connection, id: TableId) -> Result<Located> {
    let mut statement = connection.prepare_cached(
        "SELECT key, dropped, version FROM tables LEFT JOIN versions ON table_key = key WHERE id = ?1",
    )?;
    let found = statement
        .query_row(params![id.uuid().into_bytes()], |row| {
            let dropped: bool = row.get(1)?;
            let version: Option<i64> = row.get(2)?;
            Ok((row.get::<_, i64>(0)?, dropped, version))
        })
        .optional()?;
    match found {
        None => Err(Error::UnknownTable { table: id }),
        Some((_, true, _)) => Err(Error::Dropped { table: id }),
        Some((key, false, Some(version))) => Ok(Located { key, version: version.cast_unsigned() }),
        Some((_, false, None)) => Err(Error::Corrupt { reason: format!("table {id} has no version") }),
    }
}

/// The stored definition of a table.
pub(super) fn definition(connection: &Connection, key: i64) -> Result<gigapi_model::TableDef> {
    let mut statement = connection.prepare_cached("SELECT def FROM tables WHERE key = ?1")?;
    let text: String = statement.query_row([key], |row| row.get(0))?;
    crate::record::decode_definition(&text)
}

/// Runs a statement that changes rows.
pub(super) fn run(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}
