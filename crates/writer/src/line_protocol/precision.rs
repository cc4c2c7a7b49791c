//! The unit of a request's timestamps.
//!
//! Kept apart because the spellings are an interface (three generations of InfluxDB clients send
//! different words), and because every conversion to nanoseconds must notice an overflow here rather
//! than wrap somewhere later.

use gigapi_model::Timestamp;

/// Below this many seconds a bare number is taken for seconds when the unit is guessed (year 2128).
const AUTO_SECONDS_BELOW: u64 = 5_000_000_000;

/// The unit in which a request's timestamps count since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Guessed for each timestamp from its magnitude.
    Auto,
    /// 10⁻⁹ s.
    #[default]
    Nanosecond,
    /// 10⁻⁶ s.
    Microsecond,
    /// 10⁻³ s.
    Millisecond,
    /// 1 s.
    Second,
    /// 60 s.
    Minute,
    /// 3,600 s.
    Hour,
}

impl Precision {
    /// Reads the value of a `precision` parameter; `None` if it is no known spelling.
    pub fn from_query(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Self::Auto,
            "ns" | "n" | "nanosecond" => Self::Nanosecond,
            "us" | "u" | "µ" | "µs" | "microsecond" => Self::Microsecond,
            "ms" | "millisecond" => Self::Millisecond,
            "s" | "second" => Self::Second,
            "m" | "minute" => Self::Minute,
            "h" | "hour" => Self::Hour,
            _ => return None,
        })
    }

    /// Nanoseconds since the Unix epoch for `count` units, or `None` if an `i64` cannot hold them.
    #[inline]
    pub fn to_nanos(self, count: i64) -> Option<i64> {
        match self {
            Self::Nanosecond => Some(count),
            Self::Auto => Self::guess(count).to_nanos(count),
            unit => count.checked_mul(unit.nanos_per_unit()),
        }
    }

    /// The whole units of `now`, in nanoseconds: what a line without a timestamp gets.
    pub fn truncate(self, now: Timestamp) -> i64 {
        let unit = self.nanos_per_unit();
        now.nanos().saturating_sub(now.nanos().rem_euclid(unit))
    }

    /// The unit that `auto` takes `count` for.
    fn guess(count: i64) -> Self {
        match count.unsigned_abs() {
            0..AUTO_SECONDS_BELOW => Self::Second,
            magnitude if magnitude < AUTO_SECONDS_BELOW * 1_000 => Self::Millisecond,
            magnitude if magnitude < AUTO_SECONDS_BELOW * 1_000_000 => Self::Microsecond,
            _ => Self::Nanosecond,
        }
    }

    fn nanos_per_unit(self) -> i64 {
        match self {
            Self::Auto | Self::Nanosecond => 1,
            Self::Microsecond => 1_000,
            Self::Millisecond => 1_000_000,
            Self::Second => 1_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Hour => 3_600_000_000_000,
        }
    }
}
