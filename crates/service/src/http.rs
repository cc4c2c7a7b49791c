//! HTTP as every process serves it, whatever its routes are.
//!
//! [`serve`] runs a router on a listener with the limits that `axum::serve` lacks; [`shell`] wraps a router
//! with request ids, cross-origin headers, authentication and errors that are always JSON; [`Health`] holds
//! the routes that load balancers and monitors ask. No route that touches data lives here.

mod body;
mod guard;
mod health;
mod listen;
mod metrics;
mod request_id;
mod serve;
mod shell;

pub use body::{BodyIdle, collect_body};
pub use health::{HEALTH_ENDPOINTS, Health};
pub use listen::{listen, local_address};
pub use metrics::HttpMetrics;
pub use request_id::{RequestId, RequestIds};
pub use serve::{ConnectionLimit, ServeOptions, serve};
pub use shell::{Shell, shell};
