//! Floats: a dictionary where values repeat, else plain or split into streams of bytes, by what compresses better.
//!
//! Gauges with few decimals repeat and shrink to a quarter in a dictionary, while splitting their bytes would
//! double them; measured noise is the other way round. So the data at hand decides: a sample of values for the
//! dictionary, the first page for the rest. `docs/decisions/0002-parquet-encodings.md` has the figures.

use std::collections::HashSet;

use parquet::basic::Encoding;

use super::{Buffers, Rows};
use crate::Result;
use crate::parquet::chunk::{Chunk, Compressor};
use crate::parquet::encoding::hybrid::{HybridWriter, width_of};
use crate::parquet::encoding::plain;
use crate::parquet::statistics::Summary;

/// Values looked at before a dictionary is tried.
const SAMPLE: usize = 1024;

/// A dictionary holds at most this many entries: indices of 16 bits.
const ENTRIES_MAX: usize = 1 << 16;

/// A dictionary is used if every entry stands for at least this many values on average.
const VALUES_PER_ENTRY_MIN: usize = 4;

pub(super) fn encode(
    all: &[f64],
    rows: &Rows<'_>,
    chunk: &mut Chunk,
    buffers: &mut Buffers,
    compressor: &mut Compressor,
) -> Result<()> {
    let Buffers { floats, pending, indices, sample, .. } = buffers;
    let values = rows.values(all, floats);
    if seems_repetitive(values)
        && let Some(entries) = index(values, indices)
    {
        plain::floats(&entries, &mut chunk.raw);
        chunk.end_dictionary(entries.len());
        let width = width_of(entries.len());
        for page in rows.pages() {
            page.begin(chunk);
            chunk.raw.push(width);
            write_indices(&indices[page.values.clone()], width, &mut chunk.raw, pending);
            let summary = Summary::floats(&values[page.values.clone()], page.null_count());
            chunk.end_page(page.rows.len(), Encoding::RLE_DICTIONARY, summary);
        }
        return Ok(());
    }
    let split = rows.pages().next().map_or(Ok(false), |page| splits_well(&values[page.values], sample, compressor))?;
    for page in rows.pages() {
        page.begin(chunk);
        let values = &values[page.values.clone()];
        let encoding = if split {
            plain::split_floats(values, &mut chunk.raw);
            Encoding::BYTE_STREAM_SPLIT
        } else {
            plain::floats(values, &mut chunk.raw);
            Encoding::PLAIN
        };
        chunk.end_page(page.rows.len(), encoding, Summary::floats(values, page.null_count()));
    }
    Ok(())
}

/// Whether a spread sample has repeated values at all.
fn seems_repetitive(values: &[f64]) -> bool {
    if values.len() < 16 {
        return false;
    }
    // Neighbours of a slow gauge are alike: a stride sees the whole range.
    let stride = values.len().div_ceil(SAMPLE);
    let mut seen = HashSet::with_capacity(SAMPLE);
    seen.extend(values.iter().step_by(stride).map(|value| value.to_bits()));
    // Values that repeat four times in the file repeat less in a small part of it.
    seen.len() * 10 <= values.len().div_ceil(stride) * 9
}

/// The distinct values by first appearance, and per value its index; none if there are too many.
fn index(values: &[f64], indices: &mut Vec<u32>) -> Option<Vec<f64>> {
    let entries_max = (values.len() / VALUES_PER_ENTRY_MIN).clamp(4, ENTRIES_MAX);
    // Twice as many slots as entries, so that probing stays short.
    let bits = (entries_max * 2).next_power_of_two().trailing_zeros();
    let mut slots = vec![0_u32; 1 << bits];
    let mut entries: Vec<f64> = Vec::new();
    indices.clear();
    indices.reserve(values.len());
    for value in values {
        let word = value.to_bits();
        // Multiplying spreads the low bits of a short decimal over the high ones.
        let mut slot = (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as usize;
        let index = loop {
            let entry = slots[slot];
            if entry == 0 {
                if entries.len() == entries_max {
                    return None;
                }
                entries.push(*value);
                slots[slot] = entries.len() as u32;
                break entries.len() as u32 - 1;
            }
            if entries[entry as usize - 1].to_bits() == word {
                break entry - 1;
            }
            slot = (slot + 1) & ((1 << bits) - 1);
        };
        indices.push(index);
    }
    Some(entries)
}

fn write_indices(indices: &[u32], width: u8, out: &mut Vec<u8>, pending: &mut Vec<u32>) {
    let mut writer = HybridWriter::new(width, out, pending);
    for run in indices.chunk_by(|a, b| a == b) {
        writer.run(run[0], run.len());
    }
    writer.finish();
}

/// Whether splitting the bytes saves at least a twentieth over plain ones, both compressed.
///
/// Split bytes are read faster too: what compresses in eight streams is not searched for matches.
fn splits_well(values: &[f64], sample: &mut Vec<u8>, compressor: &mut Compressor) -> Result<bool> {
    if values.len() < 64 {
        return Ok(false);
    }
    sample.clear();
    plain::floats(values, sample);
    let plain_bytes = compressor.compress(sample)?.len();
    sample.clear();
    plain::split_floats(values, sample);
    let split_bytes = compressor.compress(sample)?.len();
    Ok(split_bytes * 20 <= plain_bytes * 19)
}
