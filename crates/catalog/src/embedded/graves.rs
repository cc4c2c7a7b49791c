//! What the catalog remembers about files that are gone and requests that are answered.

use gigapi_model::{FileId, IdempotencyRecord, LayerName, TableId, Timestamp};
use rusqlite::{Connection, params};

use super::commit::nanos;
use super::sql::{run, unsigned, uuid};
use crate::record::damaged;
use crate::{Grave, Limits, Result};

/// Graves whose time has come, oldest first.
pub(super) fn due(connection: &Connection, now: Timestamp) -> Result<Vec<Grave>> {
    let sql = "SELECT file, layer, table_id, path, version, delete_after FROM graves WHERE delete_after <= ?1
               ORDER BY delete_after, file";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([now.nanos()])?;
    let mut graves = Vec::new();
    while let Some(row) = rows.next()? {
        let layer: String = row.get(1)?;
        graves.push(Grave {
            table: TableId::from_uuid(uuid(row, 2)?),
            layer: LayerName::new(&layer).map_err(|error| damaged(format!("a grave: {error}")))?,
            path: row.get(3)?,
            file: FileId::from_uuid(uuid(row, 0)?),
            version: unsigned(row, 4)?,
            delete_after: Timestamp::from_nanos(row.get(5)?),
        });
    }
    Ok(graves)
}

/// Forgets those of these graves whose time has come, and remembers the files' ids while they are young.
pub(super) fn forget(connection: &Connection, graves: &[Grave], now: Timestamp, limits: &Limits) -> Result<()> {
    run(connection, "DELETE FROM spent WHERE until <= ?1", [now.nanos()])?;
    for Grave { file, layer, .. } in graves {
        let id = file.uuid();
        let sql = "DELETE FROM graves WHERE file = ?1 AND layer = ?2 AND delete_after <= ?3";
        if run(connection, sql, params![id.as_bytes(), layer.as_str(), now.nanos()])? == 0 {
            continue;
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM files WHERE id = ?1) OR EXISTS (SELECT 1 FROM graves WHERE file = ?1)";
        let elsewhere: bool = connection.prepare_cached(sql)?.query_row([id.as_bytes()], |row| row.get(0))?;
        if !elsewhere {
            run(connection, "DELETE FROM statistics WHERE id = ?1", [id.as_bytes()])?;
            let until = file.minted_at().plus(limits.file_age_max).nanos();
            let sql = "INSERT OR REPLACE INTO spent(file, until) VALUES (?1, ?2)";
            run(connection, sql, params![id.as_bytes(), until])?;
        }
    }
    Ok(())
}

/// Keys of requests whose rows were committed within the window, by key.
pub(super) fn idempotency(connection: &Connection, now: Timestamp, limits: &Limits) -> Result<Vec<IdempotencyRecord>> {
    let sql = "SELECT key, received_at, answer FROM idempotency WHERE at > ?1 ORDER BY key";
    let oldest = now.nanos().saturating_sub(nanos(limits.idempotency_window));
    let mut statement = connection.prepare_cached(sql)?;
    let records = statement.query_map([oldest], |row| {
        Ok(IdempotencyRecord { key: row.get(0)?, received_at: Timestamp::from_nanos(row.get(1)?), answer: row.get(2)? })
    })?;
    Ok(records.collect::<rusqlite::Result<_>>()?)
}
