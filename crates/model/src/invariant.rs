//! The numbered promises of `docs/ARCHITECTURE.md`, and the one macro that checks them.
//!
//! A violated invariant is a defect: debug builds and tests panic, a release build logs what was found
//! and lets the caller refuse the operation. It never repairs anything.

use std::fmt;

/// A promise that holds at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Every row acknowledged at `wal` or above is in exactly one of: live data files, WAL above the watermark.
    I1,
    /// One query reads one catalog version per table.
    I2,
    /// A live data file's object exists and its checksum matches.
    I3,
    /// Merging and relocating preserve the rows.
    I4,
    /// An older fencing token can change nothing.
    I5,
    /// Nothing is deleted that a rebuild of the catalog could choose as live.
    I6,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Evaluates to whether the condition holds; panics in debug builds when it does not.
///
/// ```
/// use gigapi_model::{check_invariant, Invariant};
/// let (lo, watermark) = (8_u64, 7_u64);
/// assert!(check_invariant!(Invariant::I1, lo == watermark + 1, "flush starts at {lo} after {watermark}"));
/// ```
#[macro_export]
macro_rules! check_invariant {
    ($invariant:expr, $condition:expr, $($arg:tt)+) => {{
        let holds: bool = $condition;
        debug_assert!(holds, "{} violated: {}", $invariant, format_args!($($arg)+));
        holds
    }};
}
