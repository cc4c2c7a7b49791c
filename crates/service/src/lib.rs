//! What every process of GigAPI needs: settings, an HTTP shell, authentication, limits, telemetry and an
//! ordered shutdown.
//!
//! Writer, querier and compactor build on this crate and differ in what they route to. It takes no decision
//! about data: no table, file or query is known here.

mod api_error;
pub mod auth;
mod catalog_status;
mod components;
mod crash;
mod error;
pub mod grpc;
pub mod http;
pub mod process;
mod readiness;
mod scrub;
mod secret;
pub mod settings;
pub mod shutdown;
mod storage_metrics;
pub mod telemetry;
pub mod unflushed;

pub use api_error::{ApiError, Dialect, LINES_MAX, RefusedLine};
pub use auth::Authenticator;
pub use catalog_status::CatalogStatus;
pub use components::{Components, make_folder};
pub use crash::crash_point;
pub use error::{Error, Result};
pub use readiness::{Block, Readiness, Reason};
pub use scrub::scrub_url;
pub use secret::{Fingerprint, REDACTED, Secret};
pub use settings::Settings;
pub use shutdown::{Participant, Phase, Shutdown, Signals};
pub use telemetry::Metrics;
