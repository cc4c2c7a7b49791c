//! The compactor: fewer, larger, colder files.
//!
//! Pure policies say what to merge, to relocate and to expire; workers do it under claims, so that any number of
//! compactors may run. Nothing here decides what a table is or holds rows that are not in files.

mod caretaker;
mod error;
mod intent;
mod lease;
pub mod merge;
mod metrics;
mod planner;
pub mod policy;
mod program;
mod progress;
mod schedule;
mod service;
mod small_files;
mod threads;
mod throttle;
mod worker;

pub use error::{Error, Result};
pub use intent::Intent;
pub use planner::Scope;
pub use program::main;
pub use schedule::Summary;
pub use service::{beside, dry_run, once, part, run};

/// Every named place at which a test can end the process, for tests that visit them all.
pub const CRASH_POINTS: [&str; 14] = [
    "merge:before-claim",
    "merge:after-claim",
    "merge:after-read",
    "merge:after-verify",
    "merge:before-commit",
    "merge:after-commit",
    "relocate:after-claim",
    "relocate:after-copy",
    "relocate:before-commit",
    "relocate:after-commit",
    "expire:before-commit",
    "expire:after-commit",
    "delete:before-object",
    "delete:before-forget",
];
