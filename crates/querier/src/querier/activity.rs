//! Which queries run, as `system.queries` shows them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{QueryRequest, Shared};
use crate::scan::ReadCounters;
use crate::session::RunningQuery;

impl Shared {
    /// The queries that are known to run while `asking` is planned: itself.
    pub(super) fn running(&self, asking: &QueryRequest, counters: &Arc<ReadCounters>) -> Vec<RunningQuery> {
        vec![RunningQuery {
            id: "this".to_owned(),
            sql: asking.sql.clone(),
            database: asking.database.clone(),
            state: "planning",
            started: self.components.clock.now(),
            elapsed: Duration::ZERO,
            rows: 0,
            bytes: counters.bytes_read.load(Ordering::Relaxed),
        }]
    }
}
