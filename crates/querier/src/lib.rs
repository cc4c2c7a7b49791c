//! Reads: SQL over data files and unflushed rows.
//!
//! The only crate that knows the query engine. A query takes one view of each table it names, plans over an explicit list of
//! files, and streams its answer. It never writes, never lists a store, and holds nothing between requests but
//! caches of what cannot change.

mod dialect;
mod encode;
mod error;
mod flight;
mod http;
mod metrics;
mod parameters;
mod querier;
mod scan;
mod series;
mod service;
mod session;
mod settings;
mod unflushed;
mod view;

pub use error::{Error, Result};
pub use http::{QUERY_ENDPOINTS, routes};
pub use querier::{
    Answer, Habits, Querier, QuerierComponents, QueryFigures, QueryId, QueryProgress, QueryRequest, QueryState,
    QueryStatus, QueryTimes,
};
pub use service::{alone, part, run};
pub use settings::QueryOptions;
pub use unflushed::{Produce, RowsWanted, Unflushed, UnflushedError, UnflushedPart, UnflushedView};

#[cfg(test)]
mod tests;
