//! What the log's thread does: one batch after the other, in order, and segments that come and go.
//!
//! Apart from the handle because nothing here is shared: the thread owns it all.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use gigapi_model::TableId;
use tokio::time::Instant;

use super::disk::{Disk, DiskFile};
use super::log::{Append, Apply, Command, LogError, LogOptions, LogStatus, Payload};
use super::note::Note;
use super::record::{self, Interval, OVERHEAD};
use super::replay::{Replay, ReplayedSegment};
use super::segment::{HEADER_BYTES, Header, file_name};
use crate::crash::crash_point;

/// A batch is written at once; beyond this many bytes the rest waits for the next one.
const BATCH_BYTES_MAX: usize = 8 << 20;

pub(super) struct Owner {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: LogOptions,
    pub(super) status: Arc<LogStatus>,
    apply: Box<dyn Apply>,
    /// Finished segments, oldest first.
    pub(super) finished: Vec<ReplayedSegment>,
    pub(super) current: Option<Current>,
    next_segment: u64,
    next_sequence: u64,
    /// What is known of segments that are gone.
    pub(super) note: Note,
}

/// The segment that is being written.
pub(super) struct Current {
    file: Box<dyn DiskFile>,
    pub(super) segment: ReplayedSegment,
    /// Definitions that it holds, by table and revision.
    defined: HashSet<(TableId, u64)>,
}

impl Owner {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        replay: Replay,
        status: Arc<LogStatus>,
        apply: Box<dyn Apply>,
    ) -> Self {
        let next_sequence = options.first_sequence.max(replay.last_sequence + 1);
        let (finished, next_segment, note) = (replay.segments, replay.next_segment, replay.note);
        Self { disk, options, status, apply, finished, current: None, next_segment, next_sequence, note }
    }

    pub(super) fn run(&mut self, inbox: &Receiver<Command>) {
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
                // Where a few bytes go, rows may not: only they tell that the disk has room again.
                if batch.iter().any(|append| matches!(append.payload, Payload::Rows(_))) {
                    self.status.failing.store(false, Ordering::Relaxed);
                }
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
        let mut intervals: Vec<Interval> = Vec::new();
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
            match &append.payload {
                Payload::Rows(rows) => record::put_write(&mut out, sequence, synced, epoch, rows),
                Payload::Intervals(noted) => {
                    record::put_intervals(&mut out, sequence, synced, epoch, &record::encode_intervals(noted));
                    intervals.extend(noted);
                }
            }
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
        current.segment.intervals.extend(intervals);
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
                let segment = ReplayedSegment {
                    number: header.number,
                    first_sequence: header.first_sequence,
                    bytes: HEADER_BYTES as u64,
                    ..Default::default()
                };
                *empty = Some(Current { file, segment, defined: HashSet::new() });
            }
        }
        self.current.as_mut().ok_or_else(|| io::Error::other("no segment is open"))
    }

    /// Opens a new segment before the present one is full. Where the disk has no room even for that, all stays.
    pub(super) fn roll(&mut self) {
        let Some(current) = self.current.take() else { return };
        match self.segment() {
            Ok(_) => self.finished.push(current.segment),
            Err(_) => self.current = Some(current),
        }
    }

    /// Leaves the segment as it is; the next batch opens a new one from the same sequence on.
    fn give_up_segment(&mut self) {
        if let Some(current) = self.current.take() {
            tracing::error!(segment = current.segment.number, "a segment could not be synced and is given up");
            self.finished.push(current.segment);
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        let current = self.current.as_ref().map(|current| &current.segment);
        self.finished.iter().chain(current).map(|segment| segment.bytes).sum()
    }

    pub(super) fn report(&self) {
        let current = self.current.as_ref();
        self.status.bytes.store(self.bytes(), Ordering::Relaxed);
        let count = self.finished.len() + usize::from(current.is_some());
        self.status.segments.store(count as u64, Ordering::Relaxed);
    }
}
