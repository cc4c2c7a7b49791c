//! Whole queries over a catalog in memory, or one in Redis where that is the point, and files as a writer makes them.

mod arithmetic;
mod catalog_names;
mod deep;
mod dialect;
mod documented;
mod files;
mod functions;
mod limits;
mod redis;
mod running;
mod sandbox;
mod statements;
mod system;
mod time;
mod unflushed;
pub(crate) mod world;
