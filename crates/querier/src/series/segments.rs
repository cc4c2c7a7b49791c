//! Stretches of rows that belong together: first by their tags, then by time as well.
//!
//! Pure: runs and times in, stretches out. Whether times ascend inside a run does not matter, since only neighbours are
//! compared; where they do, which is what files are sorted for, a stretch is as long as it can be.

use std::collections::HashMap;
use std::ops::Range;

use gigapi_model::TimeRange;
use gigapi_storage::TextRun;

use super::keys::Span;

/// Rows of one row group that go the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) rows: Range<usize>,
    /// The number of a combination, and later that of a group.
    pub(super) of: u32,
}

/// Combinations of several columns' codes.
#[derive(Debug, Default)]
pub(super) struct Combinations {
    /// By combination, a code for each column.
    pub(super) codes: Vec<Vec<Option<u32>>>,
    pub(super) segments: Vec<Segment>,
}

/// Cuts wanted rows wherever some column's value changes. Each column's runs cover every wanted row.
pub(super) fn combine(columns: &[&[TextRun]], wanted: &[Range<usize>]) -> Combinations {
    let mut found = Combinations::default();
    let mut numbers: HashMap<Vec<Option<u32>>, u32> = HashMap::new();
    let mut at = vec![0_usize; columns.len()];
    for range in wanted {
        let mut row = range.start;
        while row < range.end {
            let mut end = range.end;
            let mut codes = Vec::with_capacity(columns.len());
            for (runs, at) in columns.iter().zip(&mut at) {
                while runs.get(*at).is_some_and(|run| run.rows.end <= row) {
                    *at += 1;
                }
                let Some(run) = runs.get(*at) else { break };
                end = end.min(run.rows.end);
                codes.push(run.code);
            }
            let next = u32::try_from(found.codes.len()).unwrap_or(u32::MAX);
            let of = match numbers.get(&codes) {
                Some(known) => *known,
                None => {
                    numbers.insert(codes.clone(), next);
                    found.codes.push(codes);
                    next
                }
            };
            push(&mut found.segments, row..end, of);
            row = end;
        }
    }
    found
}

/// Adds rows, to the last stretch if they go on with it.
pub(super) fn push(segments: &mut Vec<Segment>, rows: Range<usize>, of: u32) {
    match segments.last_mut() {
        Some(last) if last.of == of && last.rows.end == rows.start => last.rows.end = rows.end,
        _ => segments.push(Segment { rows, of }),
    }
}

/// Cuts one page's part of a stretch by time: what lies outside `range` is left out, the rest is handed on by spans.
///
/// `first` is the row of `times[0]`, all of which belong to the stretch. A time without a span is told by `false`.
pub(super) fn cut(
    times: &[i64],
    first: usize,
    range: TimeRange,
    span: Option<Span>,
    each: &mut impl FnMut(Range<usize>, i64),
) -> bool {
    let (min, max) = (range.min.nanos(), range.max.nanos());
    let mut index = 0;
    while index < times.len() {
        let time = times[index];
        if time < min || time > max {
            index += 1;
            continue;
        }
        let (start, low, high) = match span {
            None => (0, min, max),
            Some(span) => {
                let Some(start) = span.start(time) else { return false };
                (start, min.max(start), max.min(start.saturating_add(span.nanos - 1)))
            }
        };
        let length = times[index..].iter().position(|&time| time < low || time > high);
        let end = length.map_or(times.len(), |length| index + length);
        each(first + index..first + end, start);
        index = end;
    }
    true
}

#[cfg(test)]
mod tests;
