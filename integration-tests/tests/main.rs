//! Real processes, real files.
//!
//! - `architecture`: crates depend on each other as `docs/ARCHITECTURE.md` says; files and functions stay short
//! - `writing`: what clients send, and what they are answered
//! - `reading`: SQL over unflushed rows and files; the sandbox
//! - `heavy`: queries that take much, beside writes
//! - `hostile`: names, sizes and bodies that must do no harm
//! - `disks`: full disks, full buffers
//! - `restart`: SIGTERM, kill -9 at named places and at random with a ledger, lost segments, second process
//! - `dropping`: tables and databases that end, and what is set for them
//! - `recovering`: a catalog that is gone or old, data that is not ours, documents that a dead process left behind
//! - `compaction`: files that merge, move and end
//! - `shared`: several processes around one catalog in Redis
//! - `tail`: unflushed rows of other processes
//! - `outage`: Redis, S3, networks and processes that fail while rows come in; repair by hand
//! - `real_input`: public data, answers compared with another engine
//! - `clients`: real clients on one port, and the requests of those that cannot be installed
//! - `command_line`: the verbs of the binary
//! - `deploy`: images, compose and Kubernetes manifests, linted and compared with the program
//! - `harness`: what all of these stand on

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod clients;
mod command_line;
mod compaction;
mod deploy;
mod disks;
mod dropping;
mod harness;
mod heavy;
mod hostile;
mod outage;
mod reading;
mod real_input;
mod recovering;
mod restart;
mod shared;
mod tail;
mod writing;
