//! What the HTTP server counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::telemetry::{LATENCY_SECONDS, Metrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u16,
}

/// Counters of all listeners of a process. Registered once; clones share the numbers.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Family<Status, Counter>,
    seconds: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) panics: Counter,
}

impl HttpMetrics {
    /// Registers the counters as `gigapi_http_…`.
    pub fn register(metrics: &Metrics) -> Self {
        let this = Self {
            requests: Family::default(),
            seconds: Histogram::new(LATENCY_SECONDS),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            panics: Counter::default(),
        };
        metrics.register(|registry| {
            registry.register("http_requests", "Requests answered, by status", this.requests.clone());
            let help = "From a request's head to the head of its answer";
            registry.register_with_unit("http_request_duration", help, Unit::Seconds, this.seconds.clone());
            registry.register("http_requests_in_flight", "Requests being answered", this.in_flight.clone());
            registry.register("http_connections", "Open connections", this.connections.clone());
            let help = "Connections refused because too many were open";
            registry.register("http_connections_refused", help, this.connections_refused.clone());
            registry.register("http_panics", "Requests that ended in a defect of the server", this.panics.clone());
        });
        this
    }

    pub(crate) fn answered(&self, status: u16, seconds: f64) {
        self.requests.get_or_create(&Status { status }).inc();
        self.seconds.observe(seconds);
    }
}
