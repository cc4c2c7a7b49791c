//! Rows on their way from a request to a file: columns, conformed to a definition, in table order.
//!
//! A [`Draft`] is what a parser makes of a request, in the request's own names and types. [`conform`]
//! is the one place where it meets a definition and becomes a [`Part`], in the table's field ids and
//! types. [`Gather`] puts the rows of many parts into table order, lets the last write win, and hands
//! out record batches. Nothing here does I/O or knows a protocol.

mod column;
mod conform;
mod draft;
mod gather;
pub mod merge;
mod part;
mod schema;

pub use column::{Column, Strings, Values};
pub use conform::{Conformed, Refusal, Resolution, conform, resolve};
pub use draft::{Draft, DraftField, TagPair};
pub use gather::{Gather, GatherOptions};
pub use part::{Part, PartError, PartField, SeriesSet};
pub use schema::{disk_type, field, table_schema};
