//! Processor time by stage of a row's way, so that an operator sees what a core does.
//!
//! Measured by each thread's own processor clock: waiting for a disk or for a busy core does not count. Two
//! readings take under a microsecond. Stages that switch threads or wait in between cannot be measured so: only
//! plain functions are.

use std::sync::atomic::AtomicU64;

use cpu_time::ThreadTime;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// What a core did for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Line protocol into columns.
    Parse,
    /// Columns into the table's terms, and the record for the log.
    Conform,
    /// Into buckets, sorted, the last write kept.
    Sort,
    /// Columns into Parquet.
    Encode,
}

impl EncodeLabelValue for Work {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        let word = match self {
            Self::Parse => "parse",
            Self::Conform => "conform",
            Self::Sort => "sort",
            Self::Encode => "encode",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct WorkLabel {
    work: Work,
}

/// Processor seconds by work; clones share their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuSeconds {
    pub(crate) family: Family<WorkLabel, Counter<f64, AtomicU64>>,
}

impl CpuSeconds {
    /// Does the work and counts what it took.
    pub(crate) fn of<T>(&self, work: Work, done: impl FnOnce() -> T) -> T {
        let Ok(started) = ThreadTime::try_now() else { return done() };
        let result = done();
        if let Ok(taken) = started.try_elapsed() {
            self.family.get_or_create(&WorkLabel { work }).inc_by(taken.as_secs_f64());
        }
        result
    }
}
