//! DELTA_BINARY_PACKED for 64-bit integers: differences, less their minimum, in as few bits as they need.
//!
//! Blocks hold 256 differences in 4 miniblocks of 64, so that a miniblock of width `w` is exactly `w` 64-bit words
//! and packing never crosses its end.

use super::{read_varint, read_zigzag, varint, zigzag};

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

/// Appends `count` values, whatever the size of blocks that their writer chose; says what is wrong where they are none.
pub(in crate::parquet) fn decode(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), String> {
    if count == 0 {
        return Ok(());
    }
    let mut rest = bytes;
    let mut header = || read_varint(&mut rest).ok_or("integers without their header");
    let (block, miniblocks, total) = (header()?, header()?, header()?);
    let mut value = read_zigzag(&mut rest).ok_or("integers without their first value")?;
    let (Ok(block), Ok(miniblocks)) = (usize::try_from(block), usize::try_from(miniblocks)) else {
        return Err("a block of integers that is too long".to_owned());
    };
    if total != count as u64 || miniblocks == 0 || block == 0 || block % miniblocks != 0 || block > 1 << 20 {
        return Err(format!("{total} integers in blocks of {block} for {count} rows"));
    }
    let each = block / miniblocks;
    let start = out.len();
    out.resize(start + count, 0);
    let Some((first, mut left)) = out[start..].split_first_mut() else { return Ok(()) };
    *first = value;
    while !left.is_empty() {
        let min = read_zigzag(&mut rest).ok_or("a block of integers without its minimum")?;
        let (widths, packed) = rest.split_at_checked(miniblocks).ok_or("a block of integers without its widths")?;
        rest = packed;
        for &width in widths {
            if left.is_empty() {
                break;
            }
            if width > 64 {
                return Err(format!("integers of {width} bits"));
            }
            // The last miniblock may end with its last value.
            let length = (each * usize::from(width)).div_ceil(8);
            let packed = rest;
            rest = &rest[length.min(rest.len())..];
            let (values, others) = left.split_at_mut(each.min(left.len()));
            left = others;
            if packed.len() * 8 < values.len() * usize::from(width) {
                return Err("fewer bytes than integers".to_owned());
            }
            value = unpack(packed, usize::from(width), min, value, values);
        }
    }
    Ok(())
}

/// Values of which eight are taken at once: whatever their width, they begin with a byte.
const LANES: usize = 8;

/// Fills `values`: each is the one before it, the minimum, and a packed difference. Answers the last. `packed` may go on
/// after them.
fn unpack(packed: &[u8], width: usize, min: i64, mut value: i64, values: &mut [i64]) -> i64 {
    macro_rules! by_width {
        ($($fixed:literal)*) => {
            match width {
                0 => {
                    for slot in values.iter_mut() {
                        value = value.wrapping_add(min);
                        *slot = value;
                    }
                    return value;
                }
                $($fixed => unpack_fixed::<$fixed>(packed, min, &mut value, values),)*
                17..=57 => unpack_wide(packed, width, min, &mut value, values),
                _ => 0,
            }
        };
    }
    let done = by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    for (index, slot) in values.iter_mut().enumerate().skip(done) {
        value = value.wrapping_add(min).wrapping_add(bits(packed, index * width, width) as i64);
        *slot = value;
    }
    value
}

/// Takes values of which each lies in one word that begins with its first byte, as long as words can be read there; answers
/// how many it took. Such are times: their differences are small but where one series follows another.
fn unpack_wide(packed: &[u8], width: usize, min: i64, value: &mut i64, values: &mut [i64]) -> usize {
    let mask = (1_u64 << width) - 1;
    let mut last = *value;
    let mut bit = 0;
    let mut done = 0;
    for slot in values.iter_mut() {
        let Some(word) = packed.get(bit / 8..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let delta = (u64::from_le_bytes(*word) >> (bit % 8)) & mask;
        last = last.wrapping_add(min.wrapping_add(delta as i64));
        *slot = last;
        bit += width;
        done += 1;
    }
    *value = last;
    done
}

/// Takes eight values from each `WIDTH` bytes, as long as two words can be read there; answers how many it took.
fn unpack_fixed<const WIDTH: usize>(packed: &[u8], min: i64, value: &mut i64, values: &mut [i64]) -> usize {
    let (groups, _) = values.as_chunks_mut::<LANES>();
    let mask = (1_u64 << WIDTH) - 1;
    let mut last = *value;
    let mut done = 0;
    for group in groups {
        let at = done / LANES * WIDTH;
        let deltas: [u64; LANES] = if WIDTH <= 8 {
            let Some(word) = packed.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
            let word = u64::from_le_bytes(*word);
            std::array::from_fn(|lane| (word >> (lane * WIDTH % 64)) & mask)
        } else {
            let Some(word) = packed.get(at..).and_then(|rest| rest.first_chunk::<16>()) else { break };
            let word = u128::from_le_bytes(*word);
            std::array::from_fn(|lane| (word >> (lane * WIDTH % 128)) as u64 & mask)
        };
        for (slot, delta) in group.iter_mut().zip(deltas) {
            last = last.wrapping_add(min.wrapping_add(delta as i64));
            *slot = last;
        }
        done += LANES;
    }
    *value = last;
    done
}

/// `width` bits, at most 64, from bit `at` on; bits beyond the end are zero.
fn bits(packed: &[u8], at: usize, width: usize) -> u64 {
    let (first, shift) = (at / 8, at % 8);
    let mut wide = [0_u8; 16];
    let bytes = (shift + width).div_ceil(8).min(packed.len() - first.min(packed.len()));
    wide[..bytes].copy_from_slice(&packed[first..first + bytes]);
    let value = u128::from_le_bytes(wide) >> shift;
    (value & (u128::MAX >> (128 - width.max(1)))) as u64
}
