//! Pages of one chunk, those that hold wanted rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use bytes::{Buf, Bytes, buf};
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::{PageError, PageResult, damaged, is_wanted};
use crate::parquet::encoding::hybrid;

/// Bytes of a file that were fetched for one chunk, and where in the file they lie.
#[derive(Debug, Default)]
pub struct ChunkBytes {
    pieces: Vec<(u64, Bytes)>,
}

impl ChunkBytes {
    /// Takes what was fetched for these ranges of the file, in their order.
    pub fn new(ranges: &[Range<u64>], fetched: impl IntoIterator<Item = Bytes>) -> Self {
        Self { pieces: ranges.iter().map(|range| range.start).zip(fetched).collect() }
    }

    fn at(&self, start: u64) -> ParquetResult<Bytes> {
        let holds = |(first, bytes): &&(u64, Bytes)| (*first..first + bytes.len() as u64).contains(&start);
        match self.pieces.iter().find(holds) {
            Some((first, bytes)) => Ok(bytes.slice((start - first) as usize..)),
            None => Err(ParquetError::EOF(format!("byte {start} was not fetched"))),
        }
    }
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        self.pieces.iter().map(|(first, bytes)| first + bytes.len() as u64).max().unwrap_or(0)
    }
}

impl ChunkReader for ChunkBytes {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.at(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let found = self.at(start)?;
        if found.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} on were not fetched")));
        }
        Ok(found.slice(..length))
    }
}

/// One chunk: what the footer says of it.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// Its encodings, codec and place.
    pub metadata: &'a ColumnChunkMetaData,
    /// Where its pages begin, if the file has an index of them.
    pub locations: Option<&'a [PageLocation]>,
    /// Rows of the row group.
    pub rows: usize,
}

impl Chunk<'_> {
    /// Where in the file the pages lie that hold rows of `wanted`, with the dictionary that they need.
    pub fn byte_ranges(&self, wanted: &[Range<usize>]) -> Vec<Range<u64>> {
        let (start, length) = self.metadata.byte_range();
        let Some(locations) = self.locations else { return std::iter::once(start..start + length).collect() };
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut add = |range: Range<u64>| match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        };
        let place = |location: &PageLocation| {
            let at = location.offset.unsigned_abs();
            at..at + u64::from(location.compressed_page_size.unsigned_abs())
        };
        if let Some(first) = locations.first()
            && first.offset.unsigned_abs() > start
        {
            add(start..first.offset.unsigned_abs());
        }
        for (index, location) in locations.iter().enumerate() {
            if is_wanted(wanted, &self.page_rows(locations, index)) {
                add(place(location));
            }
        }
        ranges
    }

    fn page_rows(&self, locations: &[PageLocation], index: usize) -> Range<usize> {
        let start = |location: &PageLocation| usize::try_from(location.first_row_index).unwrap_or(usize::MAX);
        start(&locations[index])..locations.get(index + 1).map_or(self.rows, start)
    }

    /// Hands the dictionary, then each page that holds a row of `wanted`, to `sink`.
    pub(super) fn walk(&self, bytes: &Arc<ChunkBytes>, wanted: &[Range<usize>], sink: &mut dyn Sink) -> PageResult<()> {
        let locations = self.locations.map(<[_]>::to_vec);
        let mut pages = SerializedPageReader::new(Arc::clone(bytes), self.metadata, self.rows, locations)?;
        let mut row = 0;
        while row < self.rows {
            let Some(next) = pages.peek_next_page()? else { return damaged("a page is missing") };
            if !next.is_dict
                && let Some(count) = next.num_rows
                && !is_wanted(wanted, &(row..row + count))
            {
                pages.skip_next_page()?;
                row += count;
                continue;
            }
            match pages.get_next_page()? {
                Some(Page::DictionaryPage { buf, num_values, encoding, .. }) => {
                    if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
                        return Err(PageError::Unsupported(format!("a dictionary in {encoding}")));
                    }
                    sink.dictionary(buf, num_values as usize)?;
                }
                Some(Page::DataPage { buf, num_values, encoding, def_level_encoding, .. }) => {
                    let rows = row..row + num_values as usize;
                    row = rows.end;
                    if row > self.rows {
                        return damaged("a page has more rows than its row group");
                    }
                    if is_wanted(wanted, &rows) {
                        let (presence, values) = self.presence(&buf, rows.len(), def_level_encoding)?;
                        sink.page(&PageValues { rows, encoding, presence, values })?;
                    }
                }
                Some(Page::DataPageV2 { .. }) => return Err(PageError::Unsupported("a page of version 2".to_owned())),
                None => return damaged("a page is missing"),
            }
        }
        Ok(())
    }

    /// Which rows of a page have values, and the values' bytes.
    fn presence(&self, page: &Bytes, rows: usize, encoding: Encoding) -> PageResult<(Presence, Bytes)> {
        let column = self.metadata.column_descr();
        match (column.max_def_level(), column.max_rep_level()) {
            (0, 0) => return Ok((Presence::All, page.clone())),
            (1, 0) if encoding == Encoding::RLE => {}
            _ => return Err(PageError::Unsupported(format!("column {}", column.path()))),
        }
        let Some((length, rest)) = page.split_first_chunk::<4>() else { return damaged("a page without its levels") };
        let length = u32::from_le_bytes(*length) as usize;
        if length > rest.len() {
            return damaged("levels are longer than their page");
        }
        let mut present: Vec<(bool, usize)> = Vec::new();
        hybrid::decode(&rest[..length], 1, rows, &mut |level, count| match present.last_mut() {
            Some((last, all)) if *last == (level == 1) => *all += count,
            _ => present.push((level == 1, count)),
        })
        .map_err(PageError::Damaged)?;
        let presence = match &present[..] {
            [] | [(true, _)] => Presence::All,
            _ => Presence::Some(present),
        };
        Ok((presence, page.slice(4 + length..)))
    }
}

/// Which rows of a page have values.
#[derive(Debug)]
pub(super) enum Presence {
    All,
    /// Stretches of rows with and without.
    Some(Vec<(bool, usize)>),
}

impl Presence {
    /// How many values there are among that many rows.
    pub(super) fn values(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Some(stretches) => stretches.iter().filter(|(present, _)| *present).map(|(_, count)| count).sum(),
        }
    }

    /// One bit per row; `None` if all have values.
    pub(super) fn bits(&self) -> Option<BooleanBuffer> {
        let Self::Some(stretches) = self else { return None };
        let bits = stretches.iter().flat_map(|&(present, count)| std::iter::repeat_n(present, count));
        Some(bits.collect())
    }
}

/// A page as it is stored.
pub(super) struct PageValues {
    /// In the row group.
    pub(super) rows: Range<usize>,
    pub(super) encoding: Encoding,
    pub(super) presence: Presence,
    pub(super) values: Bytes,
}

/// Takes what a chunk holds, in its order.
pub(super) trait Sink {
    fn dictionary(&mut self, entries: Bytes, count: usize) -> PageResult<()>;
    fn page(&mut self, page: &PageValues) -> PageResult<()>;
}
