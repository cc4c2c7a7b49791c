//! Getting the catalog back after a loss, what has to be written beforehand so that it can be, and the removal of
//! objects, which must leave it possible.
//!
//! While all is well, [`Checkpointer`] writes each table's state to its layer and [`tombstone`] marks what is
//! dropped; what is set for databases lies there too. At start [`detect`] tells a lost or rolled back catalog from a
//! healthy one, and [`Guardian`] goes on watching; [`rebuild`] then restores it from checkpoints and the footers of
//! data files. What is live is decided by a pure plan ([`plan()`]). [`verify`] compares both sides and changes nothing.
//!
//! Whatever removes data files is here, so that one place knows what a rebuild may need: [`delete_graves`] those
//! that were replaced or dropped, [`sweep`] those that no table ever named. [`Scrubber`] reads what stays and marks
//! what is damaged. When any of it runs is the caller's to decide. Nothing here guesses: what cannot be explained is
//! refused by name, or left where it is.

mod checkpoint;
mod checkpointer;
mod database;
mod definition;
mod delete;
mod detect;
mod epoch;
mod error;
mod graves;
mod guardian;
mod own;
pub mod plan;
mod quarantine;
mod rebuild;
mod removal;
mod scrub;
mod survey;
mod sweep;
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
pub use delete::{DeleteOptions, Deleted, checkpoint_buried, delete_graves};
pub use detect::{CatalogView, Condition, Evidence, LayersView, condition, detect};
pub use epoch::overtaking;
pub use error::{Error, Result};
pub use graves::{deletable_graves, is_deletable};
pub use guardian::{Guardian, Health};
pub use plan::{Found, PlanError, RebuildPlan, Survey, plan};
pub use quarantine::{Mark, Quarantined, quarantine, quarantined, quarantined_files, release};
pub use rebuild::{RebuildReport, rebuild};
pub use removal::{BATCH_OBJECTS_MAX, NO_PROBE, NotRemoved, Probe};
pub use scrub::{Round, ScrubOptions, Scrubbed, Scrubber, next_files};
pub use sweep::{
    Braked, Footer, Gone, Kept, OrphanFacts, OrphanPlan, OrphanPolicy, Stray, SweepOptions, Swept, TableFacts,
    plan_orphans, sweep,
};
pub use tombstone::{finish_drops, tombstone, tombstone_done, tombstones};
pub use verify::{Finding, Severity, Verified, VerifyOptions, verify};
