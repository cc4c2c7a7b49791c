//! What every process of GigAPI needs: settings, an HTTP shell, authentication, limits, telemetry and an
//! ordered shutdown.
//!
//! Writer, querier and compactor build on this crate and differ in what they route to. It takes no decision
//! about data: no table, file or query is known here.

mod error;
mod secret;
pub mod settings;

pub use error::{Error, Result};
pub use secret::{Fingerprint, REDACTED, Secret, scrub_url};
