//! Integers and time: differences, bit-packed. A dictionary would have to hash every row and gains nothing on
//! values that move in small steps.

use parquet::basic::Encoding;

use super::{Buffers, Rows};
use crate::parquet::chunk::Chunk;
use crate::parquet::encoding::{delta, plain};
use crate::parquet::statistics::Summary;

/// How 64-bit words are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Signed,
    Unsigned,
}

/// Times: never null, and their sum means nothing.
pub(super) fn encode_time(values: &[i64], chunk: &mut Chunk) {
    for page in Rows::new(values.len(), None).pages() {
        let times = &values[page.rows.clone()];
        let encoding = write(times, &mut chunk.raw);
        let mut summary = Summary::integers(times, 0);
        summary.sum = None;
        chunk.end_page(times.len(), encoding, summary);
    }
}

/// Integer fields.
pub(super) fn encode(words: &[i64], rows: &Rows<'_>, sign: Sign, chunk: &mut Chunk, buffers: &mut Buffers) {
    let values = rows.values(words, &mut buffers.integers);
    for page in rows.pages() {
        let nulls = page.null_count();
        page.begin(chunk);
        let values = &values[page.values.clone()];
        let encoding = write(values, &mut chunk.raw);
        let summary = match sign {
            Sign::Signed => Summary::integers(values, nulls),
            Sign::Unsigned => Summary::unsigned(values.iter().map(|&word| word as u64), nulls),
        };
        chunk.end_page(page.rows.len(), encoding, summary);
    }
}

/// Appends differences, or the values themselves where those take fewer bytes: few values, and noise.
fn write(values: &[i64], raw: &mut Vec<u8>) -> Encoding {
    let start = raw.len();
    delta::encode(values, raw);
    if raw.len() - start <= values.len() * 8 {
        return Encoding::DELTA_BINARY_PACKED;
    }
    raw.truncate(start);
    plain::integers(values, raw);
    Encoding::PLAIN
}
