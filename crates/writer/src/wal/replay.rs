//! Reading the log back at start.
//!
//! Replay decides nothing about rows; it decides about bytes. What is unreadable and was never promised
//! (a tail that no sync covered, records that a failed sync gave up) is left out silently. Anything else
//! is damage: the segment is copied to quarantine, every later record that is whole is salvaged, and the
//! caller is told, because acknowledged rows may be gone.

use std::collections::HashMap;
use std::io;

use gigapi_model::{TableId, WriterId};

use super::disk::Disk;
use super::note::{self, Note};
use super::record::{Frame, Interval, Record};
use super::segment::{HEADER_BYTES, Header, file_name, number_of};

/// A segment that is still on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayedSegment {
    /// Its number.
    pub number: u64,
    /// The sequence that it begins with; 0 if it cannot be read.
    pub first_sequence: u64,
    /// Its size.
    pub bytes: u64,
    /// Per table, the last sequence of its rows in the segment.
    pub tables: HashMap<TableId, u64>,
    /// Intervals that were noted in it.
    pub intervals: Vec<Interval>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Replay {
    /// Segments, oldest first.
    pub segments: Vec<ReplayedSegment>,
    /// The highest sequence that was ever given, as far as the log knows; zero if it is empty.
    pub last_sequence: u64,
    /// The number of the next segment.
    pub next_segment: u64,
    /// What is known of segments that are gone. A catalog whose watermark is below what they had committed was rolled
    /// back.
    pub note: Note,
    /// One sentence for each damaged place.
    pub damage: Vec<String>,
}

impl Replay {
    /// Remembers that the loss of these tables' committed rows is accepted, up to these sequences; when it returns, that
    /// survives.
    pub fn accept(&mut self, disk: &dyn Disk, losses: &[(TableId, u64)]) -> io::Result<()> {
        self.note.accepted.extend(losses.iter().copied());
        note::write(disk, &self.note)
    }
}

/// Reads all segments in order and hands each whole record to `on_record` with its sequence.
pub fn replay(disk: &dyn Disk, writer: WriterId, on_record: &mut dyn FnMut(u64, Record)) -> io::Result<Replay> {
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let note = note::read(disk)?;
    if !note.intervals.is_empty() {
        on_record(0, Record::Intervals(note.intervals.clone()));
    }
    let mut state = Reader { disk, writer, on_record, replay: Replay { note, ..Replay::default() } };
    state.replay.next_segment = numbers.last().map_or(1, |last| last + 1);
    let mut rest = numbers.iter().copied();
    let mut is_first = true;
    let mut current = next_segment(disk, &mut rest, &mut state.replay.segments)?;
    while let Some((number, bytes)) = current.take() {
        // Where the next segment begins decides what of this one was given up.
        let mut stubs = Vec::new();
        current = next_segment(disk, &mut rest, &mut stubs)?;
        let next = current.as_ref().and_then(|(_, next)| Header::decode(next).ok());
        let own = Header::decode(&bytes).ok().map(|(own, _)| own.first_sequence);
        let gap = own.and_then(|own| state.replay.note.gap_from(own));
        let given_up_from = next.map(|(next, _)| gap.unwrap_or(u64::MAX).min(next.first_sequence));
        let position = Position { number, is_first, is_last: current.is_none(), given_up_from };
        state.segment(&position, &bytes)?;
        state.replay.segments.extend(stubs);
        is_first = false;
    }
    // What was read may lie in the system's memory alone: a killed process had not synced its last records.
    // From here on they count, so they are made durable first.
    if let Some(&last) = numbers.last() {
        disk.open(&file_name(last))?.sync()?;
        disk.sync_names()?;
    }
    Ok(state.replay)
}

/// The next segment that can hold a record. Files that were cut off while they were made go to `stubs`: if a
/// record should be in one, the gap before the next segment shows it.
fn next_segment(
    disk: &dyn Disk,
    numbers: &mut impl Iterator<Item = u64>,
    stubs: &mut Vec<ReplayedSegment>,
) -> io::Result<Option<(u64, Vec<u8>)>> {
    for number in numbers {
        let bytes = disk.read(&file_name(number))?;
        if bytes.len() > HEADER_BYTES || Header::decode(&bytes).is_ok() {
            return Ok(Some((number, bytes)));
        }
        stubs.push(ReplayedSegment { number, bytes: bytes.len() as u64, ..Default::default() });
    }
    Ok(None)
}

/// Where a segment stands among the others.
struct Position {
    number: u64,
    is_first: bool,
    is_last: bool,
    /// The first sequence of the next segment, if that is readable.
    given_up_from: Option<u64>,
}

struct Reader<'a> {
    disk: &'a dyn Disk,
    writer: WriterId,
    on_record: &'a mut dyn FnMut(u64, Record),
    replay: Replay,
}

impl Reader<'_> {
    fn segment(&mut self, position: &Position, bytes: &[u8]) -> io::Result<()> {
        let mut segment = ReplayedSegment { number: position.number, bytes: bytes.len() as u64, ..Default::default() };
        let mut damage: Option<String> = None;
        match Header::decode(bytes) {
            Ok((header, _)) => {
                segment.first_sequence = header.first_sequence;
                if header.writer != self.writer || header.number != position.number {
                    damage = Some("it belongs to another log".to_owned());
                } else if header.first_sequence > self.replay.last_sequence + 1 {
                    let missed = (self.replay.last_sequence + 1, header.first_sequence - 1);
                    if !position.is_first && !self.replay.note.covers(missed.0, missed.1) {
                        damage = Some(format!("records {} to {} are missing before it", missed.0, missed.1));
                    }
                    self.replay.last_sequence = header.first_sequence - 1;
                }
            }
            Err(reason) => damage = Some(reason.to_owned()),
        }
        let found = self.records(position, bytes, &mut segment);
        if let Some(reason) = damage.or(found) {
            let name = file_name(position.number);
            self.disk.quarantine(&name)?;
            self.replay.damage.push(format!("segment {name}: {reason}; a copy is in quarantine/"));
        }
        self.replay.segments.push(segment);
        Ok(())
    }

    /// Hands out the segment's records; says what damage lies between them.
    fn records(&mut self, position: &Position, bytes: &[u8], segment: &mut ReplayedSegment) -> Option<String> {
        let given_up = |sequence: u64| position.given_up_from.is_some_and(|from| sequence >= from);
        let mut damage = None;
        let mut at = HEADER_BYTES.min(bytes.len());
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let expected = self.replay.last_sequence + 1;
            if given_up(expected) {
                return damage;
            }
            if let Some(frame) = Frame::read(rest).filter(|frame| frame.sequence == expected) {
                at += frame.len;
                if let Err(reason) = self.record(&frame, segment) {
                    damage.get_or_insert(reason);
                }
                continue;
            }
            // Bytes that are not the next record: the end, a torn tail, or damage.
            let later = find_frame(rest, expected);
            let promised = !position.is_last && position.given_up_from.is_none_or(|from| expected < from);
            match later {
                Some((skip, frame)) if promised || frame.synced >= expected => {
                    damage.get_or_insert(format!("records {expected} to {} cannot be read", frame.sequence - 1));
                    self.replay.last_sequence = frame.sequence - 1;
                    at += skip;
                }
                _ if promised => {
                    // A segment that ends too early, but between records, is reported by the next one.
                    if !rest.is_empty() {
                        damage.get_or_insert(format!("records from {expected} on cannot be read"));
                    }
                    return damage;
                }
                _ => return damage,
            }
        }
    }

    fn record(&mut self, frame: &Frame<'_>, segment: &mut ReplayedSegment) -> Result<(), String> {
        self.replay.last_sequence = frame.sequence;
        let record = frame.decode().map_err(|reason| format!("record {} cannot be read: {reason}", frame.sequence))?;
        match &record {
            Record::Write(write) => {
                segment.tables.extend(write.tables.iter().map(|part| (part.table, frame.sequence)));
            }
            Record::Intervals(noted) => segment.intervals.extend(noted),
            Record::Definition(_) => {}
        }
        (self.on_record)(frame.sequence, record);
        Ok(())
    }
}

/// The nearest whole record behind damaged bytes, and how many bytes lie before it.
///
/// A place is tried only where the length fits, which random bytes rarely do, so this is one pass.
fn find_frame(bytes: &[u8], expected: u64) -> Option<(usize, Frame<'_>)> {
    /// Records are a request at most; a run of lost ones is far below this.
    const SEQUENCES_LOST_MAX: u64 = 1 << 32;
    (1..bytes.len()).find_map(|skip| {
        let frame = Frame::read(&bytes[skip..])?;
        let plausible = (expected..expected.saturating_add(SEQUENCES_LOST_MAX)).contains(&frame.sequence);
        plausible.then_some((skip, frame))
    })
}
