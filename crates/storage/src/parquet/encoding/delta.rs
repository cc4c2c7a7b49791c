//! DELTA_BINARY_PACKED for 64-bit integers: differences, less their minimum, in as few bits as they need.
//!
//! Blocks hold 256 differences in 4 miniblocks of 64, so that a miniblock of width `w` is exactly `w` 64-bit words
//! and packing never crosses its end.

use super::{varint, zigzag};

const MINIBLOCK: usize = 64;
const MINIBLOCKS: usize = 4;
const BLOCK: usize = MINIBLOCK * MINIBLOCKS;

/// Appends `values`.
pub(in crate::parquet) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(out, BLOCK as u64);
    varint(out, MINIBLOCKS as u64);
    varint(out, values.len() as u64);
    zigzag(out, values.first().copied().unwrap_or(0));
    let mut rest = values;
    while rest.len() > 1 {
        let count = (rest.len() - 1).min(BLOCK);
        encode_block(&rest[..=count], out);
        rest = &rest[count..];
    }
}

/// One block: `values` holds the last value before the block and then the block's own.
fn encode_block(values: &[i64], out: &mut Vec<u8>) {
    let mut deltas = [0_u64; BLOCK];
    let count = values.len() - 1;
    let mut min = i64::MAX;
    for (delta, pair) in deltas.iter_mut().zip(values.windows(2)) {
        let difference = pair[1].wrapping_sub(pair[0]);
        min = min.min(difference);
        *delta = difference as u64;
    }
    for delta in &mut deltas[..count] {
        *delta = delta.wrapping_sub(min as u64);
    }
    zigzag(out, min);
    let mut widths = [0_u8; MINIBLOCKS];
    let (miniblocks, _) = deltas.as_chunks::<MINIBLOCK>();
    for (width, miniblock) in widths.iter_mut().zip(miniblocks) {
        let all = miniblock.iter().fold(0, |all, delta| all | delta);
        *width = (64 - all.leading_zeros()) as u8;
    }
    out.extend_from_slice(&widths);
    // Miniblocks after the last value have width 0 and thereby no bytes.
    for (&width, miniblock) in widths.iter().zip(miniblocks) {
        pack(miniblock, usize::from(width), out);
    }
}

/// Appends 64 values of `width` bits each, least significant bit first: `width` little-endian words.
fn pack(values: &[u64; MINIBLOCK], width: usize, out: &mut Vec<u8>) {
    macro_rules! by_width {
        ($($fixed:literal)*) => {
            match width {
                0 => {}
                $($fixed => pack_fixed::<$fixed>(values, out),)*
                _ => pack_any(values, width, out),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
}

/// With the width known at compile time, shifts are constants and the loop unrolls.
#[inline(never)]
fn pack_fixed<const WIDTH: usize>(values: &[u64; MINIBLOCK], out: &mut Vec<u8>) {
    let mut words = [0_u64; WIDTH];
    for (index, &value) in values.iter().enumerate() {
        let bit = index * WIDTH;
        let (word, shift) = (bit / 64, bit % 64);
        words[word] |= value << shift;
        if shift + WIDTH > 64 {
            words[word + 1] |= value >> (64 - shift);
        }
    }
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn pack_any(values: &[u64; MINIBLOCK], width: usize, out: &mut Vec<u8>) {
    let mut word = 0_u64;
    let mut used = 0;
    for &value in values {
        word |= value << used;
        used += width;
        if used >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            used -= 64;
            // What did not fit starts the next word; a shift by 64 means that all of it fitted.
            word = if used == 0 { 0 } else { value >> (width - used) };
        }
    }
}
