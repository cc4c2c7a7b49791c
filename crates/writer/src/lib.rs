//! Points in, files out: the write path of GigAPI.
//!
//! ```text
//! HTTP ─▶ line_protocol ─▶ conform (rows) ─▶ wal ─▶ buffer ─▶ flush ─▶ layer + catalog
//!            drafts           parts          synced   visible    Parquet   committed
//! ```
//!
//! A request is acknowledged when its rows are on the disk of the write-ahead log; a flush later moves them
//! into files. The crate serves writes only: it offers its unflushed rows to whoever queries, and knows
//! neither SQL nor any querier.

mod admin;
mod buffer;
#[cfg(feature = "test-util")]
mod by_hand;
mod cpu;
mod crash;
mod definitions;
mod flight;
mod flush;
mod http;
mod idempotency;
mod ingest;
pub mod line_protocol;
mod metrics;
mod open;
mod publish;
mod service;
mod tables;
mod unflushed;
pub mod wal;
#[cfg(test)]
mod world;

pub use buffer::{Buffer, View, ViewChunk};
pub use crash::CRASH_POINTS;
pub use http::WRITE_ENDPOINTS;
pub use idempotency::KEY_BYTES_MAX;
pub use ingest::{Outcome, WriteError, WriteRequest};
pub use open::{OpenError, Writer, WriterComponents, WriterOptions};
pub use service::{WriterPart, part, run};
pub use unflushed::unflushed_batch;
