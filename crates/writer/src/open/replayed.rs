//! What the log says when it is read back, and what follows from it.
//!
//! Apart from the opening itself because it knows the log alone: which rows are still to be flushed and in which
//! intervals, which commits the catalog has to know, where the log goes on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gigapi_catalog::{Catalog, TableState, WriterSession};
use gigapi_model::{TableDef, TableId, WriterId};
use gigapi_service::{Block, Readiness};

use super::{OpenError, WriterOptions};
use crate::buffer::Buffer;
use crate::idempotency::{Keys, Stored};
use crate::metrics::Metrics;
use crate::wal::{Applied, Disk, Interval, LogOptions, Record, Replay, replay};

/// Segments are rolled at this size.
const SEGMENT_BYTES: u64 = 64 << 20;

/// See the module.
pub(super) struct Replayed {
    pub(super) replay: Replay,
    /// The newest definition of each table with rows in it.
    pub(super) definitions: HashMap<TableId, TableDef>,
    /// Flushes whose commits may have been sent.
    intervals: Vec<Interval>,
}

impl Replayed {
    /// Puts every row above its table's watermark back into the buffer.
    pub(super) async fn read(
        disk: &Arc<dyn Disk>,
        writer: WriterId,
        buffer: &Arc<Buffer>,
        keys: &Arc<Keys>,
        path: &Path,
    ) -> Result<Self, OpenError> {
        let (disk, buffer, keys) = (Arc::clone(disk), Arc::clone(buffer), Arc::clone(keys));
        let reading = tokio::task::spawn_blocking(move || read(disk.as_ref(), writer, &buffer, &keys));
        match reading.await {
            Ok(replayed) => replayed.map_err(|source| OpenError::Replay { path: path.to_owned(), source }),
            Err(panic) => Err(OpenError::Start(format!("replay ended by a panic: {panic}"))),
        }
    }

    /// Per table, up to where the log knows its rows to have been committed.
    fn committed(&self) -> HashMap<TableId, u64> {
        let mut committed = self.replay.note.committed.clone();
        for Interval { table, lo, .. } in &self.intervals {
            let known = committed.entry(*table).or_default();
            *known = (lo - 1).max(*known);
        }
        committed
    }

    /// Refuses a catalog that has forgotten commits which the log remembers, unless that is accepted, now or before.
    pub(super) async fn check_committed(
        &mut self,
        catalog: &dyn Catalog,
        session: &WriterSession,
        options: &WriterOptions,
        disk: &dyn Disk,
    ) -> Result<(), OpenError> {
        let mut accepted = Vec::new();
        for (table, known) in self.committed() {
            let found = session.watermarks.get(&table).copied().unwrap_or(0);
            let is_accepted = self.replay.note.accepted.get(&table).is_some_and(|accepted| *accepted >= known);
            if found >= known || is_accepted || catalog.table_state(table).await? == TableState::Dropped {
                continue;
            }
            let behind = OpenError::CatalogBehind { table, known, found };
            if !options.settings.accept_wal_loss {
                return Err(behind);
            }
            tracing::error!("{behind}; the loss is accepted");
            accepted.push((table, known));
        }
        if accepted.is_empty() {
            return Ok(());
        }
        let noted = self.replay.accept(disk, &accepted);
        noted.map_err(|source| OpenError::Replay { path: options.wal.clone(), source })
    }

    /// How the log goes on.
    pub(super) fn log_options(&self, writer: WriterId, session: &WriterSession, bytes_max: u64) -> LogOptions {
        let committed = session.watermarks.values().copied().max().unwrap_or(0);
        LogOptions {
            writer,
            epoch: session.epoch,
            first_sequence: self.replay.last_sequence.max(committed) + 1,
            segment_bytes: SEGMENT_BYTES,
            bytes_max,
        }
    }

    /// Damage keeps the process from being ready until it is accepted.
    pub(super) fn report_damage(
        &self,
        options: &WriterOptions,
        readiness: &Readiness,
        metrics: &Metrics,
    ) -> Option<Block> {
        let damage = &self.replay.damage;
        metrics.wal_damaged.set(i64::try_from(damage.len()).unwrap_or(i64::MAX));
        for damage in damage {
            tracing::error!(folder = %options.wal.display(), damage, "the write-ahead log is damaged; whole records were salvaged");
        }
        let must_accept = !damage.is_empty() && !options.settings.accept_wal_loss;
        must_accept.then(|| {
            let first = damage.first().map_or("", String::as_str);
            let message = format!(
                "the write-ahead log is damaged: {first}; accept the loss with GIGAPI_ACCEPT_WAL_LOSS=true and start again"
            );
            readiness.block("recovering", message)
        })
    }
}

fn read(disk: &dyn Disk, writer: WriterId, buffer: &Buffer, keys: &Keys) -> std::io::Result<Replayed> {
    let mut definitions: HashMap<TableId, TableDef> = HashMap::new();
    let (mut intervals, mut rows) = (Vec::new(), 0);
    let replay = replay(disk, writer, &mut |sequence, record| match record {
        Record::Definition(table) => {
            let known = definitions.entry(table.id).or_insert_with(|| table.as_ref().clone());
            if known.revision < table.revision {
                *known = *table;
            }
        }
        Record::Intervals(noted) => intervals.extend(noted),
        Record::Write(write) => {
            if let Some(record) = &write.idempotency {
                let tables = write.tables.iter().map(|part| part.table).collect();
                keys.remember(record.clone(), Some(Stored { sequence, tables }));
            }
            let above = write.tables.into_iter().filter(|part| sequence > buffer.watermark(part.table));
            let tables: Vec<_> = above.map(|part| (part.table, Arc::new(part.part))).collect();
            rows += tables.iter().map(|(_, part)| part.rows()).sum::<usize>();
            buffer.push(sequence, Applied { tables, idempotency: write.idempotency, ticket: None });
        }
    })?;
    buffer.skip_to(replay.last_sequence);
    buffer.cut(&intervals);
    if rows > 0 {
        tracing::info!(rows, segments = replay.segments.len(), "rows were read back from the write-ahead log");
    }
    Ok(Replayed { replay, definitions, intervals })
}
