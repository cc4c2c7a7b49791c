//! Removing segments whose rows are in committed files.
//!
//! From the oldest on, as a rule. Where room is scarce, one table that cannot be committed must not keep the rows of all
//! others: later segments go too, and the log notes the gap. And the table takes no more rows, so that what comes after
//! can go as well.

use std::collections::HashSet;
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::log::Passed;
use super::note;
use super::owner::{Current, Owner};
use super::replay::ReplayedSegment;
use super::segment::file_name;
use crate::crash::crash_point;

fn is_done(segment: &ReplayedSegment, passed: &Passed) -> bool {
    segment.tables.iter().all(|(&table, &last)| passed(table, last))
}

impl Owner {
    pub(super) fn release(&mut self, passed: &Passed) {
        let scarce = self.status.failing.load(Ordering::Relaxed) || self.bytes() >= self.options.bytes_max / 2;
        let is_spent = |current: &Current| !current.segment.tables.is_empty() && is_done(&current.segment, passed);
        if scarce && self.current.as_ref().is_some_and(is_spent) {
            self.roll();
        }
        self.report_lagging(scarce, passed);
        self.note.intervals.retain(|interval| !passed(interval.table, interval.hi));
        let spent = self.finished.iter().take(self.removable()).take_while(|segment| is_done(segment, passed)).count();
        if spent > 0 {
            self.remember(&(0..spent).collect::<Vec<_>>());
            if let Err(error) = note::write(self.disk.as_ref(), &self.note) {
                // They go all the same: where the disk is full, this is what makes room. The next note makes up for it.
                tracing::warn!(%error, "what segments held that are no longer needed cannot be noted");
            }
            self.remove((0..spent).collect());
        }
        if scarce {
            self.release_behind(passed);
        }
    }

    /// How many finished segments may go. The newest stays even if nothing in it is needed: its header holds the sequence.
    fn removable(&self) -> usize {
        self.finished.len() - usize::from(self.current.is_none()).min(self.finished.len())
    }

    /// Removes segments behind one that has to stay.
    fn release_behind(&mut self, passed: &Passed) {
        let is_known = |index: &usize| self.finished[*index].first_sequence > 0 && self.end_of(*index).is_some();
        let behind: Vec<usize> =
            (1..self.removable()).filter(|index| is_done(&self.finished[*index], passed)).filter(is_known).collect();
        if behind.is_empty() {
            return;
        }
        let before = self.note.clone();
        self.remember(&behind);
        for &index in &behind {
            if let Some(end) = self.end_of(index) {
                self.note.add_gap(self.finished[index].first_sequence, end - 1);
            }
            let open = self.finished[index].intervals.iter().filter(|interval| !passed(interval.table, interval.hi));
            let open: Vec<_> = open.filter(|interval| !self.note.intervals.contains(interval)).copied().collect();
            self.note.intervals.extend(open);
        }
        // Gaps before all that is left tell nothing any more.
        if let Some(first) = self.finished.first().filter(|first| first.first_sequence > 0) {
            self.note.gaps.retain(|gap| gap.1 >= first.first_sequence);
        }
        match note::write(self.disk.as_ref(), &self.note) {
            Ok(()) => self.remove(behind),
            Err(error) => {
                // Without a note they would be missed.
                tracing::warn!(%error, "segments that are no longer needed stay, because that cannot be noted");
                self.note = before;
            }
        }
    }

    /// The sequence at which the next segment begins, if there is one and it can be told.
    fn end_of(&self, index: usize) -> Option<u64> {
        let current = self.current.as_ref().map(|current| &current.segment);
        self.finished.get(index + 1).or(current).map(|next| next.first_sequence).filter(|first| *first > 0)
    }

    /// Takes in what these segments held.
    fn remember(&mut self, segments: &[usize]) {
        for (table, last) in segments.iter().flat_map(|index| &self.finished[*index].tables) {
            let known = self.note.committed.entry(*table).or_default();
            *known = (*last).max(*known);
        }
        self.status.syncs.fetch_add(2, Ordering::Relaxed);
    }

    /// Unlinks these finished segments, in ascending order, up to the first that cannot be.
    fn remove(&mut self, segments: Vec<usize>) {
        let mut removed = HashSet::new();
        for index in segments {
            crash_point("wal:before-unlink");
            let name = file_name(self.finished[index].number);
            if let Err(error) = self.disk.remove(&name)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, segment = name, "a segment that is no longer needed cannot be removed");
                break;
            }
            removed.insert(self.finished[index].number);
        }
        if removed.is_empty() {
            return;
        }
        self.finished.retain(|segment| !removed.contains(&segment.number));
        self.status.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.disk.sync_names() {
            tracing::warn!(%error, "the removal of segments is not durable yet");
        }
        crash_point("wal:after-unlink");
    }

    /// Tells which tables keep the oldest segment although rows of the newest one with any are committed. They stay told
    /// for as long as they keep it.
    fn report_lagging(&self, scarce: bool, passed: &Passed) {
        let mut lagging = self.status.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        let with_rows = |segment: &&ReplayedSegment| !segment.tables.is_empty();
        let oldest = self.finished.first().filter(|_| scarce);
        let newest = self.finished.iter().rev().find(with_rows);
        let goes_on = newest.is_some_and(|newest| newest.tables.iter().any(|(&table, &last)| passed(table, last)));
        let open = oldest.iter().flat_map(|oldest| &oldest.tables).filter(|&(&table, &last)| !passed(table, last));
        let open = open.map(|(table, _)| *table).filter(|table| goes_on || lagging.contains(table));
        *lagging = open.collect();
    }
}
