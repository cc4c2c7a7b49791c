//! A part as bytes, for the write-ahead log.
//!
//! Version 1, little endian. Integers, times and offsets are stored as their distance from the smallest
//! one in 1, 2, 4 or 8 bytes, which is quicker than compressing the text they came from (3 µs per 1,000
//! integers) and smaller. Decoding checks every length before it allocates, because it also reads what a
//! broken disk returns.

use arrow::buffer::BooleanBuffer;
use gigapi_model::ColumnType;

use super::{Part, PartField, SeriesSet};
use crate::column::{Column, Strings, Values};

const VERSION: u8 = 1;

/// More than a request of the largest allowed size can hold.
const ROWS_MAX: usize = 1 << 24;

/// Bytes that are not a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a readable part: {0}")]
pub struct PartError(&'static str);

impl Part {
    /// Appends the part to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_u32(out, self.rows());
        put_u32(out, self.series.len());
        pack(out, &self.series.ends, |&end| u64::from(end));
        put_u32(out, self.series.bytes.len());
        out.extend_from_slice(&self.series.bytes);
        pack(out, &self.series_of_row, |&series| u64::from(series));
        pack_signed(out, &self.time);
        put_u32(out, self.fields.len());
        for field in &self.fields {
            out.extend_from_slice(&field.field_id.to_le_bytes());
            encode_column(out, &field.column);
        }
    }

    /// Reads back what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, PartError> {
        let mut input = Input(bytes);
        if input.u8()? != VERSION {
            return Err(PartError("unknown version"));
        }
        let rows = input.length()?;
        let series_count = input.length()?;
        let ends = input.unpack(series_count)?.map(to_u32).collect::<Result<Vec<u32>, _>>()?;
        let series_bytes = input.length()?;
        let series = SeriesSet { ends, bytes: input.take(series_bytes)?.to_vec() };
        check_ends(&series.ends, series.bytes.len())?;
        let series_of_row = input.unpack(rows)?.map(to_u32).collect::<Result<Vec<u32>, _>>()?;
        if series_of_row.iter().any(|&of_row| of_row as usize >= series_count) {
            return Err(PartError("a row names no series"));
        }
        let time = input.unpack_signed(rows)?;
        let field_count = input.length()?;
        let mut fields = Vec::with_capacity(field_count.min(1024));
        for _ in 0..field_count {
            let field_id = input.u32()?;
            fields.push(PartField { field_id, column: input.column(rows)? });
        }
        if !input.0.is_empty() {
            return Err(PartError("bytes are left over"));
        }
        Ok(Self::new(series, series_of_row, time, fields))
    }
}

fn to_u32(value: u64) -> Result<u32, PartError> {
    u32::try_from(value).map_err(|_| PartError("an offset is too large"))
}

fn check_ends(ends: &[u32], bytes: usize) -> Result<(), PartError> {
    let ascending = ends.windows(2).all(|pair| pair[0] <= pair[1]);
    let complete = ends.last().copied().unwrap_or(0) as usize == bytes;
    if ascending && complete { Ok(()) } else { Err(PartError("offsets do not fit their bytes")) }
}

fn put_u32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

fn pack_signed(out: &mut Vec<u8>, values: &[i64]) {
    // Flipping the sign bit keeps the order, so distances are the same and never negative.
    pack(out, values, |&value| (value as u64) ^ (1 << 63));
}

/// `base u64, width u8`, then each value's distance from the base in `width` bytes.
#[expect(clippy::cast_possible_truncation, reason = "the width was chosen to hold the largest distance")]
fn pack<T>(out: &mut Vec<u8>, values: &[T], read: impl Fn(&T) -> u64) {
    let (base, top) = values.iter().map(&read).fold((u64::MAX, 0), |(lo, hi), value| (lo.min(value), hi.max(value)));
    let (base, span) = if values.is_empty() { (0, 0) } else { (base, top - base) };
    let width: u8 = match span {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    out.extend_from_slice(&base.to_le_bytes());
    out.push(width);
    let distances = values.iter().map(|value| read(value) - base);
    match width {
        0 => {}
        1 => out.extend(distances.map(|distance| distance as u8)),
        2 => put_words(out, distances.map(|distance| (distance as u16).to_le_bytes())),
        4 => put_words(out, distances.map(|distance| (distance as u32).to_le_bytes())),
        _ => put_words(out, distances.map(u64::to_le_bytes)),
    }
}

/// Room is made once, so that the loop is plain stores.
fn put_words<const N: usize>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = [u8; N]>) {
    let start = out.len();
    out.resize(start + words.len() * N, 0);
    let (room, _) = out[start..].as_chunks_mut::<N>();
    for (to, word) in room.iter_mut().zip(words) {
        *to = word;
    }
}

fn type_code(column_type: ColumnType) -> u8 {
    match column_type {
        ColumnType::Float => 0,
        ColumnType::Integer => 1,
        ColumnType::Unsigned => 2,
        ColumnType::Boolean => 3,
        ColumnType::String => 4,
        ColumnType::Time => 5,
    }
}

fn encode_column(out: &mut Vec<u8>, column: &Column) {
    out.push(type_code(column.column_type()));
    match column.nulls() {
        None => out.push(0),
        Some(nulls) => {
            out.push(1);
            put_bits(out, nulls.inner());
        }
    }
    match column.values() {
        Values::Float(values) => put_words(out, values.iter().map(|value| value.to_le_bytes())),
        Values::Integer(values) => pack_signed(out, values),
        Values::Unsigned(values) => pack(out, values, |&value| value),
        Values::Boolean(values) => put_bits(out, &BooleanBuffer::from(values.as_slice())),
        Values::String(texts) => {
            pack(out, &texts.ends, |&end| u64::from(end));
            put_u32(out, texts.bytes.len());
            out.extend_from_slice(&texts.bytes);
        }
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    let sliced = bits.sliced();
    out.extend_from_slice(sliced.as_slice().get(..bits.len().div_ceil(8)).unwrap_or_default());
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], PartError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(PartError("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PartError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(PartError("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, PartError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, PartError> {
        self.array().map(u32::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, PartError> {
        self.u32().map(|len| len as usize)
    }

    /// `count` packed values. A width of zero needs no bytes, so the count itself is bounded here.
    fn unpack(&mut self, count: usize) -> Result<impl Iterator<Item = u64> + use<'a>, PartError> {
        let base = self.array().map(u64::from_le_bytes)?;
        let width = usize::from(self.u8()?);
        if !matches!(width, 0 | 1 | 2 | 4 | 8) {
            return Err(PartError("unknown width"));
        }
        if count > ROWS_MAX {
            return Err(PartError("too many rows"));
        }
        let bytes = self.take(count.checked_mul(width).ok_or(PartError("too many rows"))?)?;
        Ok((0..count).map(move |index| {
            let mut word = [0_u8; 8];
            let start = index * width;
            for (to, from) in word.iter_mut().zip(bytes.get(start..start + width).unwrap_or_default()) {
                *to = *from;
            }
            base.wrapping_add(u64::from_le_bytes(word))
        }))
    }

    #[expect(clippy::cast_possible_wrap, reason = "undoes the encoder's cast")]
    fn unpack_signed(&mut self, count: usize) -> Result<Vec<i64>, PartError> {
        Ok(self.unpack(count)?.map(|value| (value ^ (1 << 63)) as i64).collect())
    }

    fn bits(&mut self, count: usize) -> Result<BooleanBuffer, PartError> {
        let bytes = self.take(count.div_ceil(8))?;
        Ok(BooleanBuffer::new(bytes.to_vec().into(), 0, count))
    }

    fn column(&mut self, rows: usize) -> Result<Column, PartError> {
        let code = self.u8()?;
        let valid = match self.u8()? {
            0 => None,
            1 => Some(self.bits(rows)?),
            _ => return Err(PartError("unknown validity")),
        };
        let values = match code {
            0 => {
                let bytes = self.take(rows.checked_mul(8).ok_or(PartError("too many rows"))?)?;
                let (words, _) = bytes.as_chunks::<8>();
                Values::Float(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
            }
            1 => Values::Integer(self.unpack_signed(rows)?),
            2 => Values::Unsigned(self.unpack(rows)?.collect()),
            3 => Values::Boolean(self.bits(rows)?.iter().collect()),
            4 => {
                let ends = self.unpack(rows)?.map(to_u32).collect::<Result<Vec<u32>, _>>()?;
                let len = self.length()?;
                let texts = Strings { ends, bytes: self.take(len)?.to_vec() };
                check_ends(&texts.ends, len)?;
                if std::str::from_utf8(&texts.bytes).is_err() {
                    return Err(PartError("a text is not UTF-8"));
                }
                Values::String(texts)
            }
            _ => return Err(PartError("unknown type")),
        };
        Ok(Column::from_parts(values, valid))
    }
}

#[cfg(test)]
mod tests;
