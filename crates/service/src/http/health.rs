//! What load balancers, monitors and clients on their way in ask: `/ping`, `/health`, `/ready`, `/metrics`.
//!
//! `/health` says that the process runs, in the words of the original; `/ready` says whether to send traffic.
//! Neither touches catalog or layers, so an outage of those does not make an orchestrator kill the process.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use gigapi_model::{Clock, Timestamp};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::readiness::{Readiness, Reason};
use crate::shutdown::Shutdown;
use crate::telemetry::{COMMIT, Metrics, VERSION};

const X_INFLUXDB_VERSION: HeaderName = HeaderName::from_static("x-influxdb-version");
const X_INFLUXDB_BUILD: HeaderName = HeaderName::from_static("x-influxdb-build");
/// Clients look for "cloud" in the build and switch their code paths on it; this is the word for the others.
const BUILD: HeaderValue = HeaderValue::from_static("OSS");

/// The routes of [`Health::router`], for [`super::Shell::endpoints`].
pub const HEALTH_ENDPOINTS: &[&str] = &["GET /ping", "GET /health", "GET /ready", "GET /metrics"];

const OPEN_PATHS: &[&str] = &["/ping", "/health", "/api/v1/health", "/livez", "/ready", "/readyz"];

/// Whether a path is answered without credentials.
pub(crate) fn needs_no_credentials(path: &str) -> bool {
    OPEN_PATHS.contains(&path)
}

/// What the health routes report.
#[derive(Debug, Clone)]
pub struct Health {
    readiness: Readiness,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    started: Timestamp,
    shutdown: Option<Shutdown>,
}

impl Health {
    /// Reports on this process, which counts as started now.
    pub fn new(readiness: Readiness, metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        let started = clock.now();
        Self { readiness, metrics, clock, started, shutdown: None }
    }

    /// Not ready from the beginning of `shutdown` on.
    #[must_use]
    pub fn until(mut self, shutdown: &Shutdown) -> Self {
        self.shutdown = Some(shutdown.clone());
        self
    }

    /// Why the process should get no traffic; draining outweighs everything else.
    fn reasons(&self) -> Vec<Reason> {
        let mut reasons = self.readiness.reasons();
        if self.shutdown.as_ref().is_some_and(Shutdown::has_begun) {
            let message = "the process is stopping; use another one".to_owned();
            reasons.insert(0, Reason { state: "draining", message });
        }
        reasons
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/ping", get(ping).post(ping))
            .route("/health", get(health))
            .route("/api/v1/health", get(health))
            .route("/livez", get(health))
            .route("/ready", get(ready))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }
}

async fn ping(RawQuery(query): RawQuery) -> Response {
    let wants_body = query.is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(key, value)| key == "verbose" && value != "false")
    });
    let mut response = if wants_body {
        json(StatusCode::OK, &Ping { version: VERSION })
    } else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    };
    let headers = response.headers_mut();
    headers.insert(X_INFLUXDB_VERSION, HeaderValue::from_static(VERSION));
    headers.insert(X_INFLUXDB_BUILD, BUILD);
    response
}

#[derive(Serialize)]
struct Ping {
    version: &'static str,
}

#[derive(Serialize)]
struct HealthReport {
    checks: [(); 0],
    commit: &'static str,
    message: &'static str,
    name: &'static str,
    status: &'static str,
    version: &'static str,
}

async fn health() -> Response {
    let report = HealthReport {
        checks: [],
        commit: COMMIT,
        message: "Service is healthy",
        name: "GigAPI",
        status: "pass",
        version: VERSION,
    };
    json(StatusCode::OK, &report)
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    started: String,
    /// Seconds, as InfluxDB writes durations.
    up: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let reasons = health.reasons();
    let up = health.clock.now().since(health.started);
    let report = Ready {
        status: reasons.first().map_or("ready", |reason| reason.state),
        started: health.started.to_string(),
        up: format!("{}s", up.as_secs()),
        reasons,
    };
    if report.reasons.is_empty() {
        return json(StatusCode::OK, &report);
    }
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &report);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let mut response = Response::new(Body::from(health.metrics.encode()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    response
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut body = serde_json::to_vec(value).expect("structs of texts and numbers always serialize");
    body.push(b'\n');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
