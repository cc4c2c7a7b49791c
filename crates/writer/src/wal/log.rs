//! The handle to the log, and what it says of the thread that owns the log's order.
//!
//! append → sync → apply → acknowledge, by sequence, in one place. A write that fails is cut off again; a
//! sync that fails is never repeated on the same file, because the kernel may have dropped the pages and
//! would report success: the segment is left as it is, its waiters are told, and the next batch goes to a
//! new segment that takes the same sequences again.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use gigapi_model::{ErrorKind, IdempotencyRecord, TableDef, TableId, WriterId};
use gigapi_rows::Part;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::oneshot;

use super::disk::Disk;
use super::owner::Owner;
use super::record::Interval;
use super::replay::Replay;
use crate::idempotency::Ticket;

/// What one append brings to the buffer.
#[derive(Debug)]
pub struct Applied {
    /// Rows by table.
    pub tables: Vec<(TableId, Arc<Part>)>,
    /// The request's idempotency key with its answer.
    pub idempotency: Option<IdempotencyRecord>,
    /// The right to answer that key, until the rows are applied or refused.
    pub(crate) ticket: Option<Ticket>,
}

/// Takes what the log has made durable, by ascending sequence. Quick: it runs on the log's thread.
pub trait Apply: Send {
    /// Makes the rows of `sequence` visible.
    fn apply(&mut self, sequence: u64, applied: Applied);
}

/// What is appended, encoded.
#[derive(Debug)]
pub enum Payload {
    /// A [`super::WriteRecord`].
    Rows(Vec<u8>),
    /// The intervals of a flush.
    Intervals(Vec<Interval>),
}

impl Payload {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Rows(bytes) => bytes.len(),
            Self::Intervals(intervals) => size_of_val(intervals.as_slice()),
        }
    }
}

/// One request on its way into the log.
#[derive(Debug)]
pub struct Append {
    /// What the record holds.
    pub payload: Payload,
    /// Definitions of its tables.
    pub definitions: Vec<Arc<TableDef>>,
    /// What the buffer gets.
    pub applied: Applied,
    /// Told the sequence once it is applied.
    pub done: Option<oneshot::Sender<Result<u64, LogError>>>,
}

/// Why a request is not in the log. Nothing of it will be visible, unless the process dies before the
/// next successful write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The disk said no.
    #[error("the write-ahead log cannot be written: {0}; free space or repair the volume, then send again")]
    Disk(String),
    /// The log was closed.
    #[error("the write-ahead log is closed")]
    Closed,
}

impl LogError {
    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

/// How the log is run.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Whose log it is.
    pub writer: WriterId,
    /// The writer's epoch, recorded for the curious.
    pub epoch: u64,
    /// The first sequence to give.
    pub first_sequence: u64,
    /// A segment that is at least this large is followed by a new one.
    pub segment_bytes: u64,
    /// From half of this on, and while the disk is full, a segment is followed by a new one as soon as nothing in
    /// it is needed, however small it is.
    pub bytes_max: u64,
}

/// Figures about the log, readable at any time.
#[derive(Debug)]
pub struct LogStatus {
    /// Bytes of all segments.
    pub bytes: AtomicU64,
    /// Number of segments.
    pub segments: AtomicU64,
    /// Disk syncs so far.
    pub syncs: AtomicU64,
    /// Whether the last attempt to write failed.
    pub failing: AtomicBool,
    /// How long a sync takes, in seconds.
    pub sync_seconds: Histogram,
    /// Tables whose rows keep old segments although those of other tables are committed, and only where that leaves
    /// little room.
    pub lagging: Mutex<HashSet<TableId>>,
}

impl LogStatus {
    /// All at zero.
    pub fn new(sync_seconds: Histogram) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            segments: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            sync_seconds,
            lagging: Mutex::default(),
        }
    }
}

/// Whether all rows of a table up to a sequence are in committed files, or the table is gone.
pub(super) type Passed = Box<dyn Fn(TableId, u64) -> bool + Send>;

pub(super) enum Command {
    Append(Append),
    Release(Passed),
    Close,
}

/// A handle to the log; cheap to clone.
#[derive(Clone)]
pub struct Log {
    commands: Sender<Command>,
    status: Arc<LogStatus>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Log {
    /// Starts the thread on a folder that was replayed.
    pub fn start(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        replay: Replay,
        status: Arc<LogStatus>,
        apply: Box<dyn Apply>,
    ) -> io::Result<Self> {
        let (commands, inbox) = channel();
        let mut owner = Owner::new(disk, options, replay, Arc::clone(&status), apply);
        owner.report();
        let thread = std::thread::Builder::new().name("wal".to_owned()).spawn(move || owner.run(&inbox))?;
        Ok(Self { commands, status, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Queues a request.
    pub fn append(&self, append: Append) -> Result<(), LogError> {
        self.commands.send(Command::Append(append)).map_err(|_| LogError::Closed)
    }

    /// Writes down which intervals are about to be committed; when it returns, that survives.
    pub async fn note(&self, intervals: &[Interval]) -> Result<(), LogError> {
        let (done, told) = oneshot::channel();
        let applied = Applied { tables: Vec::new(), idempotency: None, ticket: None };
        let payload = Payload::Intervals(intervals.to_vec());
        self.append(Append { payload, definitions: Vec::new(), applied, done: Some(done) })?;
        told.await.unwrap_or(Err(LogError::Closed)).map(drop)
    }

    /// Whether rows of this table are what keeps the log from becoming shorter.
    pub fn is_lagging(&self, table: TableId) -> bool {
        self.status.lagging.lock().unwrap_or_else(PoisonError::into_inner).contains(&table)
    }

    /// Removes the oldest segments as long as `passed` holds for every table in them; where room is scarce, later ones
    /// too.
    pub fn release(&self, passed: impl Fn(TableId, u64) -> bool + Send + 'static) {
        // A closed log has nothing to release.
        let _ = self.commands.send(Command::Release(Box::new(passed)));
    }

    /// Writes what is queued, then stops the thread. Later appends are refused.
    pub fn close(&self) {
        let _ = self.commands.send(Command::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the write-ahead log's thread ended by a panic");
        }
    }

    /// Figures.
    pub fn status(&self) -> &LogStatus {
        &self.status
    }
}
