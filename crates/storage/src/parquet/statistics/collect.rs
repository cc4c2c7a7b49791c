//! How statistics come to be: pages are summed up, pages make a chunk, chunks make a file's column.
//!
//! Strings stay whole until the end, because cut bounds of two pages cannot be compared exactly. Floats are
//! ordered totally, as the engine compares them: -0.0 is less than 0.0, and one NaN leaves a column unbounded.

use std::cmp::Ordering;

use gigapi_model::FieldId;

use super::{ColumnStatistics, STATISTICS_STRING_BYTES_MAX, Scalar};

/// What is known about some values of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// Rows without a value.
    pub(crate) nulls: u64,
    /// Least and greatest value, if there is one and all can be ordered.
    pub(crate) bounds: Option<(Scalar, Scalar)>,
    /// Whether a NaN was among them.
    pub(crate) unordered: bool,
    /// Exact sum, for types that have one.
    pub(crate) sum: Option<i128>,
    /// Number of distinct values, where it is known.
    pub(crate) distinct: Option<u64>,
}

impl Summary {
    /// No values and `nulls` rows without one.
    pub(crate) fn empty(nulls: u64) -> Self {
        Self { nulls, bounds: None, unordered: false, sum: None, distinct: None }
    }

    /// Signed integers.
    pub(crate) fn integers(values: &[i64], nulls: u64) -> Self {
        let mut found = Self::empty(nulls);
        found.sum = Some(sum_of(values));
        if let Some((&first, rest)) = values.split_first() {
            let (min, max) = rest.iter().fold((first, first), |(min, max), &value| (min.min(value), max.max(value)));
            found.bounds = Some((Scalar::Integer(min), Scalar::Integer(max)));
        }
        found
    }

    /// Unsigned integers.
    pub(crate) fn unsigned(values: impl Iterator<Item = u64>, nulls: u64) -> Self {
        let mut found = Self::empty(nulls);
        let start = (u64::MAX, u64::MIN, 0_i128);
        let (min, max, sum) =
            values.fold(start, |(min, max, sum), value| (min.min(value), max.max(value), sum + i128::from(value)));
        found.sum = Some(sum);
        // The least of no values is greater than their greatest.
        found.bounds = (min <= max).then_some((Scalar::Unsigned(min), Scalar::Unsigned(max)));
        found
    }

    /// Floats.
    pub(crate) fn floats(values: &[f64], nulls: u64) -> Self {
        let mut found = Self::empty(nulls);
        if values.iter().any(|value| value.is_nan()) {
            found.unordered = true;
            return found;
        }
        if let Some((&first, rest)) = values.split_first() {
            let less = |a: f64, b: f64| if b.total_cmp(&a) == Ordering::Less { b } else { a };
            let more = |a: f64, b: f64| if b.total_cmp(&a) == Ordering::Greater { b } else { a };
            let (min, max) = rest.iter().fold((first, first), |(min, max), &v| (less(min, v), more(max, v)));
            found.bounds = Some((Scalar::Float(min), Scalar::Float(max)));
        }
        found
    }

    /// Booleans, by how many are true and false.
    pub(crate) fn booleans(trues: usize, falses: usize, nulls: u64) -> Self {
        let mut found = Self::empty(nulls);
        if trues + falses > 0 {
            found.bounds = Some((Scalar::Boolean(falses == 0), Scalar::Boolean(trues > 0)));
        }
        found
    }

    /// Strings, by the least and the greatest.
    pub(crate) fn strings(bounds: Option<(&str, &str)>, nulls: u64) -> Self {
        let mut found = Self::empty(nulls);
        found.bounds = bounds.map(|(min, max)| (Scalar::String(min.to_owned()), Scalar::String(max.to_owned())));
        found
    }

    /// Takes in more values of the same column.
    pub(crate) fn add(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.unordered |= other.unordered;
        self.sum = self.sum.zip(other.sum).map(|(a, b)| a + b);
        // Two groups may share values, so counts cannot be added.
        self.distinct = None;
        match (&mut self.bounds, &other.bounds) {
            _ if self.unordered => self.bounds = None,
            (Some((min, max)), Some((other_min, other_max))) => {
                if other_min.order(min) == Ordering::Less {
                    *min = other_min.clone();
                }
                if other_max.order(max) == Ordering::Greater {
                    *max = other_max.clone();
                }
            }
            (None, Some(_)) => self.bounds = other.bounds.clone(),
            (_, None) => {}
        }
    }

    /// What the catalog keeps of it.
    pub(crate) fn finish(self, field_id: FieldId) -> ColumnStatistics {
        let Self { nulls, bounds, sum, distinct, .. } = self;
        let (min, max) = bounds.unzip();
        let (min, min_exact) = min.map_or((None, false), lower);
        let (max, max_exact) = max.map_or((None, false), upper);
        ColumnStatistics { field_id, null_count: nulls, min, max, min_exact, max_exact, sum, distinct }
    }
}

/// Sums halves of the values apart: neither can overflow within a page, and both loops vectorise.
fn sum_of(values: &[i64]) -> i128 {
    let parts = values.chunks(1 << 20).map(|part| {
        let (high, low) =
            part.iter().fold((0_i64, 0_i64), |(high, low), &value| (high + (value >> 32), low + (value & 0xffff_ffff)));
        (i128::from(high) << 32) + i128::from(low)
    });
    parts.sum()
}

/// A lower bound short enough to keep, and whether it is a value.
fn lower(value: Scalar) -> (Option<Scalar>, bool) {
    match value {
        Scalar::String(text) if text.len() > STATISTICS_STRING_BYTES_MAX => {
            let cut = cut(&text).to_owned();
            (Some(Scalar::String(cut)), false)
        }
        other => (Some(other), true),
    }
}

/// An upper bound short enough to keep, and whether it is a value; none if no short text is greater.
fn upper(value: Scalar) -> (Option<Scalar>, bool) {
    match value {
        Scalar::String(text) if text.len() > STATISTICS_STRING_BYTES_MAX => {
            (successor(cut(&text)).map(Scalar::String), false)
        }
        // Engines that compare by value see -0.0 and 0.0 as one: a bound of -0.0 would hide zeros from them.
        Scalar::Float(value) if value == 0.0 && value.is_sign_negative() => (Some(Scalar::Float(0.0)), false),
        other => (Some(other), true),
    }
}

/// The longest start of `text` that may be kept.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(STATISTICS_STRING_BYTES_MAX)]
}

/// A short text that is greater than everything that starts with `prefix`.
pub(crate) fn successor(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        // Stepping over the surrogates, which are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next.filter(|next| kept.len() + next.len_utf8() <= STATISTICS_STRING_BYTES_MAX) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}
