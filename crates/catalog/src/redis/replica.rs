//! A table as this process holds it, and how it catches up.
//!
//! Files are read whole once and moved on by what the table's log says since. Whatever does not fit together is
//! read whole again: the replica is a copy, never a truth.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{FileId, TableDef, TableId, Timestamp, WriterId};
use redis::{FromRedisValue, Value};
use tokio::time::Instant;

use super::connection::unexpected;
use crate::delta::{self, Delta};
use crate::file_set::FileSet;
use crate::ledger::Ledger;
use crate::record::{decode_definition, decode_file};
use crate::{Error, Result, Snapshot};

/// What a table's head says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// It can be read and changed.
    Live,
    /// It was dropped, or was never there.
    #[default]
    Dropped,
    /// Its catalog is being rebuilt.
    Recovering,
}

impl State {
    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "live" => Ok(Self::Live),
            "dropped" => Ok(Self::Dropped),
            "recovering" => Ok(Self::Recovering),
            _ => Err(unexpected("a table's state")),
        }
    }
}

/// A table at one revision.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// As the server writes it, a number and a mark; empty for a table that was never read or does not exist.
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
    /// When the server was asked for what is here, and what its clock said.
    asked: Option<(Instant, Timestamp)>,
    /// All live files as queries get them, once one asked.
    snapshot: Option<Arc<Snapshot>>,
}

/// What one look at the server told besides the replica.
#[derive(Debug)]
pub(super) struct Look {
    /// The server's present.
    pub(super) now: Timestamp,
    /// What the server found.
    pub(super) found: Finding,
    /// Which of the files that were asked for are used.
    pub(super) used: HashSet<FileId>,
}

/// What became of the table on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is there, live or dropped, and the replica is at its revision.
    There,
    /// It is not there.
    Absent,
    /// It waits for the rebuild under this epoch; the replica is as it was.
    Recovering(u64),
    /// It is older than the replica, which is as it was, or has another history.
    Older,
}

/// What a change that was made moved.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) delta: Delta,
    pub(super) ledger: Option<Ledger>,
    pub(super) version: Option<u64>,
    /// Whether the definition changed: the replica is read again.
    pub(super) redefined: bool,
}

impl Replica {
    /// Whether there is anything here.
    pub(super) fn is_known(&self) -> bool {
        !self.rev.is_empty()
    }

    /// Whether the server was asked at or after that moment.
    pub(super) fn is_since(&self, since: Instant) -> bool {
        self.is_known() && self.asked.is_some_and(|(at, _)| at >= since)
    }

    /// How long ago the server was asked.
    pub(super) fn age(&self) -> Duration {
        self.asked.map_or(Duration::MAX, |(at, _)| at.elapsed())
    }

    /// A look without asking the server: its clock goes on, and what it holds is what is here if nobody else changed
    /// it, which the script that makes a change compares.
    pub(super) fn look_again(&self) -> Option<Look> {
        let (at, now) = self.asked.filter(|_| self.is_known())?;
        Some(Look { now: now.plus(at.elapsed()), found: Finding::There, used: HashSet::new() })
    }

    /// All live files at this revision.
    pub(super) fn snapshot(&mut self, table: TableId) -> Result<Arc<Snapshot>> {
        let def = self.def.clone().ok_or(Error::Dropped { table })?;
        let snapshot = self.snapshot.get_or_insert_with(|| {
            Arc::new(Snapshot {
                version: self.version,
                table: def,
                files: self.files.all(),
                watermarks: Arc::clone(&self.watermarks),
            })
        });
        Ok(Arc::clone(snapshot))
    }

    /// Follows a change that this process has just made to the revision that is here.
    pub(super) fn follow(&mut self, rev: String, moved: Moved, made: Instant) {
        self.snapshot = None;
        self.rev = String::new();
        if moved.redefined {
            return;
        }
        self.apply(moved.delta);
        self.version = moved.version.unwrap_or(self.version);
        if let Some(ledger) = moved.ledger {
            self.keep(ledger);
        }
        if let Some((asked, now)) = self.asked {
            self.asked = Some((made, now.plus(made.saturating_duration_since(asked))));
        }
        self.rev = rev;
    }

    fn apply(&mut self, delta: Delta) {
        for id in delta.removed {
            self.files.remove(id);
        }
        for file in delta.added {
            self.files.insert(file);
        }
    }

    fn keep(&mut self, ledger: Ledger) {
        let watermarks = ledger.watermarks();
        if *self.watermarks != watermarks {
            self.watermarks = Arc::new(watermarks);
        }
        self.ledger = ledger;
    }

    /// Whether the revision that the server has comes before the one that is here.
    fn is_ahead_of(&self, epoch: u64, rev: &str) -> bool {
        let number = |text: &str| text.split('.').next()?.parse::<u64>().ok();
        self.is_known() && (epoch < self.epoch || (epoch == self.epoch && number(rev) < number(&self.rev)))
    }

    /// Takes in what `READ`, sent at `sent`, answered for these files.
    pub(super) fn take(&mut self, answer: Value, asked: &[FileId], sent: Instant) -> Result<Look> {
        let Value::Array(fields) = answer else { return Err(unexpected("a table")) };
        let mut fields = fields.into_iter();
        let mut next = || fields.next().ok_or_else(|| unexpected("a table"));
        let now = server_time(next()?)?;
        let look = |found| Look { now, found, used: HashSet::new() };
        let Ok(epoch) = next() else { return Ok(look(Finding::Absent)) };
        let (epoch, rev, flags): (u64, String, Vec<u8>) = (convert(epoch)?, convert(next()?)?, flags(next()?)?);
        let used = asked.iter().zip(flags).filter(|(_, flag)| *flag == 1).map(|(file, _)| *file).collect();
        let Ok(version) = next() else {
            self.asked = Some((sent, now));
            return Ok(Look { used, ..look(Finding::There) });
        };
        let version = convert(version)?;
        let (state, def_text): (String, Vec<u8>) = (convert(next()?)?, convert(next()?)?);
        let state = State::parse(&state)?;
        if state == State::Recovering {
            return Ok(look(Finding::Recovering(epoch)));
        }
        if self.is_ahead_of(epoch, &rev) {
            return Ok(look(Finding::Older));
        }
        let ledger = Ledger::decode(&convert::<Vec<u8>>(next()?)?)?;
        let kind: String = convert(next()?)?;
        let entries: Vec<Vec<u8>> = convert(next()?)?;
        if kind == "diverged" {
            return Ok(look(Finding::Older));
        }
        // What is applied in part because of an error is not trusted.
        self.rev = String::new();
        self.snapshot = None;
        if kind == "whole" {
            self.files = FileSet::default();
            for record in entries {
                self.files.insert(Arc::new(decode_file(&record)?));
            }
        } else {
            for entry in entries {
                self.apply(delta::decode(&entry)?);
            }
        }
        if state == State::Dropped {
            self.def = None;
            self.files = FileSet::default();
        } else if self.def.is_none() || self.def_text != def_text {
            self.def = Some(Arc::new(definition(&def_text)?));
        }
        self.keep(ledger);
        (self.def_text, self.version, self.epoch, self.rev) = (def_text, version, epoch, rev);
        self.asked = Some((sent, now));
        Ok(Look { used, ..look(Finding::There) })
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
