//! Numbers, a page at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};

use super::reader::{PageValues, Presence, Sink};
use super::{Chunk, ChunkBytes, PageError, PageResult, damaged};
use crate::parquet::encoding::{delta, hybrid, plain};

/// Values of consecutive rows.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// Signed, or unsigned ones by their bits.
    Integers(&'a [i64]),
    /// Floats.
    Floats(&'a [f64]),
}

/// A page's values, one for each row; rows without one have any.
#[derive(Debug)]
pub struct NumberPage<'a> {
    /// In the row group.
    pub rows: Range<usize>,
    /// One for each row.
    pub numbers: Numbers<'a>,
    /// Which rows have values; `None` if all have.
    pub present: Option<BooleanBuffer>,
}

/// Decodes pages of numbers; what it holds is used again from page to page and chunk to chunk.
#[derive(Debug, Default)]
pub struct NumberReader {
    integers: Vec<i64>,
    floats: Vec<f64>,
    dictionary: Bytes,
    entries: usize,
    codes: Vec<u32>,
}

impl NumberReader {
    /// Hands each page that holds a row of `wanted` to `each`, in their order.
    pub fn read(
        &mut self,
        chunk: &Chunk<'_>,
        bytes: &Arc<ChunkBytes>,
        wanted: &[Range<usize>],
        each: &mut dyn FnMut(NumberPage<'_>),
    ) -> PageResult<()> {
        (self.dictionary, self.entries) = (Bytes::new(), 0);
        let kind = chunk.metadata.column_type();
        if !matches!(kind, Type::INT64 | Type::DOUBLE) {
            return Err(PageError::Unsupported(format!("a number in {kind}")));
        }
        chunk.walk(bytes, wanted, &mut Reading { reader: self, kind, each })
    }
}

struct Reading<'a> {
    reader: &'a mut NumberReader,
    kind: Type,
    each: &'a mut dyn FnMut(NumberPage<'_>),
}

impl Sink for Reading<'_> {
    fn dictionary(&mut self, entries: Bytes, count: usize) -> PageResult<()> {
        if entries.len() / 8 < count {
            return damaged("a dictionary that is shorter than its entries");
        }
        (self.reader.dictionary, self.reader.entries) = (entries, count);
        Ok(())
    }

    fn page(&mut self, page: &PageValues) -> PageResult<()> {
        let count = page.presence.values(page.rows.len());
        let present = page.presence.bits();
        let numbers = match self.kind {
            Type::DOUBLE => {
                self.floats(page, count)?;
                spread(&mut self.reader.floats, &page.presence, page.rows.len());
                Numbers::Floats(&self.reader.floats)
            }
            _ => {
                self.integers(page, count)?;
                spread(&mut self.reader.integers, &page.presence, page.rows.len());
                Numbers::Integers(&self.reader.integers)
            }
        };
        (self.each)(NumberPage { rows: page.rows.clone(), numbers, present });
        Ok(())
    }
}

impl Reading<'_> {
    fn integers(&mut self, page: &PageValues, count: usize) -> PageResult<()> {
        let out = &mut self.reader.integers;
        out.clear();
        match page.encoding {
            Encoding::DELTA_BINARY_PACKED => delta::decode(&page.values, count, out).map_err(PageError::Damaged),
            Encoding::PLAIN => words(&page.values, count, |word| out.push(word as i64)),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let entries = self.entries(page, count)?;
                self.reader.integers.extend(self.reader.codes.iter().map(|&code| entries[code as usize] as i64));
                Ok(())
            }
            other => Err(PageError::Unsupported(format!("an integer in {other}"))),
        }
    }

    fn floats(&mut self, page: &PageValues, count: usize) -> PageResult<()> {
        let out = &mut self.reader.floats;
        out.clear();
        match page.encoding {
            Encoding::PLAIN => words(&page.values, count, |word| out.push(f64::from_bits(word))),
            Encoding::BYTE_STREAM_SPLIT => match plain::join_floats(&page.values, count, out) {
                true => Ok(()),
                false => damaged("fewer bytes than floats"),
            },
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let entries = self.entries(page, count)?;
                let values = self.reader.codes.iter().map(|&code| f64::from_bits(entries[code as usize]));
                self.reader.floats.extend(values);
                Ok(())
            }
            other => Err(PageError::Unsupported(format!("a float in {other}"))),
        }
    }

    /// The dictionary; the page's codes into it are left in the reader.
    fn entries(&mut self, page: &PageValues, count: usize) -> PageResult<Vec<u64>> {
        let mut entries = Vec::with_capacity(self.reader.entries);
        words(&self.reader.dictionary, self.reader.entries, |word| entries.push(word))?;
        let codes = &mut self.reader.codes;
        codes.clear();
        if let Some((&width, packed)) = page.values.split_first() {
            let push = &mut |code, length| codes.extend(std::iter::repeat_n(code, length));
            hybrid::decode(packed, width, count, push).map_err(PageError::Damaged)?;
        }
        if codes.len() != count || codes.iter().any(|code| *code as usize >= entries.len()) {
            return damaged("a code that its dictionary lacks");
        }
        Ok(entries)
    }
}

fn words(bytes: &[u8], count: usize, mut each: impl FnMut(u64)) -> PageResult<()> {
    let (words, _) = bytes.as_chunks::<8>();
    let Some(words) = words.get(..count) else { return damaged("fewer bytes than values") };
    words.iter().for_each(|word| each(u64::from_le_bytes(*word)));
    Ok(())
}

/// From one value after the other to one for each row.
fn spread<T: Copy + Default>(values: &mut Vec<T>, presence: &Presence, rows: usize) {
    let Presence::Some(stretches) = presence else { return };
    let mut from = values.len();
    values.resize(rows, T::default());
    let mut to = rows;
    for &(present, count) in stretches.iter().rev() {
        to -= count;
        if present {
            from -= count;
            values.copy_within(from..from + count, to);
        }
    }
}
