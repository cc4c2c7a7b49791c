//! Whole queries over a catalog in memory and files as a writer makes them.

mod catalog_names;
mod dialect;
mod files;
mod limits;
mod sandbox;
mod time;
mod unflushed;
pub(crate) mod world;
