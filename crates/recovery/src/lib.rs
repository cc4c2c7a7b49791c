//! Getting the catalog back after a loss, and what has to be written beforehand so that it can be.
//!
//! While all is well, [`Checkpointer`] writes each table's state to its layer and [`tombstone`] marks what is
//! dropped; what is set for databases lies there too. At start [`detect`] tells a lost or rolled back catalog from a healthy one, and [`Guardian`] goes on
//! watching; [`rebuild`] then restores it from checkpoints and the footers of data files. What is live is decided by
//! a pure plan ([`plan()`]). [`verify`] compares both sides and changes nothing. Nothing here deletes a data file, and
//! nothing here guesses: what cannot be explained is refused by name.

mod checkpoint;
mod checkpointer;
mod database;
mod definition;
mod detect;
mod epoch;
mod error;
mod graves;
mod guardian;
mod own;
pub mod plan;
mod rebuild;
mod survey;
mod tombstone;
mod verify;

#[cfg(test)]
mod testing;

pub use checkpoint::{CHECKPOINTS_KEPT, CheckpointName, newest_checkpoints, read_checkpoint, write_checkpoints};
pub use checkpointer::{Checkpointer, Policy, Written, due};
pub use database::{
    DatabaseSettings, database_settings, read_database_settings, remove_database_settings, write_database_settings,
};
pub use definition::{DefinitionName, definition_names, remove_definition, write_definition};
pub use detect::{CatalogView, Condition, Evidence, LayersView, condition, detect};
pub use epoch::overtaking;
pub use error::{Error, Result};
pub use graves::{deletable_graves, is_deletable};
pub use guardian::{Guardian, Health};
pub use plan::{Found, PlanError, RebuildPlan, Survey, plan};
pub use rebuild::{RebuildReport, rebuild};
pub use tombstone::{finish_drops, tombstone, tombstone_done, tombstones};
pub use verify::{Finding, Severity, Verified, VerifyOptions, verify};
