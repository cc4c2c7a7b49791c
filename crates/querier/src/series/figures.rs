//! What is kept of a column of numbers for every group: counts, sums, and ends.
//!
//! Integers are summed without loss and become what the question wants at the end. Floats are added in several lanes, which
//! is faster and no less exact than one after the other. Ends of floats follow the total order, in which a value that is
//! not a number is above all others.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, TimestampNanosecondArray, UInt64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use gigapi_storage::Numbers;

/// How a column's words are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Integer,
    Unsigned,
    Float,
    Time,
}

/// What is wanted of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    Count,
    Sum,
    Min,
    Max,
    /// As its number of values and their sum.
    Mean,
}

/// What has to be kept for a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    sum: bool,
    min: bool,
    max: bool,
}

impl Kept {
    pub(super) fn add(&mut self, statistic: Statistic) {
        match statistic {
            Statistic::Count => {}
            Statistic::Sum | Statistic::Mean => self.sum = true,
            Statistic::Min => self.min = true,
            Statistic::Max => self.max = true,
        }
    }
}

/// One column of numbers, folded by group.
#[derive(Debug)]
pub(super) struct Figures {
    kind: NumberKind,
    kept: Kept,
    /// Values, not rows.
    counts: Vec<u64>,
    integer_sums: Vec<i128>,
    float_sums: Vec<f64>,
    /// In an order in which all kinds compare as signed words.
    mins: Vec<i64>,
    maxs: Vec<i64>,
}

impl Figures {
    pub(super) fn new(kind: NumberKind, kept: Kept) -> Self {
        let (counts, integer_sums, float_sums) = (Vec::new(), Vec::new(), Vec::new());
        Self { kind, kept, counts, integer_sums, float_sums, mins: Vec::new(), maxs: Vec::new() }
    }

    /// Makes room for groups up to that number.
    pub(super) fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        match (self.kept.sum, self.kind) {
            (true, NumberKind::Float) => self.float_sums.resize(groups, 0.0),
            (true, _) => self.integer_sums.resize(groups, 0),
            (false, _) => {}
        }
        if self.kept.min {
            self.mins.resize(groups, i64::MAX);
        }
        if self.kept.max {
            self.maxs.resize(groups, i64::MIN);
        }
    }

    /// Bytes that a group takes.
    pub(super) fn group_bytes(&self) -> usize {
        8 + usize::from(self.kept.sum) * 16 + (usize::from(self.kept.min) + usize::from(self.kept.max)) * 8
    }

    /// Adds values of consecutive rows to a group.
    pub(super) fn fold(&mut self, group: usize, numbers: Numbers<'_>) {
        match numbers {
            Numbers::Integers(values) => self.fold_integers(group, values),
            Numbers::Floats(values) => self.fold_floats(group, values),
        }
    }

    /// The same, of rows some of which have no value.
    pub(super) fn fold_present(&mut self, group: usize, numbers: Numbers<'_>, present: &BooleanBuffer) {
        for (start, end) in present.set_slices() {
            let some = match numbers {
                Numbers::Integers(values) => Numbers::Integers(&values[start..end]),
                Numbers::Floats(values) => Numbers::Floats(&values[start..end]),
            };
            self.fold(group, some);
        }
    }

    fn fold_integers(&mut self, group: usize, values: &[i64]) {
        self.counts[group] += values.len() as u64;
        let is_unsigned = self.kind == NumberKind::Unsigned;
        if self.kept.sum {
            self.integer_sums[group] += if is_unsigned { unsigned_sum(values) } else { signed_sum(values) };
        }
        if self.kept.min {
            let min = if is_unsigned { least(values, |value| value ^ i64::MIN) } else { least(values, |value| value) };
            self.mins[group] = self.mins[group].min(min);
        }
        if self.kept.max {
            let max = if is_unsigned { most(values, |value| value ^ i64::MIN) } else { most(values, |value| value) };
            self.maxs[group] = self.maxs[group].max(max);
        }
    }

    fn fold_floats(&mut self, group: usize, values: &[f64]) {
        self.counts[group] += values.len() as u64;
        if self.kept.sum {
            self.float_sums[group] += float_sum(values);
        }
        if self.kept.min {
            self.mins[group] = self.mins[group].min(least(values, ordered));
        }
        if self.kept.max {
            self.maxs[group] = self.maxs[group].max(most(values, ordered));
        }
    }

    /// One statistic of all groups in the form that the engine's second half takes, which has these types.
    pub(super) fn states(&self, statistic: Statistic, types: &[DataType]) -> Result<Vec<ArrayRef>> {
        let states: Vec<ArrayRef> = match statistic {
            Statistic::Count => vec![Arc::new(Int64Array::from_iter_values(self.counts.iter().map(|&n| n as i64)))],
            Statistic::Sum => vec![self.sums()],
            Statistic::Min => vec![self.ends(&self.mins)],
            Statistic::Max => vec![self.ends(&self.maxs)],
            Statistic::Mean => {
                // The engine takes a count of nothing for a value.
                let counts = self.counts.iter().map(|&count| (count > 0).then_some(count));
                vec![Arc::new(counts.collect::<UInt64Array>()), self.sums_as_floats()]
            }
        };
        if !states.iter().map(|state| state.data_type()).eq(types) {
            return Err(DataFusionError::Internal(format!("a fold of {statistic:?} was to be {types:?}")));
        }
        Ok(states)
    }

    fn is_some(&self, group: usize) -> bool {
        self.counts[group] > 0
    }

    fn sums(&self) -> ArrayRef {
        let sums = || self.integer_sums.iter().enumerate().map(|(group, &sum)| self.is_some(group).then_some(sum));
        match self.kind {
            // Beyond 64 bits the engine wraps around too.
            NumberKind::Integer | NumberKind::Time => {
                Arc::new(sums().map(|sum| sum.map(|sum| sum as i64)).collect::<Int64Array>())
            }
            NumberKind::Unsigned => Arc::new(sums().map(|sum| sum.map(|sum| sum as u64)).collect::<UInt64Array>()),
            NumberKind::Float => self.sums_as_floats(),
        }
    }

    fn sums_as_floats(&self) -> ArrayRef {
        let groups = 0..self.counts.len();
        let sum = |group: usize| match self.kind {
            NumberKind::Float => self.float_sums[group],
            _ => self.integer_sums[group] as f64,
        };
        Arc::new(groups.map(|group| self.is_some(group).then(|| sum(group))).collect::<Float64Array>())
    }

    fn ends(&self, words: &[i64]) -> ArrayRef {
        let some = || words.iter().enumerate().map(|(group, &word)| self.is_some(group).then_some(word));
        match self.kind {
            NumberKind::Integer => Arc::new(some().collect::<Int64Array>()),
            NumberKind::Time => Arc::new(some().collect::<TimestampNanosecondArray>()),
            NumberKind::Unsigned => {
                let unsigned = some().map(|word| word.map(|word| (word ^ i64::MIN) as u64));
                Arc::new(unsigned.collect::<UInt64Array>())
            }
            NumberKind::Float => Arc::new(some().map(|word| word.map(unordered)).collect::<Float64Array>()),
        }
    }
}

/// The types of a statistic's state, as the engine has them.
pub(super) fn state_types(kind: NumberKind, statistic: Statistic) -> Vec<DataType> {
    let value = match kind {
        NumberKind::Integer => DataType::Int64,
        NumberKind::Unsigned => DataType::UInt64,
        NumberKind::Float => DataType::Float64,
        NumberKind::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
    };
    match statistic {
        Statistic::Count => vec![DataType::Int64],
        Statistic::Mean => vec![DataType::UInt64, DataType::Float64],
        Statistic::Sum | Statistic::Min | Statistic::Max => vec![value],
    }
}

#[inline(always)]
fn least<T: Copy>(values: &[T], order: impl Fn(T) -> i64) -> i64 {
    let mut least = i64::MAX;
    for &value in values {
        least = least.min(order(value));
    }
    least
}

#[inline(always)]
fn most<T: Copy>(values: &[T], order: impl Fn(T) -> i64) -> i64 {
    let mut most = i64::MIN;
    for &value in values {
        most = most.max(order(value));
    }
    most
}

/// Sums of the upper and the lower halves of words overflow nowhere, and both are added several at a time.
fn signed_sum(values: &[i64]) -> i128 {
    let mut sum = 0_i128;
    for piece in values.chunks(1 << 16) {
        let high: i64 = piece.iter().map(|&value| value >> 32).sum();
        let low: u64 = piece.iter().map(|&value| value as u64 & u64::from(u32::MAX)).sum();
        sum += (i128::from(high) << 32) + i128::from(low);
    }
    sum
}

fn unsigned_sum(values: &[i64]) -> i128 {
    let mut sum = 0_i128;
    for piece in values.chunks(1 << 16) {
        let high: u64 = piece.iter().map(|&value| value as u64 >> 32).sum();
        let low: u64 = piece.iter().map(|&value| value as u64 & u64::from(u32::MAX)).sum();
        sum += (i128::from(high) << 32) + i128::from(low);
    }
    sum
}

fn float_sum(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (pieces, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for piece in pieces {
        for (lane, value) in lanes.iter_mut().zip(piece) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// A float as a signed word, such that words compare as the floats do in their total order.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn unordered(word: i64) -> f64 {
    f64::from_bits((word ^ (((word >> 63) as u64) >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests;
