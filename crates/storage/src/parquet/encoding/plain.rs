//! PLAIN and BYTE_STREAM_SPLIT.
//!
//! Plain numbers are their little-endian bytes, plain strings their length and bytes, plain booleans bits. Split
//! streams store all first bytes, then all second bytes, and so on: exponents of floats lie together then, and
//! compress.

use arrow::buffer::BooleanBuffer;

/// Appends 64-bit floats.
pub(in crate::parquet) fn floats(values: &[f64], out: &mut Vec<u8>) {
    out.reserve(values.len() * 8);
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends 64-bit integers.
pub(in crate::parquet) fn integers(values: &[i64], out: &mut Vec<u8>) {
    out.reserve(values.len() * 8);
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends 64-bit floats, split into eight streams of bytes.
pub(in crate::parquet) fn split_floats(values: &[f64], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + values.len() * 8, 0);
    if values.is_empty() {
        return;
    }
    for (byte, stream) in out[start..].chunks_exact_mut(values.len()).enumerate() {
        for (slot, value) in stream.iter_mut().zip(values) {
            *slot = (value.to_bits() >> (byte * 8)) as u8;
        }
    }
}

/// Appends 64-bit floats from eight streams of bytes; whether they hold that many.
pub(in crate::parquet) fn join_floats(streams: &[u8], count: usize, out: &mut Vec<f64>) -> bool {
    let stride = streams.len() / 8;
    if stride < count {
        return false;
    }
    let stream = |byte: usize| &streams[byte * stride..byte * stride + count];
    let all: [&[u8]; 8] = std::array::from_fn(stream);
    out.extend((0..count).map(|index| f64::from_le_bytes(std::array::from_fn(|byte| all[byte][index]))));
    true
}

/// Appends one string.
pub(in crate::parquet) fn string(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

/// Appends booleans, eight a byte.
pub(in crate::parquet) fn booleans(values: &BooleanBuffer, out: &mut Vec<u8>) {
    let bytes = values.len().div_ceil(8);
    out.extend_from_slice(&values.sliced().as_slice()[..bytes]);
}
