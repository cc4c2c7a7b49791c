//! What tests and benchmarks share: real server processes on free ports, and a client for them.
//!
//! Servers are stopped by their process id when their handle goes. A missing binary is an error, never a
//! reason to skip.

mod client;
mod redis;
mod server;

pub use client::{Answer, Client};
pub use redis::Redis;
pub use server::{Server, ServerOptions, binary};
