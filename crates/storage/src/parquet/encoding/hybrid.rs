//! Parquet's run-length and bit-packing hybrid, for dictionary indices and for presence.
//!
//! A run of eight or more equal values is stored once with its length; what lies between is packed in groups of
//! eight. Widths are those of dictionary indices, at most 32 bits.

use arrow::buffer::NullBuffer;

use super::{read_varint, varint};

/// From this length on a run is stored as a run.
const RUN_MIN: usize = 8;

/// Bits that an index into a dictionary of `entries` takes.
pub(in crate::parquet) fn width_of(entries: usize) -> u8 {
    let last = entries.saturating_sub(1) as u64;
    (64 - last.leading_zeros()) as u8
}

/// Writes a sequence given as runs.
#[derive(Debug)]
pub(in crate::parquet) struct HybridWriter<'a> {
    out: &'a mut Vec<u8>,
    width: u8,
    /// Values that are not part of a long run, waiting to be packed.
    pending: &'a mut Vec<u32>,
}

impl<'a> HybridWriter<'a> {
    /// Appends to `out`; `pending` is scratch space.
    pub(in crate::parquet) fn new(width: u8, out: &'a mut Vec<u8>, pending: &'a mut Vec<u32>) -> Self {
        pending.clear();
        Self { out, width, pending }
    }

    /// Appends `count` times `value`.
    pub(in crate::parquet) fn run(&mut self, value: u32, mut count: usize) {
        // Packed groups are whole: a run that starts inside one fills it up first.
        let open = self.pending.len() % RUN_MIN;
        if open > 0 && count > 0 {
            let filling = count.min(RUN_MIN - open);
            self.pending.extend(std::iter::repeat_n(value, filling));
            count -= filling;
        }
        if count >= RUN_MIN {
            self.flush();
            varint(self.out, (count as u64) << 1);
            let bytes = usize::from(self.width.div_ceil(8));
            self.out.extend_from_slice(&value.to_le_bytes()[..bytes]);
        } else {
            self.pending.extend(std::iter::repeat_n(value, count));
        }
    }

    /// Ends the sequence; the last group is padded with zeros, which readers skip by the number of values.
    pub(in crate::parquet) fn finish(mut self) {
        self.flush();
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let groups = self.pending.len().div_ceil(RUN_MIN);
        self.pending.resize(groups * RUN_MIN, 0);
        varint(self.out, ((groups as u64) << 1) | 1);
        pack(self.pending, self.width, self.out);
        self.pending.clear();
    }
}

/// Appends values of `width` bits each, least significant bit first; their number is a multiple of eight.
fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    out.reserve(values.len() * usize::from(width) / 8 + 8);
    let mut word = 0_u64;
    let mut used = 0_u32;
    for &value in values {
        word |= u64::from(value) << used;
        used += u32::from(width);
        if used >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            used -= 32;
        }
    }
    // Eight values fill whole bytes, so nothing is lost to the padding of the last word.
    let bytes = used.div_ceil(8) as usize;
    out.extend_from_slice(&word.to_le_bytes()[..bytes]);
}

/// Appends the definition levels of a page of an optional column: their size in bytes, then one bit per row.
pub(in crate::parquet) fn presence(rows: usize, nulls: Option<&NullBuffer>, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    match nulls {
        Some(nulls) if nulls.null_count() == rows => {
            varint(out, (rows as u64) << 1);
            out.push(0);
        }
        Some(nulls) if nulls.null_count() > 0 => {
            // Arrow's validity bits are in the order of a packed run already.
            let groups = rows.div_ceil(8);
            varint(out, ((groups as u64) << 1) | 1);
            out.extend_from_slice(&nulls.inner().sliced().as_slice()[..groups]);
        }
        _ => {
            varint(out, (rows as u64) << 1);
            out.push(1);
        }
    }
    let bytes = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
}

/// Hands `count` values to `each` as runs, in their order; says what is wrong where they are none.
pub(in crate::parquet) fn decode(
    bytes: &[u8],
    width: u8,
    count: usize,
    each: &mut impl FnMut(u32, usize),
) -> Result<(), String> {
    if width > 32 {
        return Err(format!("codes of {width} bits"));
    }
    let mut rest = bytes;
    let mut left = count;
    while left > 0 {
        let header = read_varint(&mut rest).ok_or("fewer codes than values")?;
        let length = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        if header & 1 == 0 {
            let size = usize::from(width.div_ceil(8));
            let (value, after) = rest.split_at_checked(size).ok_or("a run without its value")?;
            rest = after;
            let mut word = [0_u8; 4];
            word[..size].copy_from_slice(value);
            let taken = length.min(left);
            if taken == 0 {
                return Err("a run of no values".to_owned());
            }
            each(u32::from_le_bytes(word), taken);
            left -= taken;
        } else {
            // The last group may be cut off after its last value.
            let size = length.saturating_mul(usize::from(width)).min(rest.len());
            let (packed, after) = rest.split_at(size);
            rest = after;
            let taken = length.saturating_mul(RUN_MIN).min(left);
            if taken == 0 || packed.len() * 8 < taken * usize::from(width) {
                return Err("fewer bytes than codes".to_owned());
            }
            unpack(packed, width, taken, each);
            left -= taken;
        }
    }
    Ok(())
}

/// Packed codes as runs.
fn unpack(packed: &[u8], width: u8, count: usize, each: &mut impl FnMut(u32, usize)) {
    let (mut word, mut filled) = (0_u64, 0_u32);
    let mut bytes = packed.iter();
    let mask = u32::MAX.checked_shr(32 - u32::from(width)).unwrap_or(0);
    let mut open: Option<(u32, usize)> = None;
    for _ in 0..count {
        while filled < u32::from(width) {
            word |= u64::from(bytes.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        let code = word as u32 & mask;
        word >>= width;
        filled -= u32::from(width);
        match &mut open {
            Some((value, length)) if *value == code => *length += 1,
            open => {
                if let Some((value, length)) = open.replace((code, 1)) {
                    each(value, length);
                }
            }
        }
    }
    if let Some((value, length)) = open {
        each(value, length);
    }
}
