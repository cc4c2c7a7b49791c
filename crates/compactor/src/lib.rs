//! The compactor: fewer, larger, colder files.
//!
//! Pure policies say what to merge, to relocate and to expire; workers do it under claims, so that any number of
//! compactors may run. Nothing here decides what a table is or holds rows that are not in files.

mod error;
mod lease;
pub mod merge;
pub mod policy;
mod service;
mod threads;
mod throttle;
mod worker;

pub use error::{Error, Result};
pub use service::{part, run};
