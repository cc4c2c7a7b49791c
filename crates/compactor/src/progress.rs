//! How far merges under way have come: told in metrics as they go, and in the log while one takes long.
//!
//! A merge of gigabytes takes minutes. Without this it looks as if nothing happened until its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, MissedTickBehavior};

/// A merge that takes this long says so, and says so again.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// All merges of a process together; clones share their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay {
    /// Rows that they have to take in.
    pub(crate) rows: Gauge,
    /// Rows that they have taken in.
    pub(crate) rows_done: Gauge,
}

/// One merge.
#[derive(Debug)]
pub(crate) struct Progress {
    rows: u64,
    done: AtomicU64,
    all: UnderWay,
}

impl Progress {
    pub(crate) fn new(rows: u64, all: &UnderWay) -> Self {
        all.rows.inc_by(as_gauge(rows));
        Self { rows, done: AtomicU64::new(0), all: all.clone() }
    }

    /// So many rows more were taken in.
    pub(crate) fn add(&self, rows: u64) {
        self.done.fetch_add(rows, Ordering::Relaxed);
        self.all.rows_done.inc_by(as_gauge(rows));
    }

    /// Waits for the work; what it takes long for is told by `tell`, with rows done and rows in all.
    pub(crate) async fn watch<T>(&self, work: impl Future<Output = T>, tell: impl Fn(u64, u64)) -> T {
        let mut ticks = tokio::time::interval_at(Instant::now() + LONG, LONG);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => tell(self.done.load(Ordering::Relaxed), self.rows),
            }
        }
    }
}

/// What it stood for is over, however it ended.
impl Drop for Progress {
    fn drop(&mut self) {
        self.all.rows.dec_by(as_gauge(self.rows));
        self.all.rows_done.dec_by(as_gauge(self.done.load(Ordering::Relaxed)));
    }
}

fn as_gauge(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
