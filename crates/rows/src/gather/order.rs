//! The order of rows: which part and row stands where.

use std::sync::Arc;

use gigapi_model::{TimeRange, Timestamp};

use super::series::Ranked;
use crate::part::Part;

/// Where a row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowRef {
    pub(super) part: u32,
    pub(super) row: u32,
}

/// Rows in table order, column by column.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// Per row, where its last write lies.
    pub(super) last: Vec<RowRef>,
    /// Per row, its time.
    pub(super) time: Vec<i64>,
    /// Per row, its series' rank.
    pub(super) rank: Vec<u32>,
    /// Rows that were written more than once: `(row, start, end)` into `older`, by ascending row.
    pub(super) overwritten: Vec<(u32, u32, u32)>,
    /// Earlier writes of one row, from new to old.
    pub(super) older: Vec<RowRef>,
}

impl Ordered {
    /// Deals the rows to their series in order of arrival and puts each series into time order.
    #[expect(clippy::cast_possible_truncation, reason = "a flush holds fewer than 2^32 rows and parts")]
    pub(super) fn new(parts: &[Arc<Part>], ranked: &Ranked<'_>, range: TimeRange) -> Self {
        let all = parts.iter().all(|part| range.contains(part.range().min) && range.contains(part.range().max));
        let keeps = |time: i64| all || range.contains(Timestamp::from_nanos(time));
        let mut next = vec![0_u32; ranked.len() + 1];
        for (part, ranks) in parts.iter().zip(ranked.by_part()) {
            for (&series, &time) in part.series_of_row().iter().zip(part.time()) {
                if keeps(time) {
                    next[ranks[series as usize] as usize + 1] += 1;
                }
            }
        }
        for rank in 1..next.len() {
            next[rank] += next[rank - 1];
        }
        let starts = next.clone();
        let rows = next.last().copied().unwrap_or(0) as usize;
        let mut ordered =
            Self { last: vec![RowRef::default(); rows], time: vec![0; rows], rank: vec![0; rows], ..Self::default() };
        for (part_index, (part, ranks)) in parts.iter().zip(ranked.by_part()).enumerate() {
            for (row, (&series, &time)) in part.series_of_row().iter().zip(part.time()).enumerate() {
                if keeps(time) {
                    let rank = ranks[series as usize];
                    let at = next[rank as usize] as usize;
                    next[rank as usize] += 1;
                    ordered.last[at] = RowRef { part: part_index as u32, row: row as u32 };
                    ordered.time[at] = time;
                    ordered.rank[at] = rank;
                }
            }
        }
        for bounds in starts.windows(2) {
            ordered.sort_series(bounds[0] as usize, bounds[1] as usize);
        }
        ordered
    }

    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// Sorts one series by time, keeping the order of arrival among equal times.
    fn sort_series(&mut self, start: usize, end: usize) {
        if self.time[start..end].is_sorted() {
            return;
        }
        let mut rows: Vec<(i64, RowRef)> =
            self.time[start..end].iter().copied().zip(self.last[start..end].iter().copied()).collect();
        rows.sort_by_key(|&(time, _)| time);
        for (at, (time, row)) in (start..end).zip(rows) {
            self.time[at] = time;
            self.last[at] = row;
        }
    }

    /// Leaves one row per series and time: the last to arrive, with the earlier ones remembered behind it.
    #[expect(clippy::cast_possible_truncation, reason = "a flush holds fewer than 2^32 rows")]
    pub(super) fn let_last_write_win(&mut self) {
        let same = |this: &Self, a: usize, b: usize| this.time[a] == this.time[b] && this.rank[a] == this.rank[b];
        let Some(first) = (1..self.len()).find(|&row| same(self, row - 1, row)) else { return };
        let mut kept = first - 1;
        let mut row = first - 1;
        while row < self.len() {
            let mut end = row + 1;
            while end < self.len() && same(self, row, end) {
                end += 1;
            }
            if end > row + 1 {
                let start = self.older.len() as u32;
                self.older.extend(self.last[row..end - 1].iter().rev());
                self.overwritten.push((kept as u32, start, self.older.len() as u32));
            }
            self.last[kept] = self.last[end - 1];
            self.time[kept] = self.time[row];
            self.rank[kept] = self.rank[row];
            kept += 1;
            row = end;
        }
        self.last.truncate(kept);
        self.time.truncate(kept);
        self.rank.truncate(kept);
    }

    /// Deals the rows to `count` buckets, keeping their order; `bucket` tells a time's bucket and that
    /// bucket's range.
    #[expect(clippy::cast_possible_truncation, reason = "a flush holds fewer than 2^32 rows")]
    pub(super) fn split(self, count: usize, bucket: impl Fn(i64) -> (usize, TimeRange)) -> Vec<Self> {
        let mut split: Vec<Self> = std::iter::repeat_with(Self::default).take(count).collect();
        let mut current: Option<(usize, TimeRange)> = None;
        let mut overwritten = self.overwritten.iter().peekable();
        for row in 0..self.last.len() {
            let time = self.time[row];
            let inside = current.filter(|(_, range)| range.contains(Timestamp::from_nanos(time)));
            let (index, range) = inside.unwrap_or_else(|| bucket(time));
            current = Some((index, range));
            let to = &mut split[index];
            if let Some(&&(_, start, end)) = overwritten.next_if(|entry| entry.0 as usize == row).as_ref() {
                let new_start = to.older.len() as u32;
                to.older.extend_from_slice(&self.older[start as usize..end as usize]);
                to.overwritten.push((to.last.len() as u32, new_start, to.older.len() as u32));
            }
            to.last.push(self.last[row]);
            to.time.push(time);
            to.rank.push(self.rank[row]);
        }
        split
    }
}
