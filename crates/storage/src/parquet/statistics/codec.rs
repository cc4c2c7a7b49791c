//! The bytes of [`FileStatistics`]: a version, the number of columns, then each column.
//!
//! Numbers are variable-length. Every length is checked against what is left before anything is allocated, so
//! foreign bytes cost at most their own size.

use super::{ColumnStatistics, FileStatistics, STATISTICS_STRING_BYTES_MAX, Scalar};
use crate::{Error, Result};

const VERSION: u8 = 1;

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 1 << 1;
const MIN_EXACT: u8 = 1 << 2;
const MAX_EXACT: u8 = 1 << 3;
const HAS_SUM: u8 = 1 << 4;
const HAS_DISTINCT: u8 = 1 << 5;
const ALL_FLAGS: u8 = (1 << 6) - 1;

const INTEGER: u8 = 0;
const UNSIGNED: u8 = 1;
const FLOAT: u8 = 2;
const BOOLEAN: u8 = 3;
const STRING: u8 = 4;

pub(super) fn encode(statistics: &FileStatistics) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + statistics.columns.len() * 24);
    out.push(VERSION);
    unsigned(&mut out, statistics.columns.len() as u128);
    for column in &statistics.columns {
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        unsigned(&mut out, column.field_id.into());
        out.push(
            flag(column.min.is_some(), HAS_MIN)
                | flag(column.max.is_some(), HAS_MAX)
                | flag(column.min_exact, MIN_EXACT)
                | flag(column.max_exact, MAX_EXACT)
                | flag(column.sum.is_some(), HAS_SUM)
                | flag(column.distinct.is_some(), HAS_DISTINCT),
        );
        unsigned(&mut out, column.null_count.into());
        for bound in [&column.min, &column.max].into_iter().flatten() {
            scalar(&mut out, bound);
        }
        if let Some(sum) = column.sum {
            signed(&mut out, sum);
        }
        if let Some(distinct) = column.distinct {
            unsigned(&mut out, distinct.into());
        }
    }
    out
}

fn scalar(out: &mut Vec<u8>, value: &Scalar) {
    match value {
        Scalar::Integer(value) => {
            out.push(INTEGER);
            signed(out, (*value).into());
        }
        Scalar::Unsigned(value) => {
            out.push(UNSIGNED);
            unsigned(out, (*value).into());
        }
        Scalar::Float(value) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Scalar::Boolean(value) => out.extend_from_slice(&[BOOLEAN, u8::from(*value)]),
        Scalar::String(value) => {
            out.push(STRING);
            unsigned(out, value.len() as u128);
            out.extend_from_slice(value.as_bytes());
        }
    }
}

fn unsigned(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn signed(out: &mut Vec<u8>, value: i128) {
    unsigned(out, ((value << 1) ^ (value >> 127)) as u128);
}

pub(super) fn decode(bytes: &[u8]) -> Result<FileStatistics> {
    let mut reader = Reader { left: bytes };
    reader.statistics().ok_or_else(|| {
        let at = bytes.len() - reader.left.len();
        let what = "a record of column statistics".to_owned();
        Error::Corrupt { what, reason: format!("byte {at} of {} does not fit the format", bytes.len()) }
    })
}

struct Reader<'a> {
    left: &'a [u8],
}

impl Reader<'_> {
    fn statistics(&mut self) -> Option<FileStatistics> {
        if self.byte()? != VERSION {
            return None;
        }
        let count = usize::try_from(self.unsigned()?).ok()?;
        // A column takes three bytes at least.
        if count > self.left.len() / 3 {
            return None;
        }
        let mut columns: Vec<ColumnStatistics> = Vec::with_capacity(count);
        for _ in 0..count {
            let column = self.column()?;
            if columns.last().is_some_and(|last| last.field_id >= column.field_id) {
                return None;
            }
            columns.push(column);
        }
        self.left.is_empty().then_some(FileStatistics { columns })
    }

    fn column(&mut self) -> Option<ColumnStatistics> {
        let field_id = self.unsigned()?.try_into().ok()?;
        let flags = self.byte()?;
        if flags & !ALL_FLAGS != 0 {
            return None;
        }
        let has = |flag: u8| flags & flag != 0;
        let null_count = self.unsigned()?.try_into().ok()?;
        let min = if has(HAS_MIN) { Some(self.scalar()?) } else { None };
        let max = if has(HAS_MAX) { Some(self.scalar()?) } else { None };
        let sum = if has(HAS_SUM) { Some(self.signed()?) } else { None };
        let distinct = if has(HAS_DISTINCT) { Some(self.unsigned()?.try_into().ok()?) } else { None };
        let (min_exact, max_exact) = (has(MIN_EXACT), has(MAX_EXACT));
        Some(ColumnStatistics { field_id, null_count, min, max, min_exact, max_exact, sum, distinct })
    }

    fn scalar(&mut self) -> Option<Scalar> {
        Some(match self.byte()? {
            INTEGER => Scalar::Integer(self.signed()?.try_into().ok()?),
            UNSIGNED => Scalar::Unsigned(self.unsigned()?.try_into().ok()?),
            FLOAT => {
                let value = f64::from_le_bytes(self.take(8)?.try_into().ok()?);
                if value.is_nan() {
                    return None;
                }
                Scalar::Float(value)
            }
            BOOLEAN => match self.byte()? {
                0 => Scalar::Boolean(false),
                1 => Scalar::Boolean(true),
                _ => return None,
            },
            STRING => {
                let length = usize::try_from(self.unsigned()?).ok()?;
                if length > STATISTICS_STRING_BYTES_MAX {
                    return None;
                }
                Scalar::String(std::str::from_utf8(self.take(length)?).ok()?.to_owned())
            }
            _ => return None,
        })
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, left) = self.left.split_first()?;
        self.left = left;
        Some(byte)
    }

    fn unsigned(&mut self) -> Option<u128> {
        let mut value = 0_u128;
        for shift in (0..126).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        // Bits 126 and 127 are what is left for a nineteenth byte.
        let last = self.byte()?;
        (last <= 3).then(|| value | (u128::from(last) << 126))
    }

    fn signed(&mut self) -> Option<i128> {
        let folded = self.unsigned()?;
        Some(((folded >> 1) as i128) ^ -((folded & 1) as i128))
    }
}
