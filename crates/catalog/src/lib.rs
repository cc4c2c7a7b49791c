//! Which tables, columns and data files exist.
//!
//! [`Catalog`] is the contract; [`MemoryCatalog`], [`EmbeddedCatalog`] and [`RedisCatalog`] keep it, and one suite of
//! scenarios (`conformance`) runs on each. What a commit may do is decided in one place (`judge`) for all
//! of them. The catalog stores words and small records: it never opens a data file, never deletes an
//! object, and never decides what to merge.

mod api;
mod delta;
mod embedded;
mod error;
mod file_set;
mod files;
mod judge;
mod ledger;
mod limits;
mod memory;
mod path;
mod reader;
mod record;
mod redis;

#[cfg(test)]
mod conformance;

pub use api::{
    Catalog, Claim, ClaimRequest, CommitOutcome, Definition, Epochs, Grave, Restore, Snapshot, Standing, TableExport,
    TableState, WriterSession,
};
pub use embedded::EmbeddedCatalog;
pub use error::{Error, Result};
pub use files::Files;
pub use limits::Limits;
pub use memory::MemoryCatalog;
pub use reader::{DirectReader, Freshness, Reader};
pub use redis::{RedisCatalog, RedisOptions};
