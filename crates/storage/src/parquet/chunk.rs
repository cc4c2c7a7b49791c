//! One column chunk: pages collected as they are encoded, then compressed and written with their indexes.
//!
//! Pages stay uncompressed until the chunk is complete, so that the choice of codec is made once, on the largest
//! page: bit-packed noise does not compress, and storing it as it is makes it cheaper to read. Every chunk gets
//! the checksum of its bytes. Which encoding a page has is the columns' business.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use parquet::basic::{CompressionCodec, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::statistics::{Scalar, Summary, cut, successor};
use crate::{Result, checksum};

/// A page holds at most this many rows, so that a selective read decodes little.
pub(super) const PAGE_ROWS_MAX: usize = 20_000;

/// Chunks below this many bytes are stored as they are: a frame costs more than it saves.
const COMPRESSED_BYTES_MIN: usize = 256;

/// A chunk is compressed if that saves at least one part in this many.
const SAVED_PART_MIN: usize = 20;

/// Fast enough to keep up with encoding; higher levels save one percent here.
const ZSTD_LEVEL: i32 = 1;

/// The object in the making, shared between the page writer and the code that checksums what it wrote.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// Bytes that were written before and taken away.
    taken: usize,
    bytes: Vec<u8>,
}

impl Output {
    pub(super) fn reserve(&self, bytes: usize) {
        self.0.lock().bytes.reserve(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().bytes.len()
    }

    /// XXH3-64 of what was written from the object's byte `start` on, none of which is taken.
    fn checksum_from(&self, start: usize) -> u64 {
        let held = self.0.lock();
        checksum(&held.bytes[start - held.taken..])
    }

    /// What was written since the last call.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut held = self.0.lock();
        held.taken += held.bytes.len();
        std::mem::take(&mut held.bytes)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where chunks are written.
pub(super) type Sink = TrackedWrite<Output>;

/// A zstd context that is used again and again: making one costs more than a small page.
pub(super) struct Compressor {
    context: zstd::bulk::Compressor<'static>,
    out: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Result<Self> {
        let context = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(parquet::errors::ParquetError::from)?;
        Ok(Self { context, out: Vec::new() })
    }

    /// The compressed bytes, until the next call.
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<&[u8]> {
        self.out.clear();
        self.out.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.context.compress_to_buffer(bytes, &mut self.out).map_err(parquet::errors::ParquetError::from)?;
        Ok(&self.out)
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct RawPage {
    /// Its bytes end here; they start where those of the page before end.
    end: usize,
    rows: usize,
    encoding: Encoding,
    summary: Summary,
}

#[derive(Debug)]
struct RawDictionary {
    end: usize,
    entries: usize,
}

/// A chunk's pages before they are written.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// All pages, uncompressed, one after the other.
    pub(super) raw: Vec<u8>,
    dictionary: Option<RawDictionary>,
    pages: Vec<RawPage>,
}

/// A chunk that was written.
#[derive(Debug)]
pub(super) struct WrittenChunk {
    pub(super) metadata: ColumnChunkMetaData,
    pub(super) column_index: ColumnIndexMetaData,
    pub(super) offset_index: OffsetIndexMetaData,
    pub(super) summary: Summary,
    pub(super) checksum: u64,
}

impl Chunk {
    /// Ends the dictionary page; comes before any data page.
    pub(super) fn end_dictionary(&mut self, entries: usize) {
        self.dictionary = Some(RawDictionary { end: self.raw.len(), entries });
    }

    /// Ends a data page.
    pub(super) fn end_page(&mut self, rows: usize, encoding: Encoding, summary: Summary) {
        self.pages.push(RawPage { end: self.raw.len(), rows, encoding, summary });
    }

    /// Drops all pages and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.raw.clear();
        self.pages.clear();
        self.dictionary = None;
    }

    /// Writes the chunk. `distinct` is what is known of the number of its values.
    pub(super) fn write(
        &self,
        descriptor: &ColumnDescPtr,
        distinct: Option<u64>,
        compressor: &mut Compressor,
        sink: &mut Sink,
    ) -> Result<WrittenChunk> {
        let codec = self.codec(compressor)?;
        sink.flush().map_err(parquet::errors::ParquetError::from)?;
        let start = sink.bytes_written();
        let mut pages = PagesWriter { codec, compressor, sink, compressed: 0, uncompressed: 0 };
        let mut at = 0;
        let mut dictionary_offset = None;
        let mut encodings = vec![Encoding::RLE];
        if let Some(dictionary) = &self.dictionary {
            let num_values = dictionary.entries as u32;
            let written = pages.write(&self.raw[..dictionary.end], |buf| Page::DictionaryPage {
                buf,
                num_values,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            })?;
            dictionary_offset = Some(written.offset as i64);
            encodings.push(Encoding::PLAIN);
            at = dictionary.end;
        }
        let mut offsets = OffsetIndexBuilder::new();
        let mut data_offset = None;
        for page in &self.pages {
            let written = pages.write(&self.raw[at..page.end], |buf| Page::DataPage {
                buf,
                num_values: page.rows as u32,
                encoding: page.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            })?;
            at = page.end;
            data_offset.get_or_insert(written.offset as i64);
            offsets.append_row_count(page.rows as i64);
            offsets.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
            if !encodings.contains(&page.encoding) {
                encodings.push(page.encoding);
            }
        }
        let (compressed, uncompressed) = (pages.compressed, pages.uncompressed);
        sink.flush().map_err(parquet::errors::ParquetError::from)?;
        let mut summary = self.summary();
        summary.distinct = distinct;
        let metadata = ColumnChunkMetaData::builder(Arc::clone(descriptor))
            .set_encodings(encodings)
            .set_compression_codec(codec)
            .set_num_values(self.pages.iter().map(|page| page.rows as i64).sum())
            .set_total_compressed_size(compressed)
            .set_total_uncompressed_size(uncompressed)
            .set_dictionary_page_offset(dictionary_offset)
            .set_data_page_offset(data_offset.unwrap_or(start as i64))
            .set_statistics(statistics(descriptor, &summary))
            .build()?;
        let checksum = sink.inner().checksum_from(start);
        let column_index = self.column_index(descriptor)?;
        Ok(WrittenChunk { metadata, column_index, offset_index: offsets.build(), summary, checksum })
    }

    fn summary(&self) -> Summary {
        let mut pages = self.pages.iter().map(|page| &page.summary);
        let mut all = pages.next().cloned().unwrap_or_else(|| Summary::empty(0));
        for page in pages {
            all.add(page);
        }
        all
    }

    /// Tries the largest page and decides for all.
    fn codec(&self, compressor: &mut Compressor) -> Result<CompressionCodec> {
        if self.raw.len() < COMPRESSED_BYTES_MIN {
            return Ok(CompressionCodec::UNCOMPRESSED);
        }
        let ends =
            self.dictionary.iter().map(|dictionary| dictionary.end).chain(self.pages.iter().map(|page| page.end));
        let largest = ends
            .scan(0, |start, end| Some(std::mem::replace(start, end)..end))
            .max_by_key(|range| range.len())
            .unwrap_or(0..0);
        let sample = &self.raw[largest];
        let saved = sample.len().saturating_sub(compressor.compress(sample)?.len());
        Ok(if saved * SAVED_PART_MIN >= sample.len() { CompressionCodec::ZSTD } else { CompressionCodec::UNCOMPRESSED })
    }

    /// The bounds of every page; none for the column if a page cannot be bounded.
    fn column_index(&self, descriptor: &ColumnDescPtr) -> Result<ColumnIndexMetaData> {
        // A single page repeats the chunk's statistics.
        if self.pages.len() < 2 {
            return Ok(ColumnIndexMetaData::NONE);
        }
        let mut index = ColumnIndexBuilder::new(descriptor.physical_type());
        for page in &self.pages {
            let nulls = page.summary.nulls as i64;
            match &page.summary.bounds {
                Some((min, max)) => {
                    let Some((min, max)) = lower_bytes(min).zip(upper_bytes(max)) else {
                        return Ok(ColumnIndexMetaData::NONE);
                    };
                    index.append(false, min, max, nulls);
                }
                None if page.summary.unordered => return Ok(ColumnIndexMetaData::NONE),
                None => index.append(true, Vec::new(), Vec::new(), nulls),
            }
        }
        Ok(index.build()?)
    }
}

struct PagesWriter<'a> {
    codec: CompressionCodec,
    compressor: &'a mut Compressor,
    sink: &'a mut Sink,
    compressed: i64,
    uncompressed: i64,
}

impl PagesWriter<'_> {
    fn write(&mut self, raw: &[u8], page: impl FnOnce(Bytes) -> Page) -> Result<PageWriteSpec> {
        let stored = match self.codec {
            CompressionCodec::ZSTD => Bytes::copy_from_slice(self.compressor.compress(raw)?),
            _ => Bytes::copy_from_slice(raw),
        };
        let page = CompressedPage::new(page(stored), raw.len());
        let written = SerializedPageWriter::new(self.sink).write_page(page)?;
        self.compressed += written.compressed_size as i64;
        self.uncompressed += written.uncompressed_size as i64;
        Ok(written)
    }
}

/// The statistics of a chunk as Parquet writes them: zeros are widened to both signs, as its specification asks.
fn statistics(descriptor: &ColumnDescPtr, summary: &Summary) -> Statistics {
    let nulls = Some(summary.nulls);
    let distinct = summary.distinct;
    let Some((min, max)) = &summary.bounds else {
        return match descriptor.physical_type() {
            parquet::basic::Type::BOOLEAN => Statistics::boolean(None, None, distinct, nulls, false),
            parquet::basic::Type::DOUBLE => Statistics::double(None, None, distinct, nulls, false),
            parquet::basic::Type::BYTE_ARRAY => Statistics::byte_array(None, None, distinct, nulls, false),
            _ => Statistics::int64(None, None, distinct, nulls, false),
        };
    };
    match (min, max) {
        (Scalar::Boolean(min), Scalar::Boolean(max)) => {
            Statistics::boolean(Some(*min), Some(*max), distinct, nulls, false)
        }
        (Scalar::Float(min), Scalar::Float(max)) => {
            Statistics::double(Some(low_zero(*min)), Some(high_zero(*max)), distinct, nulls, false)
        }
        (Scalar::Unsigned(min), Scalar::Unsigned(max)) => {
            Statistics::int64(Some(*min as i64), Some(*max as i64), distinct, nulls, false)
        }
        (Scalar::Integer(min), Scalar::Integer(max)) => {
            Statistics::int64(Some(*min), Some(*max), distinct, nulls, false)
        }
        (min, max) => {
            let exact = |scalar: &Scalar| matches!(scalar, Scalar::String(text) if cut(text).len() == text.len());
            let (low, high) = (lower_bytes(min).map(ByteArray::from), upper_bytes(max).map(ByteArray::from));
            let values = parquet::file::statistics::ValueStatistics::new(low, high, distinct, nulls, false)
                .with_min_is_exact(exact(min))
                .with_max_is_exact(exact(max));
            Statistics::ByteArray(values)
        }
    }
}

fn low_zero(value: f64) -> f64 {
    if value == 0.0 { -0.0 } else { value }
}

fn high_zero(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

fn lower_bytes(value: &Scalar) -> Option<Vec<u8>> {
    match value {
        Scalar::String(text) => Some(cut(text).as_bytes().to_vec()),
        Scalar::Float(value) => Some(low_zero(*value).to_le_bytes().to_vec()),
        other => Some(fixed_bytes(other)),
    }
}

fn upper_bytes(value: &Scalar) -> Option<Vec<u8>> {
    match value {
        Scalar::String(text) if cut(text).len() == text.len() => Some(text.as_bytes().to_vec()),
        Scalar::String(text) => successor(cut(text)).map(String::into_bytes),
        Scalar::Float(value) => Some(high_zero(*value).to_le_bytes().to_vec()),
        other => Some(fixed_bytes(other)),
    }
}

fn fixed_bytes(value: &Scalar) -> Vec<u8> {
    match value {
        Scalar::Integer(value) => value.to_le_bytes().to_vec(),
        Scalar::Unsigned(value) => value.to_le_bytes().to_vec(),
        Scalar::Float(value) => value.to_le_bytes().to_vec(),
        Scalar::Boolean(value) => vec![u8::from(*value)],
        Scalar::String(text) => text.as_bytes().to_vec(),
    }
}
