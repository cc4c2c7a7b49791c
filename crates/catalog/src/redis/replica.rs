//! A table as this process holds it, and how it catches up.
//!
//! Files are read whole once and moved on by what the table's log says since. Whatever does not fit together is
//! read whole again: the replica is a copy, never a truth.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gigapi_model::{FileId, TableDef, Timestamp, WriterId};
use redis::{FromRedisValue, Value};

use super::connection::unexpected;
use crate::Result;
use crate::delta;
use crate::file_set::FileSet;
use crate::ledger::Ledger;
use crate::record::{decode_definition, decode_file};

/// A table at one revision.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// As the server writes it; empty for a table that was never read or does not exist.
    pub(super) rev: String,
    pub(super) epoch: u64,
    pub(super) version: u64,
    /// None if it was dropped.
    pub(super) def: Option<Arc<TableDef>>,
    /// The definition as it is stored, to tell whether it changed.
    def_text: Vec<u8>,
    pub(super) files: FileSet,
    pub(super) ledger: Ledger,
    pub(super) watermarks: Arc<HashMap<WriterId, u64>>,
}

/// What one look at the server told besides the replica.
#[derive(Debug)]
pub(super) struct Look {
    /// The server's present.
    pub(super) now: Timestamp,
    /// Whether there is such a table, live or dropped.
    pub(super) exists: bool,
    /// Which of the files that were asked for are used.
    pub(super) used: HashSet<FileId>,
}

impl Replica {
    /// Takes in what `READ` answered for these files.
    pub(super) fn take(&mut self, answer: Value, asked: &[FileId]) -> Result<Look> {
        let Value::Array(fields) = answer else { return Err(unexpected("a table")) };
        let mut fields = fields.into_iter();
        let mut next = || fields.next().ok_or_else(|| unexpected("a table"));
        let now = server_time(next()?)?;
        let Ok(epoch) = next() else {
            *self = Self::default();
            return Ok(Look { now, exists: false, used: HashSet::new() });
        };
        let (epoch, rev, flags): (u64, String, Vec<u8>) = (convert(epoch)?, convert(next()?)?, flags(next()?)?);
        let used = asked.iter().zip(flags).filter(|(_, flag)| *flag == 1).map(|(file, _)| *file).collect();
        let look = Look { now, exists: true, used };
        let Ok(version) = next() else { return Ok(look) };
        let version = convert(version)?;
        let (state, def_text): (String, Vec<u8>) = (convert(next()?)?, convert(next()?)?);
        let ledger = Ledger::decode(&convert::<Vec<u8>>(next()?)?)?;
        let kind: String = convert(next()?)?;
        let entries: Vec<Vec<u8>> = convert(next()?)?;
        // What is applied in part because of an error is not trusted.
        self.rev = String::new();
        if kind == "whole" {
            self.files = FileSet::default();
            for record in entries {
                self.files.insert(Arc::new(decode_file(&record)?));
            }
        } else {
            for entry in entries {
                let delta = delta::decode(&entry)?;
                delta.removed.into_iter().for_each(|file| drop(self.files.remove(file)));
                delta.added.into_iter().for_each(|file| self.files.insert(file));
            }
        }
        if state != "live" {
            self.def = None;
            self.files = FileSet::default();
        } else if self.def.is_none() || self.def_text != def_text {
            self.def = Some(Arc::new(definition(&def_text)?));
        }
        let watermarks = ledger.watermarks();
        if *self.watermarks != watermarks {
            self.watermarks = Arc::new(watermarks);
        }
        (self.ledger, self.def_text, self.version, self.epoch, self.rev) = (ledger, def_text, version, epoch, rev);
        Ok(look)
    }
}

pub(super) fn definition(text: &[u8]) -> Result<TableDef> {
    decode_definition(std::str::from_utf8(text).map_err(|_| unexpected("a definition"))?)
}

pub(super) fn convert<T: FromRedisValue>(value: Value) -> Result<T> {
    T::from_redis_value(value).map_err(|error| unexpected(&error.to_string()))
}

/// Seconds and microseconds, as `TIME` answers.
pub(super) fn server_time(value: Value) -> Result<Timestamp> {
    let (seconds, micros): (i64, i64) = convert(value)?;
    Ok(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1_000))))
}

/// Bytes would do for numbers, but a list of small integers reads as one too easily: each is taken by itself.
fn flags(value: Value) -> Result<Vec<u8>> {
    let Value::Array(items) = value else { return Err(unexpected("flags")) };
    items.into_iter().map(convert::<u8>).collect()
}
