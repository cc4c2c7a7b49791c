//! Claims in the file, and the writers' epochs: everything that fences.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use gigapi_model::{ClaimId, FileId, TableId, Timestamp, WriterId};
use rusqlite::{Connection, params};

use super::commit::{View, catalog_epoch};
use super::sql::{locate, run, signed, unsigned, uuid};
use crate::judge::{self, Facts};
use crate::{Claim, ClaimRequest, Error, Result, WriterSession};

/// Raises the writer's epoch and reads its watermarks.
pub(super) fn open_writer(connection: &Connection, writer: WriterId) -> Result<WriterSession> {
    let first = judge::first_token(catalog_epoch(connection)?);
    let last = super::commit::writer_epoch(connection, writer)?;
    let epoch = last.unwrap_or(first) + 1;
    let sql = "INSERT INTO writers(id, epoch) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch";
    run(connection, sql, params![writer.uuid().into_bytes(), signed(epoch)])?;
    let sql = "SELECT tables.id, seq FROM watermarks JOIN tables ON key = table_key WHERE writer = ?1 AND dropped = 0";
    let mut statement = connection.prepare_cached(sql)?;
    let watermarks = statement
        .query_map([writer.uuid().into_bytes()], |row| Ok((TableId::from_uuid(uuid(row, 0)?), unsigned(row, 1)?)))?
        .collect::<rusqlite::Result<HashMap<_, _>>>()?;
    Ok(WriterSession { epoch, known: last.is_some(), watermarks })
}

/// Every writer that was ever opened.
pub(super) fn writers(connection: &Connection) -> Result<Vec<WriterId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM writers")?;
    let writers = statement.query_map([], |row| Ok(WriterId::from_uuid(uuid(row, 0)?)))?;
    Ok(writers.collect::<rusqlite::Result<Vec<_>>>()?)
}

pub(super) fn place_writer(connection: &Connection, writer: WriterId, place: &str) -> Result<()> {
    let sql = "INSERT INTO places(place, writer) VALUES (?1, ?2) ON CONFLICT (place) DO UPDATE SET writer = ?2";
    run(connection, sql, params![place, writer.uuid().as_bytes()]).map(drop)
}

pub(super) fn writer_at(connection: &Connection, place: &str) -> Result<Option<WriterId>> {
    let mut statement = connection.prepare_cached("SELECT writer FROM places WHERE place = ?1")?;
    let mut rows = statement.query([place])?;
    rows.next()?.map(|row| Ok(WriterId::from_uuid(uuid(row, 0)?))).transpose()
}

pub(super) fn register_writer(connection: &Connection, writer: WriterId, address: &str) -> Result<()> {
    let sql = "INSERT INTO addresses(writer, address) VALUES (?1, ?2) ON CONFLICT (writer) DO UPDATE SET address = ?2";
    run(connection, sql, params![writer.uuid().as_bytes(), address]).map(drop)
}

pub(super) fn withdraw_writer(connection: &Connection, writer: WriterId) -> Result<()> {
    run(connection, "DELETE FROM addresses WHERE writer = ?1", [writer.uuid().as_bytes()]).map(drop)
}

pub(super) fn registered_writers(connection: &Connection) -> Result<BTreeMap<WriterId, String>> {
    let mut statement = connection.prepare_cached("SELECT writer, address FROM addresses")?;
    let writers = statement.query_map([], |row| Ok((WriterId::from_uuid(uuid(row, 0)?), row.get(1)?)))?;
    Ok(writers.collect::<rusqlite::Result<BTreeMap<_, _>>>()?)
}

/// Claims live files that no current claim names.
pub(super) fn claim(connection: &Connection, request: &ClaimRequest, id: ClaimId, now: Timestamp) -> Result<Claim> {
    catalog_epoch(connection)?;
    let table = locate(connection, request.table)?;
    if request.inputs.is_empty() {
        return Err(Error::Malformed { reason: "a claim names no file" });
    }
    let view = View::new(connection, table, now);
    for &file in &request.inputs {
        if view.live(file)?.is_none() {
            return Err(Error::InputChanged { file });
        }
        if view.is_claimed(file)? {
            return Err(Error::Claimed { file });
        }
    }
    let lapsed = params![table.key, now.nanos()];
    let sql = "DELETE FROM claim_files WHERE claim IN (SELECT id FROM claims WHERE table_key = ?1 AND expires <= ?2)";
    run(connection, sql, lapsed)?;
    run(connection, "DELETE FROM claims WHERE table_key = ?1 AND expires <= ?2", lapsed)?;
    let sql = "UPDATE versions SET claim_token = claim_token + 1 WHERE table_key = ?1 RETURNING claim_token";
    let token = connection.prepare_cached(sql)?.query_row([table.key], |row| unsigned(row, 0))?;
    let claim = Claim { id, token, expires: now.plus(request.lease) };
    let sql = "INSERT INTO claims(id, table_key, token, expires) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, params![id.uuid().into_bytes(), table.key, signed(token), claim.expires.nanos()])?;
    for file in &request.inputs {
        // A file that is named twice is claimed once.
        let sql = "INSERT OR IGNORE INTO claim_files(file, claim) VALUES (?1, ?2)";
        run(connection, sql, params![file.uuid().into_bytes(), id.uuid().into_bytes()])?;
    }
    Ok(claim)
}

/// Extends a claim that has not lapsed.
pub(super) fn renew(
    connection: &Connection,
    table: TableId,
    claim: Claim,
    lease: Duration,
    now: Timestamp,
) -> Result<Claim> {
    let view = View::new(connection, locate(connection, table)?, now);
    judge::current_claim(&view, claim.id, claim.token)?;
    let expires = now.plus(lease);
    let row = params![claim.id.uuid().into_bytes(), expires.nanos()];
    run(connection, "UPDATE claims SET expires = ?2 WHERE id = ?1", row)?;
    Ok(Claim { expires, ..claim })
}

/// Files of the table that a claim names which has not lapsed.
pub(super) fn claimed(connection: &Connection, table: TableId, now: Timestamp) -> Result<HashSet<FileId>> {
    let table = match locate(connection, table) {
        Err(Error::Dropped { .. }) => return Ok(HashSet::new()),
        located => located?,
    };
    let sql = "SELECT file FROM claim_files JOIN claims ON claims.id = claim WHERE table_key = ?1 AND expires > ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let files = statement.query_map(params![table.key, now.nanos()], |row| uuid(row, 0).map(FileId::from_uuid))?;
    Ok(files.collect::<rusqlite::Result<_>>()?)
}

/// Gives a claim back, if it is still the caller's.
pub(super) fn release(connection: &Connection, claim: Claim) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT 1 FROM claims WHERE id = ?1 AND token = ?2)";
    let ids = params![claim.id.uuid().into_bytes(), signed(claim.token)];
    let held: bool = connection.prepare_cached(sql)?.query_row(ids, |row| row.get(0))?;
    if held { end(connection, claim.id) } else { Ok(()) }
}

/// Forgets a claim.
pub(super) fn end(connection: &Connection, claim: ClaimId) -> Result<()> {
    run(connection, "DELETE FROM claim_files WHERE claim = ?1", [claim.uuid().into_bytes()])?;
    run(connection, "DELETE FROM claims WHERE id = ?1", [claim.uuid().into_bytes()])?;
    Ok(())
}
