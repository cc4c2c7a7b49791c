//! Points in time as text, without an intermediate string or a calendar library per value.

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeStyle {
    /// RFC 3339 in UTC with as many decimals as needed: `2025-04-24T00:00:05Z`.
    Rfc3339,
    /// Without a zone, with three, six or nine decimals where there are any: `2025-04-24T00:00:05.001`.
    NoZone,
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Appends a point in time given in nanoseconds since the Unix epoch.
pub(crate) fn write_time(nanos: i64, style: TimeStyle, out: &mut Vec<u8>) {
    let seconds = nanos.div_euclid(NANOS_PER_SECOND);
    let fraction = nanos.rem_euclid(NANOS_PER_SECOND);
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    write_date(seconds.div_euclid(SECONDS_PER_DAY), out);
    out.push(b'T');
    two(second_of_day / 3600, out);
    out.push(b':');
    two(second_of_day / 60 % 60, out);
    out.push(b':');
    two(second_of_day % 60, out);
    write_fraction(fraction, style, out);
    if style == TimeStyle::Rfc3339 {
        out.push(b'Z');
    }
}

/// Appends a date given in days since the Unix epoch.
pub(crate) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        out.push(if year < 0 { b'-' } else { b'+' });
    }
    let year = year.abs();
    if year > 9999 {
        out.extend_from_slice((year / 10_000).to_string().as_bytes());
    }
    two(year / 100 % 100, out);
    two(year % 100, out);
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

fn two(value: i64, out: &mut Vec<u8>) {
    let digit = |value: i64| b'0' + u8::try_from(value % 10).unwrap_or(0);
    out.extend_from_slice(&[digit(value / 10), digit(value)]);
}

fn write_fraction(fraction: i64, style: TimeStyle, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let start = out.len();
    let mut divisor = NANOS_PER_SECOND;
    while divisor > 1 {
        divisor /= 10;
        out.push(b'0' + u8::try_from(fraction / divisor % 10).unwrap_or(0));
    }
    match style {
        TimeStyle::Rfc3339 => {
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
        TimeStyle::NoZone if fraction % 1_000_000 == 0 => out.truncate(start + 3),
        TimeStyle::NoZone if fraction % 1_000 == 0 => out.truncate(start + 6),
        TimeStyle::NoZone => {}
    }
}

/// Year, month and day of a day number, by counting in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
