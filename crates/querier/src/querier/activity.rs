//! Which queries run, as `system.queries` shows them.

use super::{QueryStatus, Shared};
use crate::session::RunningQuery;

impl Shared {
    /// The queries that run, the one that asks among them.
    pub(super) fn listed(&self) -> Vec<RunningQuery> {
        let shown = |status: QueryStatus| RunningQuery {
            id: status.id.to_string(),
            sql: status.sql,
            database: status.database,
            state: status.state.as_str(),
            started: status.started_at,
            elapsed: status.times.elapsed,
            rows: status.figures.rows_returned,
            bytes: status.figures.bytes_scanned,
        };
        self.running.all().into_iter().map(shown).collect()
    }
}
