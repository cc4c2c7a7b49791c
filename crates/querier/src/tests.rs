//! Whole queries over a catalog in memory, or one in Redis where that is the point, and files as a writer makes them.

mod catalog_names;
mod dialect;
mod files;
mod limits;
mod redis;
mod sandbox;
mod time;
mod unflushed;
pub(crate) mod world;
