//! How much a catalog holds and how long it remembers. Settings are data: every implementation takes the
//! same ones, so that the same request meets the same limit everywhere.

use std::time::Duration;

/// How many outcomes of commits are remembered per writer and table; a writer flushes a table in order, so
/// one would do, and the rest is for attempts that are still on their way.
pub(crate) const OUTCOMES_PER_WRITER: usize = 16;

/// Bounds of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Databases with at least one live table.
    pub databases_max: usize,
    /// Live tables in one database.
    pub tables_per_database_max: usize,
    /// Columns of one table, time included.
    pub columns_max: usize,
    /// How long a request's idempotency key is known after the commit of its rows.
    pub idempotency_window: Duration,
    /// How old the id of an added file may be.
    pub file_age_max: Duration,
    /// How long a removed file's object stays for queries that hold an older snapshot.
    pub grace: Duration,
    /// How long the outcome of a claim's commit is remembered.
    pub outcome_age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            databases_max: 1_000,
            tables_per_database_max: 10_000,
            columns_max: 1_000,
            idempotency_window: Duration::from_secs(10 * 60),
            file_age_max: Duration::from_secs(60 * 60),
            grace: Duration::from_secs(7 * 60),
            outcome_age_max: Duration::from_secs(60 * 60),
        }
    }
}
