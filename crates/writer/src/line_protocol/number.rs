//! Numbers, read eight bytes at a time.
//!
//! Metrics are mostly short integers, short decimals and 19-digit timestamps, so digits are found and
//! converted in one word: no loop per digit, no bounds check per byte. Floats that a double holds
//! exactly take one division; all others go to a library that rounds correctly.

/// One in each byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte of a word.
const HIGHS: u64 = 0x8080_8080_8080_8080;
/// Every integer up to this is a double without rounding.
const EXACT_MANTISSA_MAX: u64 = 1 << 53;

/// Every power of ten that a `u64` holds.
const TEN_TO_THE_U64: [u64; 20] = {
    let mut powers = [1; 20];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};
/// Powers of ten that a double holds exactly.
const TEN_TO_THE_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The byte at `at`; behind the end there is a newline, which ends every token as the end does.
#[inline]
pub(super) fn byte(body: &[u8], at: usize) -> u8 {
    body.get(at).copied().unwrap_or(b'\n')
}

/// Eight bytes from `at`, the first in the lowest place; zeros stand behind the end.
#[inline]
pub(super) fn word(body: &[u8], at: usize) -> u64 {
    match body.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => last_word(body, at),
    }
}

#[cold]
fn last_word(body: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(body.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

/// A run of decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    /// Their value; meaningless if `overflow`.
    pub(super) value: u64,
    /// How many there are, leading zeros included.
    pub(super) count: usize,
    /// Whether the value exceeds a `u64`.
    pub(super) overflow: bool,
}

/// Reads the digits from `at` on; there may be none.
#[inline]
pub(super) fn digits(body: &[u8], at: usize) -> Digits {
    let mut digits = Digits { value: 0, count: 0, overflow: false };
    loop {
        let (next, more) = word_digits(word(body, at + digits.count));
        match digits.value.checked_mul(TEN_TO_THE_U64[more]).and_then(|value| value.checked_add(next)) {
            Some(value) => digits.value = value,
            None => digits.overflow = true,
        }
        digits.count += more;
        if more < 8 {
            return digits;
        }
    }
}

/// The value and the count of the digits from `at` on, if they are 1 to 15.
#[inline]
pub(super) fn short_digits(body: &[u8], at: usize) -> Option<(u64, usize)> {
    let (value, count) = word_digits(word(body, at));
    if count < 8 {
        return (count > 0).then_some((value, count));
    }
    let (next, more) = word_digits(word(body, at + 8));
    (more < 8).then(|| (value * TEN_TO_THE_U64[more] + next, 8 + more))
}

/// The float with these whole digits and the decimals from `at` on, and how many decimals there are, if both
/// together are an integer that a double holds exactly and the decimals are at most 15.
#[inline]
pub(super) fn short_decimal(body: &[u8], at: usize, whole: u64) -> Option<(f64, usize)> {
    let (decimals, count) = short_digits(body, at)?;
    let mantissa = whole.checked_mul(*TEN_TO_THE_U64.get(count)?)?.checked_add(decimals)?;
    // Both operands are exact, so the one division rounds correctly.
    (mantissa <= EXACT_MANTISSA_MAX).then(|| (mantissa as f64 / TEN_TO_THE_F64[count], count))
}

/// The value and the count (0 to 8) of the digits that a word starts with.
#[inline]
fn word_digits(word: u64) -> (u64, usize) {
    // A digit becomes 0 to 9; anything else sets the highest bit of its byte in `others`. A carry can
    // only spoil bytes behind the first that is no digit, and those are not looked at.
    let values = word ^ (ONES * u64::from(b'0'));
    let others = (values.wrapping_add(ONES * 0x76) | values) & HIGHS;
    let count = (others.trailing_zeros() / 8) as usize;
    // Shifted to the high end, the digits have zeros in front of them, which do not count. Two shifts, so
    // that neither is as long as the word.
    let aligned = if count == 8 { values } else { (values << 8) << (56 - 8 * count) };
    let pairs = aligned.wrapping_mul(10).wrapping_add(aligned >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(100 + (1_000_000 << 32));
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(1 + (10_000 << 32));
    (low.wrapping_add(high) >> 32, count)
}

/// Why a text is not a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAFloat {
    /// It breaks the grammar at this offset.
    Malformed(usize),
    /// Its magnitude exceeds the largest double.
    TooLarge,
}

/// Reads a float whose sign and whole digits (possibly none) were read already; they began at `start`
/// and ended before `at`. Returns the value and where it ends.
#[inline]
pub(super) fn float(body: &[u8], start: usize, at: usize, whole: Digits) -> Result<(f64, usize), NotAFloat> {
    let mut end = at;
    let mut mantissa = whole;
    let mut scale = 0;
    if byte(body, end) == b'.' {
        let fraction = digits(body, end + 1);
        end += 1 + fraction.count;
        scale = fraction.count;
        mantissa = join(whole, fraction);
    }
    if mantissa.count == 0 {
        return Err(NotAFloat::Malformed(end));
    }
    let exact = !mantissa.overflow && mantissa.value <= EXACT_MANTISSA_MAX;
    if byte(body, end) | 0x20 == b'e' {
        end = exponent_end(body, end)?;
    } else if exact && let Some(divisor) = TEN_TO_THE_F64.get(scale) {
        // Both operands are exact, so the one division rounds correctly.
        let value = mantissa.value as f64 / divisor;
        return Ok((if byte(body, start) == b'-' { -value } else { value }, end));
    }
    rounded(body, start, end)
}

/// The digits of `whole` followed by those of `fraction`.
#[inline]
fn join(whole: Digits, fraction: Digits) -> Digits {
    let count = whole.count + fraction.count;
    let shifted = TEN_TO_THE_U64.get(fraction.count).and_then(|power| whole.value.checked_mul(*power));
    match shifted.and_then(|value| value.checked_add(fraction.value)) {
        Some(value) => Digits { value, count, overflow: whole.overflow || fraction.overflow },
        None => Digits { value: 0, count, overflow: true },
    }
}

fn exponent_end(body: &[u8], at: usize) -> Result<usize, NotAFloat> {
    let signed = matches!(byte(body, at + 1), b'+' | b'-');
    let first = at + 1 + usize::from(signed);
    match digits(body, first).count {
        0 => Err(NotAFloat::Malformed(first)),
        count => Ok(first + count),
    }
}

#[inline(never)]
fn rounded(body: &[u8], start: usize, end: usize) -> Result<(f64, usize), NotAFloat> {
    let text = body.get(start..end).unwrap_or_default();
    match fast_float2::parse::<f64, _>(text) {
        Ok(value) if value.is_finite() => Ok((value, end)),
        Ok(_) => Err(NotAFloat::TooLarge),
        Err(_) => Err(NotAFloat::Malformed(end)),
    }
}

#[cfg(test)]
mod tests;
