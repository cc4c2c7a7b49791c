//! From the buffer to committed files.
//!
//! ```text
//! freeze → gather and encode, one file per bucket → upload under fresh ids → commit → release → unlink
//! ```
//!
//! A table's interval starts where its last one ended, so a repeated or lost commit can be told from a new
//! one by the watermark alone. Whatever fails, the rows stay in the log and in the buffer and the next
//! round tries again: an interval that was uploaded keeps its files and its commit id until the catalog
//! has given a final answer, because the lost answer may have been "done". This module never deletes a
//! file: after a commit was sent, only the sweep may.

mod encode;
mod run;
mod upload;

pub(crate) use run::{Flusher, FlusherParts, Session};

#[cfg(test)]
mod tests;
