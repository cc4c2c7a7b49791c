//! The next rows of a merge: all inputs that stand at the least series, their rows by time.
//!
//! Files that follow each other in time are the usual case: then whole runs are taken one after the other and no row
//! is looked at. Only where runs of one series overlap in time are rows compared.

use std::cmp::Ordering;

use super::cursor::Cursor;
use super::window::Window;

/// Rows of one input that take part in a step.
#[derive(Debug, Clone, Copy)]
struct Segment {
    cursor: usize,
    /// Rows of the run that were taken.
    at: usize,
    /// Rows of the run that may be taken.
    end: usize,
}

/// The inputs that stand at the least series.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Oldest first.
    members: Vec<usize>,
    segments: Vec<Segment>,
    taken: Vec<(usize, usize)>,
}

impl Group {
    /// Finds the members; false if no rows are left.
    pub(super) fn find(&mut self, cursors: &[Cursor]) -> bool {
        self.members.clear();
        for (index, cursor) in cursors.iter().enumerate().filter(|(_, cursor)| !cursor.is_done()) {
            let order = match self.members.first() {
                Some(&first) => cursor.compare_series(&cursors[first]),
                None => Ordering::Less,
            };
            match order {
                Ordering::Less => {
                    self.members.clear();
                    self.members.push(index);
                }
                Ordering::Equal => self.members.push(index),
                Ordering::Greater => {}
            }
        }
        !self.members.is_empty()
    }

    /// Adds the members' next rows to the window; answers by how many rows each of them goes on.
    pub(super) fn emit(&mut self, cursors: &mut [Cursor], window: &mut Window, keyed: bool) -> &[(usize, usize)] {
        self.taken.clear();
        let first = self.members[0];
        window.begin_series(&mut cursors[first]);
        if let [only] = self.members[..] {
            let cursor = &cursors[only];
            let times = cursor.times();
            window.push(only, cursor.row(), times);
            self.taken.push((only, times.len()));
            return &self.taken;
        }
        // Of a run that goes on in a later batch nothing is known beyond its last row here.
        let open = self.members.iter().map(|&member| &cursors[member]).filter(|cursor| cursor.run_goes_on());
        let limit = open.filter_map(|cursor| cursor.times().last().copied()).min();
        self.segments.clear();
        for &member in &self.members {
            let times = cursors[member].times();
            let end = limit.map_or(times.len(), |limit| times.partition_point(|time| *time <= limit));
            self.segments.push(Segment { cursor: member, at: 0, end });
            self.taken.push((member, end));
        }
        self.segments.retain(|segment| segment.end > 0);
        self.segments.sort_by_key(|segment| cursors[segment.cursor].times()[0]);
        let follow = |pair: &[Segment]| {
            let (last, next) = (cursors[pair[0].cursor].times()[pair[0].end - 1], cursors[pair[1].cursor].times()[0]);
            if keyed { last < next } else { last <= next }
        };
        if self.segments.windows(2).all(follow) {
            for segment in &self.segments {
                let cursor = &cursors[segment.cursor];
                window.push(segment.cursor, cursor.row(), &cursor.times()[..segment.end]);
            }
        } else {
            self.segments.sort_by_key(|segment| segment.cursor);
            by_row(&mut self.segments, cursors, window, keyed);
        }
        &self.taken
    }
}

/// Merges segments, oldest first, row by row; stretches of one of them are taken whole.
fn by_row(segments: &mut Vec<Segment>, cursors: &[Cursor], window: &mut Window, keyed: bool) {
    let time = |segment: &Segment| cursors[segment.cursor].times()[segment.at];
    while segments.len() > 1 {
        let mut least = i64::MAX;
        let mut following = i64::MAX;
        let mut equal = 0;
        for segment in segments.iter() {
            match time(segment).cmp(&least) {
                Ordering::Less => (following, least, equal) = (least, time(segment), 1),
                Ordering::Equal => equal += 1,
                Ordering::Greater => following = following.min(time(segment)),
            }
        }
        if equal > 1 && keyed {
            last_of_equal(segments, cursors, window, least);
        } else if let Some(segment) = segments.iter_mut().find(|segment| time(segment) == least) {
            let cursor = &cursors[segment.cursor];
            let rest = &cursor.times()[segment.at..segment.end];
            let end = if equal > 1 { least.saturating_add(1) } else { following };
            let count = rest.iter().take_while(|time| **time < end || **time == least).count();
            window.push(segment.cursor, cursor.row() + segment.at as u64, &rest[..count]);
            segment.at += count;
        }
        segments.retain(|segment| segment.at < segment.end);
    }
    for segment in segments {
        let cursor = &cursors[segment.cursor];
        window.push(segment.cursor, cursor.row() + segment.at as u64, &cursor.times()[segment.at..segment.end]);
    }
}

/// Takes the newest of the rows at that time and remembers the others.
fn last_of_equal(segments: &mut [Segment], cursors: &[Cursor], window: &mut Window, least: i64) {
    let mut is_newest = true;
    for segment in segments.iter_mut().rev() {
        let cursor = &cursors[segment.cursor];
        let times = cursor.times();
        if times[segment.at] != least {
            continue;
        }
        let row = cursor.row() + segment.at as u64;
        if is_newest {
            window.push(segment.cursor, row, &times[segment.at..=segment.at]);
        } else {
            window.push_older(segment.cursor, row);
        }
        is_newest = false;
        segment.at += 1;
    }
}
