//! Texts that mean an amount: sizes in bytes and durations, read and shown.
//!
//! Settings of processes and of tables are written by the same people in the same spelling, so both are read here.
//! Every reader answers with a short phrase that continues "the value …" when the text is wrong. Nothing here knows a
//! setting's name, and nothing is guessed: what is not understood is refused.

use std::time::Duration;

/// A reader's answer; the error continues "the value …".
pub type Parsed<T> = Result<T, String>;

/// `true false 1 0 yes no on off`, in any letter case.
pub fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

/// A size in bytes, at least one: a plain number, or a number with one of `B KB MB GB TB` (powers of 1,000;
/// also `K M G T`) or `KiB MiB GiB TiB` (powers of 1,024; also `Ki Mi Gi Ti`).
pub fn bytes(text: &str) -> Parsed<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        other => return Err(format!("has the unknown unit `{other}`")),
    };
    let size = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor).ok_or("is too large")?,
        Err(_) => fraction_of(number, factor)?,
    };
    if size == 0 { Err("is zero".to_owned()) } else { Ok(size) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the product was checked to be finite, positive and below 2^63"
)]
fn fraction_of(number: &str, factor: u64) -> Parsed<u64> {
    let fraction: f64 = number.parse().map_err(|_| "is not a size".to_owned())?;
    let size = fraction * factor as f64;
    if size.is_finite() && (0.0..9.2e18).contains(&size) { Ok(size as u64) } else { Err("is too large".to_owned()) }
}

/// A duration above zero: seconds as a plain number, fractions allowed, or with units as [`duration`].
pub fn seconds(text: &str) -> Parsed<Duration> {
    match seconds_or_never(text)? {
        Some(duration) => Ok(duration),
        None => Err("is zero".to_owned()),
    }
}

/// As [`seconds`], where zero means never.
pub fn seconds_or_never(text: &str) -> Parsed<Option<Duration>> {
    let duration = match text.parse::<f64>() {
        Ok(number) => whole_duration(number)?,
        Err(_) => units(text)?,
    };
    Ok((!duration.is_zero()).then_some(duration))
}

/// `30s 10m 12h 7d 4w`, also `500ms` and joined as in `1h30m`; 0 is never.
pub fn duration(text: &str) -> Parsed<Option<Duration>> {
    if text == "0" {
        return Ok(None);
    }
    let duration = units(text)?;
    Ok((!duration.is_zero()).then_some(duration))
}

fn units(text: &str) -> Parsed<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err("is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(letters);
        let unit_seconds = match unit.trim().to_ascii_lowercase().as_str() {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "" => return Err("lacks a unit".to_owned()),
            other => return Err(format!("has the unknown unit `{other}`")),
        };
        let amount: f64 = number.parse().map_err(|_| "is not a duration".to_owned())?;
        total = total.checked_add(whole_duration(amount * unit_seconds)?).ok_or("is too long")?;
        rest = next;
    }
    Ok(total)
}

/// Longer than any use and short enough that deadlines cannot overflow: 1,000 years.
const DURATION_SECONDS_MAX: f64 = 31_557_600_000.0;

fn whole_duration(seconds: f64) -> Parsed<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err("is negative or not a number".to_owned());
    }
    if seconds > DURATION_SECONDS_MAX {
        return Err("is longer than 1,000 years".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The duration in the largest of `d h m s ms` that leaves no remainder, as [`duration`] reads it; one below a
/// millisecond's grain in seconds with a fraction.
pub fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    if duration.is_zero() {
        return "0".to_owned();
    }
    if Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) != duration {
        return format!("{}s", duration.as_secs_f64());
    }
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let fitting = units.into_iter().find(|(_, size)| millis.is_multiple_of(*size));
    fitting.map_or_else(String::new, |(unit, size)| format!("{}{unit}", millis / size))
}

#[cfg(test)]
mod tests;
