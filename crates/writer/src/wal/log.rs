//! The thread that owns the log's order.
//!
//! append → sync → apply → acknowledge, by sequence, in one place. A write that fails is cut off again; a
//! sync that fails is never repeated on the same file, because the kernel may have dropped the pages and
//! would report success: the segment is left as it is, its waiters are told, and the next batch goes to a
//! new segment that takes the same sequences again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use gigapi_model::{ErrorKind, IdempotencyRecord, TableDef, TableId, WriterId};
use gigapi_rows::Part;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::disk::{Disk, DiskFile};
use super::record::{self, OVERHEAD};
use super::replay::{Replay, ReplayedSegment};
use super::segment::{HEADER_BYTES, Header, file_name};
use crate::crash::crash_point;

/// What one append brings to the buffer.
#[derive(Debug)]
pub struct Applied {
    /// Rows by table.
    pub tables: Vec<(TableId, Arc<Part>)>,
    /// The request's idempotency key with its answer.
    pub idempotency: Option<IdempotencyRecord>,
}

/// Takes what the log has made durable, by ascending sequence. Quick: it runs on the log's thread.
pub trait Apply: Send {
    /// Makes the rows of `sequence` visible.
    fn apply(&mut self, sequence: u64, applied: Applied);
}

/// One request on its way into the log.
#[derive(Debug)]
pub struct Append {
    /// The encoded [`super::WriteRecord`].
    pub payload: Vec<u8>,
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
        }
    }
}

/// Whether all rows of a table up to a sequence are in committed files, or the table is gone.
type Passed = Box<dyn Fn(TableId, u64) -> bool + Send>;

enum Command {
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

    /// Removes the oldest segments as long as `passed` holds for every table in them.
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

/// A batch is written at once; beyond this many bytes the rest waits for the next one.
const BATCH_BYTES_MAX: usize = 8 << 20;

struct Owner {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    status: Arc<LogStatus>,
    apply: Box<dyn Apply>,
    /// Finished segments, oldest first.
    finished: Vec<ReplayedSegment>,
    current: Option<Current>,
    next_segment: u64,
    next_sequence: u64,
}

/// The segment that is being written.
struct Current {
    file: Box<dyn DiskFile>,
    segment: ReplayedSegment,
    /// Definitions that it holds, by table and revision.
    defined: HashSet<(TableId, u64)>,
}

impl Owner {
    fn new(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        replay: Replay,
        status: Arc<LogStatus>,
        apply: Box<dyn Apply>,
    ) -> Self {
        let next_sequence = options.first_sequence.max(replay.last_sequence + 1);
        let (finished, next_segment) = (replay.segments, replay.next_segment);
        Self { disk, options, status, apply, finished, current: None, next_segment, next_sequence }
    }

    fn run(&mut self, inbox: &Receiver<Command>) {
        let mut carried = None;
        while let Some(command) = carried.take().or_else(|| inbox.recv().ok()) {
            match command {
                Command::Append(first) => {
                    let mut batch = vec![first];
                    let mut bytes = batch[0].payload.len();
                    while bytes < BATCH_BYTES_MAX {
                        match inbox.try_recv() {
                            Ok(Command::Append(append)) => {
                                bytes += append.payload.len();
                                batch.push(append);
                            }
                            Ok(other) => {
                                carried = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.write(batch, bytes);
                }
                Command::Release(passed) => self.release(&passed),
                Command::Close => return,
            }
            self.report();
        }
    }

    fn write(&mut self, batch: Vec<Append>, bytes: usize) {
        match self.make_durable(&batch, bytes) {
            Ok(first) => {
                self.status.failing.store(false, Ordering::Relaxed);
                for (append, sequence) in batch.into_iter().zip(first) {
                    self.apply.apply(sequence, append.applied);
                    if let Some(done) = append.done {
                        // A client that went away is not told.
                        let _ = done.send(Ok(sequence));
                    }
                }
                crash_point("wal:after-apply");
            }
            Err(error) => {
                if !self.status.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the write-ahead log cannot be written; requests are answered 503");
                }
                for append in batch {
                    if let Some(done) = append.done {
                        let _ = done.send(Err(LogError::Disk(error.to_string())));
                    }
                }
            }
        }
    }

    /// Writes and syncs the batch; the sequences of its records come back.
    fn make_durable(&mut self, batch: &[Append], bytes: usize) -> io::Result<Vec<u64>> {
        let first_sequence = self.next_sequence;
        let epoch = self.options.epoch;
        let current = self.segment()?;
        let mut out = Vec::with_capacity(bytes + batch.len() * OVERHEAD);
        let mut sequence = first_sequence;
        let synced = first_sequence - 1;
        let mut sequences = Vec::with_capacity(batch.len());
        let mut defined = Vec::new();
        let mut touched: HashMap<TableId, u64> = HashMap::new();
        for append in batch {
            for definition in &append.definitions {
                let key = (definition.id, definition.revision);
                if current.defined.contains(&key) || defined.contains(&key) {
                    continue;
                }
                record::put_definition(&mut out, sequence, synced, epoch, &serde_json::to_vec(definition.as_ref())?);
                defined.push(key);
                sequence += 1;
            }
            record::put_write(&mut out, sequence, synced, epoch, &append.payload);
            touched.extend(append.applied.tables.iter().map(|(table, _)| (*table, sequence)));
            sequences.push(sequence);
            sequence += 1;
        }
        crash_point("wal:before-append");
        let keep = current.segment.bytes;
        if let Err(error) = current.file.append(&out) {
            // What was written of the batch is cut off, so that the file ends with a whole record.
            if current.file.truncate(keep).is_err() {
                self.give_up_segment();
            }
            return Err(error);
        }
        crash_point("wal:before-sync");
        let started = Instant::now();
        if let Err(error) = current.file.sync() {
            self.give_up_segment();
            return Err(error);
        }
        crash_point("wal:after-sync");
        current.segment.bytes += out.len() as u64;
        current.segment.tables.extend(touched);
        current.defined.extend(defined);
        self.status.sync_seconds.observe(started.elapsed().as_secs_f64());
        self.status.syncs.fetch_add(1, Ordering::Relaxed);
        self.next_sequence = sequence;
        Ok(sequences)
    }

    /// The segment to write to; a new one where there is none or it is full.
    fn segment(&mut self) -> io::Result<&mut Current> {
        let full = self.current.as_ref().is_some_and(|current| current.segment.bytes >= self.options.segment_bytes);
        if full && let Some(current) = self.current.take() {
            self.finished.push(current.segment);
        }
        match &mut self.current {
            Some(_) => {}
            empty => {
                let header = Header {
                    writer: self.options.writer,
                    number: self.next_segment,
                    first_sequence: self.next_sequence,
                };
                // The number is spent whatever happens next: a file of that name may have come to be.
                self.next_segment += 1;
                let mut file = self.disk.create(&file_name(header.number))?;
                let made =
                    file.append(&header.encode()).and_then(|()| file.sync()).and_then(|()| self.disk.sync_names());
                if let Err(error) = made {
                    let _ = self.disk.remove(&file_name(header.number));
                    return Err(error);
                }
                self.status.syncs.fetch_add(2, Ordering::Relaxed);
                let segment =
                    ReplayedSegment { number: header.number, bytes: HEADER_BYTES as u64, tables: HashMap::new() };
                *empty = Some(Current { file, segment, defined: HashSet::new() });
            }
        }
        self.current.as_mut().ok_or_else(|| io::Error::other("no segment is open"))
    }

    /// Leaves the segment as it is; the next batch opens a new one from the same sequence on.
    fn give_up_segment(&mut self) {
        if let Some(current) = self.current.take() {
            tracing::error!(segment = current.segment.number, "a segment could not be synced and is given up");
            self.finished.push(current.segment);
        }
    }

    fn release(&mut self, passed: &Passed) {
        let done = |segment: &ReplayedSegment| segment.tables.iter().all(|(&table, &last)| passed(table, last));
        // The newest segment stays even if nothing in it is needed: its header holds the sequence.
        let keep_newest = usize::from(self.current.is_none());
        let removable = self.finished.len() - keep_newest.min(self.finished.len());
        let mut removed = 0;
        while removed < removable && self.finished.get(removed).is_some_and(done) {
            crash_point("wal:before-unlink");
            let name = file_name(self.finished[removed].number);
            if let Err(error) = self.disk.remove(&name)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, segment = name, "a segment that is no longer needed cannot be removed");
                break;
            }
            removed += 1;
        }
        if removed > 0 {
            self.finished.drain(..removed);
            self.status.syncs.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = self.disk.sync_names() {
                tracing::warn!(%error, "the removal of segments is not durable yet");
            }
            crash_point("wal:after-unlink");
        }
    }

    fn report(&self) {
        let current = self.current.as_ref().map(|current| &current.segment);
        let bytes = self.finished.iter().chain(current).map(|segment| segment.bytes).sum();
        self.status.bytes.store(bytes, Ordering::Relaxed);
        let count = self.finished.len() + usize::from(current.is_some());
        self.status.segments.store(count as u64, Ordering::Relaxed);
    }
}
