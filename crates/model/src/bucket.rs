//! The span of time that a data file covers, and its spelling in object paths.
//!
//! A bucket is an hour, a day, a month or a year of UTC. Both path keys always exist
//! (`date=2025-04-10/hour=07`, `date=2025-04-10/hour=all`, `date=2025-04/hour=all`,
//! `date=2025/hour=all`), so that a path has one shape. Buckets only place files: queries prune by the
//! exact time range of a file, never by its path.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{TimeRange, Timestamp};

const NANOS_PER_HOUR: i64 = 3_600_000_000_000;
const NANOS_PER_DAY: i64 = 24 * NANOS_PER_HOUR;

/// How long a bucket is, from fine to coarse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BucketSpan {
    /// One hour: what live data uses.
    Hour,
    /// One day.
    Day,
    /// One calendar month.
    Month,
    /// One calendar year.
    Year,
}

impl BucketSpan {
    /// All spans, from fine to coarse.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Month, Self::Year];
}

/// One span of time, identified by where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bucket {
    start: Timestamp,
    span: BucketSpan,
}

impl Bucket {
    /// The bucket of length `span` that `at` lies in.
    ///
    /// The representable range starts and ends inside a bucket; the first one is cut at its beginning.
    pub fn containing(at: Timestamp, span: BucketSpan) -> Self {
        let nanos = at.nanos();
        let start = match span {
            BucketSpan::Hour => floor_to(nanos, NANOS_PER_HOUR),
            BucketSpan::Day => floor_to(nanos, NANOS_PER_DAY),
            BucketSpan::Month => {
                let date = date_of(nanos);
                start_of(date.year(), date.month())
            }
            BucketSpan::Year => start_of(date_of(nanos).year(), 1),
        };
        Self { start: Timestamp::from_nanos(start), span }
    }

    /// How long the bucket is.
    pub fn span(self) -> BucketSpan {
        self.span
    }

    /// The first nanosecond inside.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The first and the last nanosecond inside.
    pub fn range(self) -> TimeRange {
        let start = self.start.nanos();
        let end = match self.span {
            BucketSpan::Hour => floor_to(start, NANOS_PER_HOUR).saturating_add(NANOS_PER_HOUR),
            BucketSpan::Day => floor_to(start, NANOS_PER_DAY).saturating_add(NANOS_PER_DAY),
            BucketSpan::Month => {
                let date = date_of(start);
                let (year, month) =
                    if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
                start_of(year, month)
            }
            BucketSpan::Year => start_of(date_of(start).year() + 1, 1),
        };
        // The last bucket of the representable range ends with it, inclusively.
        let last = if end == i64::MAX { end } else { end - 1 };
        TimeRange::new(self.start, Timestamp::from_nanos(last))
    }

    /// The two folders of the bucket: `date=…/hour=…`.
    pub fn path(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.start.nanos();
        let date = date_of(nanos);
        let (year, month, day) = (date.year(), date.month(), date.day());
        match self.span {
            BucketSpan::Hour => {
                let hour = nanos.div_euclid(NANOS_PER_HOUR).rem_euclid(24);
                write!(f, "date={year:04}-{month:02}-{day:02}/hour={hour:02}")
            }
            BucketSpan::Day => write!(f, "date={year:04}-{month:02}-{day:02}/hour=all"),
            BucketSpan::Month => write!(f, "date={year:04}-{month:02}/hour=all"),
            BucketSpan::Year => write!(f, "date={year:04}/hour=all"),
        }
    }
}

/// The text is not the path of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a bucket; expected date=YYYY-MM-DD/hour=HH, or a day, month or year with hour=all")]
pub struct ParseBucketError(String);

impl FromStr for Bucket {
    type Err = ParseBucketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseBucketError(text.to_owned());
        let (date, hour) = text.strip_prefix("date=").and_then(|rest| rest.split_once("/hour=")).ok_or_else(refused)?;
        let mut parts = date.split('-').map(|part| part.parse::<u32>().ok());
        let year = parts.next().flatten().and_then(|year| i32::try_from(year).ok()).ok_or_else(refused)?;
        let month = parts.next();
        let day = parts.next();
        if parts.next().is_some() {
            return Err(refused());
        }
        let (span, month, day) = match (month, day, hour) {
            (None, None, "all") => (BucketSpan::Year, 1, 1),
            (Some(Some(month)), None, "all") => (BucketSpan::Month, month, 1),
            (Some(Some(month)), Some(Some(day)), "all") => (BucketSpan::Day, month, day),
            (Some(Some(month)), Some(Some(day)), _) => (BucketSpan::Hour, month, day),
            _ => return Err(refused()),
        };
        let hours = if span == BucketSpan::Hour { hour.parse::<i64>().map_err(|_| refused())? } else { 0 };
        let midnight = NaiveDate::from_ymd_opt(year, month, day).map(midnight_nanos).ok_or_else(refused)?;
        // The last nanosecond of the hour lies in the bucket even where its start is before the range.
        let inside = midnight.saturating_add(hours * NANOS_PER_HOUR);
        let bucket = Self::containing(Timestamp::from_nanos(inside), span);
        // Reading back what was written refuses every second spelling (`hour=7`, `hour=25`).
        if bucket.to_string() == text { Ok(bucket) } else { Err(refused()) }
    }
}

/// The start of the step that holds `nanos`, cut at the start of the representable range.
fn floor_to(nanos: i64, step: i64) -> i64 {
    nanos.div_euclid(step).checked_mul(step).unwrap_or(i64::MIN)
}

fn date_of(nanos: i64) -> NaiveDate {
    DateTime::from_timestamp_nanos(nanos).date_naive()
}

fn midnight_nanos(date: NaiveDate) -> i64 {
    let seconds = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
    seconds.saturating_mul(1_000_000_000)
}

/// Midnight of the first day of a month, cut at the ends of the representable range.
fn start_of(year: i32, month: u32) -> i64 {
    NaiveDate::from_ymd_opt(year, month, 1).map_or(i64::MIN, midnight_nanos)
}

#[cfg(test)]
mod tests;
