//! From an arrow column to the pages of a chunk, one module per family of types.
//!
//! Nulls are taken out first: pages hold their presence as bits and then the values alone. All modules cut pages at
//! the same rows. They choose encodings; compressing and writing is the chunk's part.

mod booleans;
mod floats;
mod integers;
mod texts;

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type};

use super::chunk::{Chunk, Compressor, PAGE_ROWS_MAX};
use super::encoding::hybrid;
use super::schema::{Kind, PlannedColumn};
use crate::{Error, Result};

/// Memory that is used again for every column of every file.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) chunk: Chunk,
    pub(super) compressor: Compressor,
    buffers: Buffers,
}

#[derive(Debug, Default)]
struct Buffers {
    integers: Vec<i64>,
    floats: Vec<f64>,
    keys: Vec<i32>,
    pending: Vec<u32>,
    indices: Vec<u32>,
    sample: Vec<u8>,
}

impl Workspace {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { chunk: Chunk::default(), compressor: Compressor::new()?, buffers: Buffers::default() })
    }

    /// Bytes held while idle.
    pub(super) fn idle_bytes(&self) -> usize {
        self.chunk.raw.capacity()
            + self.buffers.integers.capacity() * 8
            + self.buffers.floats.capacity() * 8
            + (self.buffers.keys.capacity() + self.buffers.pending.capacity() + self.buffers.indices.capacity()) * 4
    }

    /// Encodes a column into the chunk, which is cleared first. Returns how many distinct values it has, if known.
    pub(super) fn encode(&mut self, planned: &PlannedColumn, array: &ArrayRef) -> Result<Option<u64>> {
        self.chunk.clear();
        let rows = array.len();
        match planned.kind {
            Kind::Time => {
                if array.null_count() > 0 {
                    let reason = format!("{} rows have no time", array.null_count());
                    return Err(Error::Input { table: planned.column.name.to_string(), reason });
                }
                integers::encode_time(words(array), &mut self.chunk);
            }
            Kind::Integer => {
                let rows = Rows::new(rows, array.nulls());
                integers::encode(words(array), &rows, integers::Sign::Signed, &mut self.chunk, &mut self.buffers);
            }
            Kind::Unsigned => {
                let rows = Rows::new(rows, array.nulls());
                integers::encode(words(array), &rows, integers::Sign::Unsigned, &mut self.chunk, &mut self.buffers);
            }
            Kind::Float => {
                let rows = Rows::new(rows, array.nulls());
                let values = array.as_primitive::<Float64Type>().values();
                floats::encode(values, &rows, &mut self.chunk, &mut self.buffers, &mut self.compressor)?;
            }
            Kind::Boolean => {
                let rows = Rows::new(rows, array.nulls());
                booleans::encode(array.as_boolean().values(), &rows, &mut self.chunk);
            }
            Kind::Text => return texts::encode(array, &mut self.chunk, &mut self.buffers),
        }
        Ok(None)
    }
}

/// The 64-bit words of an integer or time column; unsigned ones keep their bits.
fn words(array: &ArrayRef) -> &[i64] {
    use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt64Type};
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().values(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().values().inner().typed_data(),
        _ => array.as_primitive::<TimestampNanosecondType>().values(),
    }
}

/// The rows of a column, cut into pages.
struct Rows<'a> {
    rows: usize,
    nulls: Option<&'a NullBuffer>,
}

/// One page of a column.
struct PageRows {
    /// All its rows, in the column.
    rows: Range<usize>,
    /// Its values, among the column's values that are not null.
    values: Range<usize>,
    nulls: Option<NullBuffer>,
}

impl<'a> Rows<'a> {
    fn new(rows: usize, nulls: Option<&'a NullBuffer>) -> Self {
        Self { rows, nulls: nulls.filter(|nulls| nulls.null_count() > 0) }
    }

    fn pages(&self) -> impl Iterator<Item = PageRows> {
        self.pages_of(PAGE_ROWS_MAX)
    }

    /// Pages of at most `page_rows` rows, which is at least one.
    fn pages_of(&self, page_rows: usize) -> impl Iterator<Item = PageRows> {
        let mut taken = 0;
        (0..self.rows).step_by(page_rows).map(move |start| {
            let end = (start + page_rows).min(self.rows);
            let nulls = self.nulls.map(|nulls| nulls.slice(start, end - start));
            let absent = nulls.as_ref().map_or(0, NullBuffer::null_count);
            let first = taken;
            taken += end - start - absent;
            PageRows { rows: start..end, values: first..taken, nulls }
        })
    }

    /// The values that are not null, in order; `scratch` is used if there are nulls between them.
    fn values<'v, T: Copy>(&self, all: &'v [T], scratch: &'v mut Vec<T>) -> &'v [T] {
        let Some(nulls) = self.nulls else { return all };
        scratch.clear();
        scratch.reserve(self.rows - nulls.null_count());
        for (start, end) in nulls.valid_slices() {
            scratch.extend_from_slice(&all[start..end]);
        }
        scratch
    }
}

impl PageRows {
    fn null_count(&self) -> u64 {
        (self.rows.len() - self.values.len()) as u64
    }

    /// Starts the page of an optional column: the presence of its rows.
    fn begin(&self, chunk: &mut Chunk) {
        hybrid::presence(self.rows.len(), self.nulls.as_ref(), &mut chunk.raw);
    }
}
