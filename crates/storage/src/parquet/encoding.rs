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

/// Takes an unsigned LEB128 number from the front.
pub(super) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a signed number from the front.
pub(super) fn read_zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let value = read_varint(bytes)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}
