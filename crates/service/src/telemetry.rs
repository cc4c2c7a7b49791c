//! What the process tells about itself: log lines and metrics.
//!
//! Logs go to standard error, so that standard output stays for results. Metrics are registered by the part
//! that counts them, under the prefix `gigapi_`, and rendered on demand; nothing is pushed anywhere.

mod process;

use std::io::IsTerminal;
use std::sync::Arc;

use gigapi_model::Clock;
use parking_lot::Mutex;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{LogFormat, LogSettings};
use crate::{Error, Result};
pub use process::raise_open_files_limit;

/// This build's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit this was built from, as the build was told by `GIGAPI_COMMIT`.
pub const COMMIT: &str = match option_env!("GIGAPI_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Histogram bounds for how long requests and steps take: 0.1 ms to 60 s.
pub const LATENCY_SECONDS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Starts logging for the whole process; once per process.
pub fn start_logging(settings: &LogSettings) -> Result<()> {
    let logging = |reason: String| Error::Logging { reason };
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| logging(error.to_string()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for people; a file or a collector gets plain text.
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let started = match settings.format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(|error| logging(error.to_string()))
}

/// All metrics of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// With the build and the process's own figures registered.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", VERSION), ("commit", COMMIT)]);
        registry.register("gigapi_build", "What is running", build);
        registry.register_collector(Box::new(process::ProcessCollector::new(clock)));
        Self(Arc::new(Mutex::new(registry)))
    }

    /// Lets a part register its families; names get the prefix `gigapi_`. Each part registers once.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(self.0.lock().sub_registry_with_prefix("gigapi"))
    }

    /// All metrics as OpenMetrics text, which Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing to a string fails only if a family's own encoding does; what was written before it is kept.
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.0.lock()) {
            tracing::error!(%error, "metrics cannot be rendered completely");
        }
        text
    }
}

#[cfg(test)]
mod tests;
