//! What is to be done to a table's files: pure, state in, plan out.
//!
//! A plan names files and says what becomes of them; whether that is still right is judged by the catalog when it is
//! done. No clock, no I/O, no memory of earlier plans: a compactor that starts anew plans as one that never stopped.
//! Files that somebody works on, or that are damaged, are left out and stand in the way like any other file.

mod group;
mod join;
mod merge;
mod mixed;
mod moves;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{Bucket, DataFile, FileId, LayerName, Level, Timestamp};

pub(crate) use group::first_inputs;
pub use moves::{Expiry, LayerRule, Move, Moves, moves};

/// A merge takes no more files than this.
pub const INPUTS_MAX: usize = 32;

/// Files of one level that are merged before their time: a bucket that is written to takes as many as one merge can.
const CROWD: usize = INPUTS_MAX;

/// The same for a bucket whose time is over: what lands there is late, and there is no later merge to wait for.
const CROWD_OF_THE_PAST: usize = 4;

/// A bucket is quiet if nothing was written to it for this many times the longest interval.
const QUIET_INTERVALS: u32 = 4;

/// A file that is this many times as large as all that would join it is left alone, so that a trickle of late rows
/// does not rewrite it again and again,
const LARGER: u64 = 8;

/// until the bucket has been quiet this many times as long.
const PATIENCE: u32 = 24;

/// When and how far files of a table are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeSettings {
    /// How long files of levels 1 to 3 wait for others.
    pub intervals: [Duration; 3],
    /// How large a merge of files of levels 1 to 3 gets.
    pub bytes_max: [u64; 3],
}

impl MergeSettings {
    /// Level 1 waits for `interval`, level 2 ten times and level 3 a hundred times as long.
    pub fn new(interval: Duration) -> Self {
        Self {
            intervals: [interval, interval.saturating_mul(10), interval.saturating_mul(100)],
            bytes_max: [100 << 20, 400 << 20, 4000 << 20],
        }
    }

    /// How long nothing is written to a bucket that is quiet.
    pub fn quiet(&self) -> Duration {
        self.intervals[2].saturating_mul(QUIET_INTERVALS)
    }
}

/// A table as a plan sees it.
#[derive(Debug, Clone, Copy)]
pub struct TableState<'a> {
    /// All live files.
    pub files: &'a [Arc<DataFile>],
    /// Files that are not to be touched: claimed or damaged.
    pub held: &'a HashSet<FileId>,
    /// How its files are merged; nothing if they are not.
    pub merging: Option<&'a MergeSettings>,
    /// The shortest time that rows of the table stay anywhere.
    pub ttl_min: Option<Duration>,
}

/// Why files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The oldest has waited for the interval of its level.
    Interval,
    /// There are many.
    Crowd,
    /// Nothing is written to the bucket any more.
    Quiet,
    /// Files of several buckets become one in a longer one.
    Join,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interval => "interval",
            Self::Crowd => "crowd",
            Self::Quiet => "quiet",
            Self::Join => "join",
        })
    }
}

/// Files that become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergePlan {
    /// By ascending sequence, oldest commit first; two at least.
    pub inputs: Vec<Arc<DataFile>>,
    /// Where the output lies.
    pub bucket: Bucket,
    /// The layer of the inputs, and of the output.
    pub layer: LayerName,
    /// The level of the output.
    pub level: Level,
    /// Why.
    pub reason: Reason,
}

impl MergePlan {
    /// Bytes of all inputs.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|file| file.bytes).sum()
    }

    /// Rows of all inputs.
    pub fn rows(&self) -> u64 {
        self.inputs.iter().map(|file| file.rows).sum()
    }
}

/// What is to be merged now, and when to look again if nothing changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// No file is in two of them; the most useful first.
    pub merges: Vec<MergePlan>,
    /// When something more is due, although no file comes or goes until then.
    pub next_due: Option<Timestamp>,
}

impl Plan {
    fn look_again(&mut self, at: Timestamp, now: Timestamp) {
        if at > now {
            self.next_due = Some(self.next_due.map_or(at, |known| known.min(at)));
        }
    }
}

/// The merges of a table.
pub fn plan(state: &TableState<'_>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(settings) = state.merging else { return plan };
    let groups = group::groups(state);
    let mut taken: HashSet<FileId> = HashSet::new();
    join::plan(state, settings, &groups, now, &mut plan, &mut taken);
    for group in &groups {
        merge::plan(settings, group, now, &mut plan, &mut taken);
    }
    mixed::plan(state, settings, &groups, now, &mut plan, &mut taken);
    // What removes most files comes first; among equals the oldest data.
    plan.merges.sort_by_key(|merge| (std::cmp::Reverse(merge.inputs.len()), merge.bucket.start()));
    plan
}

#[cfg(test)]
mod tests;
