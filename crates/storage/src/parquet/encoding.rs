//! Parquet's value encodings, written for whole slices.
//!
//! The encoders of `parquet` take values one by one and hash every row of a dictionary column; rows here arrive
//! sorted, so tags are few long runs and integers are small differences, and a slice at a time is five to thirty
//! times cheaper. Formats follow the Parquet specification (Encodings.md); the tests read everything back with
//! the readers of `parquet`. Nothing here knows pages or columns.

pub(super) mod delta;
pub(super) mod hybrid;
pub(super) mod plain;

/// Appends an unsigned LEB128 number.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number so that small magnitudes are short.
pub(super) fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, ((value << 1) ^ (value >> 63)) as u64);
}
