//! One write request, from its text to its acknowledgement.
//!
//! Everything that can refuse rows happens before the append, everything after it can only succeed or
//! answer "unknown, send again". Definitions are committed before the append, so that a record never
//! relies on a column that the catalog may yet refuse. Large bodies are worked on by blocking threads, so
//! that small ones do not wait behind them.

mod outcome;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gigapi_catalog::Error as CatalogError;
use gigapi_model::{Clock, DatabaseName, ErrorKind, IdempotencyRecord, TableDef, TableId, TableKey, TableName};
use gigapi_rows::resolve;
use gigapi_service::settings::{Durability, Limits};
use tokio::sync::{Notify, oneshot};

use crate::buffer::Buffer;
use crate::cpu::{CpuSeconds, Work};
use crate::idempotency::{Keys, Lookup, Ticket};
use crate::line_protocol::{ParseOptions, Parsed, ParsedTable, Precision, parse};
use crate::tables::Tables;
use crate::wal::{Append, Applied, Log, Payload, WriteRecord};

pub use outcome::{Outcome, WriteError};
use rows::{Accepted, conform_all, refusals_of};

/// Bodies up to this size are worked on where they arrive; moving one to another thread costs about as
/// much as parsing 32 KiB of it.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// How long a request that asked for a commit waits for it.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a request waits for room in the buffer: clients give up after five seconds at the earliest.
const ADMISSION_WAIT_MAX: Duration = Duration::from_secs(2);

/// How often a race for a definition is run again; each round ends with a definition that is newer.
const DEFINE_ROUNDS_MAX: usize = 8;

/// A write request.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The database.
    pub database: DatabaseName,
    /// Line protocol.
    pub body: Bytes,
    /// The unit of the timestamps.
    pub precision: Precision,
    /// Whether good lines are kept where others are bad.
    pub accept_partial: bool,
    /// The key of tables that this request makes.
    pub key: Option<TableKey>,
    /// What the rows have to have survived when the request is answered.
    pub durability: Option<Durability>,
    /// The client's name for the request.
    pub idempotency_key: Option<String>,
}

/// How requests are taken.
#[derive(Debug, Clone)]
pub(crate) struct IngestOptions {
    pub(crate) durability: Durability,
    pub(crate) default_key: TableKey,
    pub(crate) limits: Limits,
    pub(crate) buffer_bytes_max: usize,
    pub(crate) wal_bytes_max: u64,
}

/// Takes write requests.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) options: IngestOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) log: Log,
    pub(crate) flush_now: Arc<Notify>,
    pub(crate) cpu: CpuSeconds,
}

impl Ingest {
    /// Waits for room; asked before any work is done for a request and before its body is read.
    ///
    /// Where rows come faster than they are flushed, requests wait from half of the buffer's limit on: cores that
    /// do not parse encode, and the clients slow down to what the machine sustains without seeing an error.
    pub(crate) async fn until_admitted(&self) -> Result<(), WriteError> {
        let half = self.options.buffer_bytes_max / 2;
        if self.buffer.bytes() >= half {
            self.flush_now.notify_one();
            // Whether the wait was long enough, the limits themselves decide.
            let _ = tokio::time::timeout(ADMISSION_WAIT_MAX, self.buffer.until_below(half)).await;
        }
        self.admit()
    }

    /// Whether there is room.
    fn admit(&self) -> Result<(), WriteError> {
        let buffered = self.buffer.bytes();
        if buffered >= self.options.buffer_bytes_max {
            return Err(WriteError::busy(format!(
                "{buffered} bytes of rows wait for their flush, GIGAPI_BUFFER_BYTES_MAX is {}; send again later",
                self.options.buffer_bytes_max
            )));
        }
        let logged = self.log.status().bytes.load(std::sync::atomic::Ordering::Relaxed);
        if logged >= self.options.wal_bytes_max {
            // Segments go when their rows are in files.
            self.flush_now.notify_one();
            return Err(WriteError::busy(format!(
                "the write-ahead log holds {logged} bytes, GIGAPI_WAL_BYTES_MAX is {}; send again later",
                self.options.wal_bytes_max
            )));
        }
        Ok(())
    }

    /// Takes one request.
    pub(crate) async fn write(&self, request: WriteRequest) -> Result<Outcome, WriteError> {
        self.admit()?;
        let Some(key) = request.idempotency_key.clone() else { return self.write_new(request, None).await };
        match self.keys.look_up(&key).await {
            Lookup::Answered(answered) => {
                // The first answer may have promised less, or have been that the commit was still to come.
                if self.durability(&request) == Durability::Commit
                    && let Some(stored) = &answered.stored
                {
                    self.until_committed(stored.sequence, &stored.tables).await?;
                }
                Outcome::decode(&answered.record.answer)
            }
            // The ticket is held until the answer is known, so that a repetition waits for it.
            Lookup::New(ticket) => self.write_new(request, Some((key, ticket))).await,
        }
    }

    fn durability(&self, request: &WriteRequest) -> Durability {
        request.durability.unwrap_or(self.options.durability)
    }

    async fn write_new(&self, request: WriteRequest, key: Option<(String, Ticket)>) -> Result<Outcome, WriteError> {
        let received_at = self.clock.now();
        let options = self.parse_options(&request);
        let body = request.body.clone();
        let inline = body.len() <= INLINE_BYTES_MAX;
        let cpu = self.cpu.clone();
        let mut parsed = on_cpu(inline, move || cpu.of(Work::Parse, || parse(&body, &options))).await?;
        let definitions = self.definitions(&request, &mut parsed).await?;
        let body = request.body.clone();
        let (key, ticket) = key.unzip();
        let answered = key.map(|key| (key, received_at));
        let cpu = self.cpu.clone();
        let conforming = move || cpu.of(Work::Conform, || conform_all(&body, parsed, &definitions, answered));
        let accepted = on_cpu(inline, conforming).await??;
        if accepted.outcome.is_refused(request.accept_partial) {
            return Ok(accepted.outcome.refused_whole(request.accept_partial));
        }
        self.store(&request, accepted, ticket).await
    }

    fn parse_options(&self, request: &WriteRequest) -> ParseOptions {
        let limits = &self.options.limits;
        ParseOptions {
            line_bytes_max: limits.line_bytes_max,
            tag_value_bytes_max: limits.tag_value_bytes_max,
            columns_max: limits.columns_max,
            tables_max: limits.tables_max,
            ..ParseOptions::new(request.precision, self.clock.now())
        }
    }

    /// The definitions of all tables, extended where the request needs it. With `accept_partial` off,
    /// nothing is extended if any row is refused: a refused request changes no state.
    async fn definitions(
        &self,
        request: &WriteRequest,
        parsed: &mut Parsed,
    ) -> Result<Vec<Option<Arc<TableDef>>>, WriteError> {
        let mut known = Vec::with_capacity(parsed.tables.len());
        let mut new_columns = 0;
        let mut refused = parsed.refused_count > 0;
        for table in &parsed.tables {
            let name = TableName::new(&table.name).map_err(|error| WriteError::invalid(error.to_string()))?;
            let definition = self.tables.get(&request.database, &name).await?;
            let resolution = resolve(&table.draft, definition.as_deref());
            new_columns += resolution.new_columns.len();
            refused |= !resolution.refused.is_empty();
            let fits = definition.filter(|_| resolution.new_columns.is_empty());
            known.push((name, fits));
        }
        let limit = self.options.limits.new_columns_max;
        let existing = known.iter().any(|(_, definition)| definition.is_some());
        if new_columns > limit && (existing || new_columns > self.options.limits.columns_max) {
            return Err(WriteError::invalid(format!(
                "the request would make {new_columns} new columns, GIGAPI_NEW_COLUMNS_MAX is {limit}; send it in parts or use fewer names"
            )));
        }
        if refused && !request.accept_partial {
            // The rows are judged again against the empty definition or the known one; none is stored.
            let mut judged = Vec::with_capacity(known.len());
            for ((_, definition), table) in known.into_iter().zip(&parsed.tables) {
                judged.push((definition, &table.draft));
            }
            return Err(WriteError::refused(refusals_of(&request.body, parsed, &judged)));
        }
        let mut definitions = Vec::with_capacity(known.len());
        for ((name, definition), table) in known.into_iter().zip(&parsed.tables) {
            definitions.push(match definition {
                Some(definition) => Some(definition),
                None => self.define(request, &name, table).await?,
            });
        }
        Ok(definitions)
    }

    /// Extends the table by what the draft needs; a race that was lost is run again against the winner.
    /// `None` is a table that does not exist and of which no row can be stored.
    async fn define(
        &self,
        request: &WriteRequest,
        name: &TableName,
        table: &ParsedTable,
    ) -> Result<Option<Arc<TableDef>>, WriteError> {
        let key = request.key.unwrap_or(self.options.default_key);
        let mut last = None;
        for _ in 0..DEFINE_ROUNDS_MAX {
            let known = self.tables.get(&request.database, name).await?;
            let resolution = resolve(&table.draft, known.as_deref());
            match known {
                known if resolution.new_columns.is_empty() => return Ok(known),
                _ => {}
            }
            match self.tables.define(&request.database, name, resolution.new_columns, key).await {
                Ok(defined) if resolve(&table.draft, Some(&defined)).new_columns.is_empty() => {
                    return Ok(Some(defined));
                }
                // The table that was known is gone, and the new one of its name lacks what that one had.
                Ok(_) => {}
                Err(error @ CatalogError::Definition(gigapi_model::DefinitionError::Conflict { .. })) => {
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(
            || WriteError::busy("the table's definition keeps changing; send again".to_owned()),
            Into::into,
        ))
    }

    /// Puts the rows into the log and waits as long as the durability asks for.
    async fn store(
        &self,
        request: &WriteRequest,
        accepted: Accepted,
        ticket: Option<Ticket>,
    ) -> Result<Outcome, WriteError> {
        let Accepted { payload, tables, definitions, outcome, idempotency } = accepted;
        let durability = self.durability(request);
        self.admit_tables(&tables)?;
        let ids: Vec<TableId> = tables.iter().map(|(table, _)| *table).collect();
        let applied = Applied { tables, idempotency, ticket };
        let (done, told) = match durability {
            Durability::Memory => (None, None),
            Durability::Wal | Durability::Commit => {
                let (done, told) = oneshot::channel();
                (Some(done), Some(told))
            }
        };
        self.log.append(Append { payload: Payload::Rows(payload), definitions, applied, done })?;
        let Some(told) = told else { return Ok(outcome) };
        let logged = told.await.map_err(|_| WriteError::from(crate::wal::LogError::Closed))?;
        // A full disk gets room when rows are in files and their segments go.
        let sequence = logged.inspect_err(|_| self.flush_now.notify_one())?;
        if durability == Durability::Commit {
            self.until_committed(sequence, &ids).await?;
        }
        Ok(outcome)
    }

    /// Asks for a flush and waits until these rows are committed.
    async fn until_committed(&self, sequence: u64, tables: &[TableId]) -> Result<(), WriteError> {
        self.flush_now.notify_one();
        let committed = self.buffer.until_committed(sequence, tables);
        tokio::time::timeout(COMMIT_WAIT_MAX, committed).await.map_err(|_| {
            WriteError::unavailable(
                "the rows are in the write-ahead log but were not committed within 30 s; send again with the same Idempotency-Key".to_owned(),
            )
        })
    }

    /// One table may hold at most three quarters of the buffer and half of the log, so that a table which cannot commit
    /// leaves room for the others.
    fn admit_tables(&self, tables: &[(TableId, Arc<gigapi_rows::Part>)]) -> Result<(), WriteError> {
        if tables.iter().any(|(table, _)| self.log.is_lagging(*table)) {
            return Err(WriteError::busy(format!(
                "rows of this table cannot be flushed and fill half of GIGAPI_WAL_BYTES_MAX ({} bytes); the server's log says why, send again later",
                self.options.wal_bytes_max
            )));
        }
        let share = self.options.buffer_bytes_max / 4 * 3;
        // Far from the limit no table can be over its share.
        if self.buffer.bytes() < share {
            return Ok(());
        }
        match tables.iter().find(|(table, _)| self.buffer.table_bytes(*table) >= share) {
            Some(_) => Err(WriteError::busy(format!(
                "rows of this table wait for their flush and fill three quarters of GIGAPI_BUFFER_BYTES_MAX ({} bytes); send again later",
                self.options.buffer_bytes_max
            ))),
            None => Ok(()),
        }
    }
}

/// Runs CPU-bound work: small work here, large work on a blocking thread.
async fn on_cpu<T: Send + 'static>(inline: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T, WriteError> {
    if inline {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| WriteError {
        kind: ErrorKind::Internal,
        message: format!("parsing ended by a panic: {error}"),
        refused: None,
    })
}

/// The record that goes with an answered key.
fn idempotency_record(
    answered: Option<(String, gigapi_model::Timestamp)>,
    outcome: &Outcome,
) -> Option<IdempotencyRecord> {
    answered.map(|(key, received_at)| IdempotencyRecord { key, received_at, answer: outcome.encode() })
}

/// Encodes the rows for the log.
fn encode(idempotency: Option<&IdempotencyRecord>, tables: &[(TableId, Arc<gigapi_rows::Part>)]) -> Vec<u8> {
    WriteRecord::encode(idempotency, tables.iter().map(|(table, part)| (*table, part.as_ref())))
}

#[cfg(test)]
mod tests;
