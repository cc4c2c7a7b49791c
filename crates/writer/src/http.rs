//! The write endpoints: parameters in, 204 or an error in the client's dialect out. What an operator asks for is next
//! door (`configure`).
//!
//! One handler serves every route, because clients mix them freely; only the dialect of the answer and the
//! default precision follow the path. Success is exactly 204 without a body: widespread clients take any
//! other 2xx for a failure and send again.

mod configure;
mod decode;
mod params;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use futures::StreamExt;
use gigapi_model::ErrorKind;
use gigapi_service::http::{RequestId, collect_body};
use gigapi_service::{ApiError, Dialect, RefusedLine};
use http::StatusCode;
use tokio::time::Instant;

use crate::admin::Admin;
use crate::ingest::{Ingest, Outcome, WriteError, WriteRequest};
use crate::metrics::{Cause, CauseLabel, Metrics};
use params::Params;

/// The endpoints of a writer, for answers that say what there is.
pub const WRITE_ENDPOINTS: &[&str] = &[
    "POST /write",
    "POST /api/v2/write",
    "POST /api/v3/write_lp",
    "POST /gigapi/write",
    "POST /gigapi/write/{db}",
    "POST /gigapi/insert",
    "POST /{db}/write",
    "GET|POST|PUT|DELETE /api/v3/configure/database",
    "GET|PUT|DELETE /api/v3/configure/table",
];

#[derive(Debug)]
struct Shared {
    ingest: Arc<Ingest>,
    metrics: Metrics,
}

pub(crate) fn routes(ingest: Arc<Ingest>, metrics: Metrics, admin: Arc<Admin>) -> Router {
    let shared = Arc::new(Shared { ingest, metrics });
    Router::new()
        .route("/write", post(write))
        .route("/api/v2/write", post(write))
        .route("/api/v3/write_lp", post(write))
        .route("/gigapi/write", post(write))
        .route("/gigapi/insert", post(write))
        .route("/gigapi/write/{db}", post(write_to))
        .route("/{db}/write", post(write_to))
        .with_state(shared)
        .merge(configure::routes(admin))
}

async fn write(State(shared): State<Arc<Shared>>, id: Option<Extension<RequestId>>, request: Request) -> Response {
    answer(&shared, id, None, request).await
}

async fn write_to(
    State(shared): State<Arc<Shared>>,
    Path(database): Path<String>,
    id: Option<Extension<RequestId>>,
    request: Request,
) -> Response {
    answer(&shared, id, Some(database), request).await
}

async fn answer(
    shared: &Shared,
    id: Option<Extension<RequestId>>,
    database: Option<String>,
    request: Request,
) -> Response {
    let dialect = Dialect::of_path(request.uri().path());
    let id = id.map_or_else(RequestId::unknown, |Extension(id)| id);
    match take(shared, dialect, database, request).await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(error) => error.response(dialect, &id),
    }
}

async fn take(shared: &Shared, dialect: Dialect, database: Option<String>, request: Request) -> Result<(), ApiError> {
    let rejected = |error: &ApiError| {
        let cause = match error.kind() {
            ErrorKind::Busy => Cause::Busy,
            ErrorKind::Unavailable => Cause::Unavailable,
            _ => Cause::Invalid,
        };
        shared.metrics.requests_rejected.get_or_create(&CauseLabel { cause }).inc();
    };
    // Limits on load are asked first: a request that cannot be stored costs no parsing.
    let read = match shared.ingest.until_admitted().await {
        Ok(()) => read(shared, dialect, database, request).await,
        Err(error) => {
            discard(request.into_body(), shared.ingest.options.limits.body_bytes_max).await;
            Err(api_error(&error, dialect))
        }
    };
    let (request, accept_partial) = read.inspect_err(rejected)?;
    let started = Instant::now();
    let bytes = request.body.len() as u64;
    let outcome = shared.ingest.write(request).await;
    shared.metrics.write_seconds.observe(started.elapsed().as_secs_f64());
    if !outcome.as_ref().is_ok_and(|outcome| outcome.accepted > 0 || outcome.refused_count == 0) {
        shared.metrics.bytes_rejected.inc_by(bytes);
    }
    let outcome = outcome.map_err(|error| api_error(&error, dialect)).inspect_err(rejected)?;
    shared.metrics.rows_accepted.inc_by(outcome.accepted);
    shared.metrics.rows_rejected.inc_by(outcome.refused_count);
    if outcome.accepted > 0 {
        shared.metrics.bytes_accepted.inc_by(bytes);
    }
    if outcome.refused_count == 0 {
        return Ok(());
    }
    let error = refused_lines(outcome, accept_partial, dialect);
    rejected(&error);
    Err(error)
}

/// Reads a refused request's body and forgets it: a connection that closes on a client that still sends breaks before
/// the client has read why.
async fn discard(body: Body, bytes_max: usize) {
    let mut pieces = body.into_data_stream();
    let mut left = bytes_max;
    while let Some(Ok(piece)) = pieces.next().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

/// Reads parameters and body.
async fn read(
    shared: &Shared,
    dialect: Dialect,
    database: Option<String>,
    request: Request,
) -> Result<(WriteRequest, bool), ApiError> {
    let limits = &shared.ingest.options.limits;
    let (parts, body) = request.into_parts();
    let params = Params::read(dialect, database, parts.uri.query().unwrap_or_default(), &parts.headers)?;
    let encoding = decode::Encoding::of(&parts.headers)?;
    let body = collect_body(body, limits.body_bytes_max).await?;
    let body = decode::decode(body, encoding, limits.decompressed_bytes_max).await?;
    let accept_partial = params.accept_partial;
    Ok((params.into_request(body), accept_partial))
}

/// A request of which nothing was stored.
fn api_error(error: &WriteError, dialect: Dialect) -> ApiError {
    match &error.refused {
        Some(outcome) => refused_lines(outcome.clone(), false, dialect),
        None => ApiError::new(error.kind, error.message.clone()),
    }
}

/// Some lines, or all, were refused. Clients look for exactly these phrases.
fn refused_lines(outcome: Outcome, accept_partial: bool, dialect: Dialect) -> ApiError {
    let listed = describe(&outcome.refused);
    let message = match (dialect, accept_partial) {
        (Dialect::V3, true) => "partial write of line protocol occurred".to_owned(),
        (Dialect::V3, false) => format!("parsing failed for write_lp endpoint: {listed}"),
        (Dialect::V1 | Dialect::V2, true) => format!("partial write: {listed} dropped={}", outcome.refused_count),
        (Dialect::V1 | Dialect::V2, false) => format!("unable to parse: {listed}; nothing of the request was stored"),
    };
    ApiError::invalid(message).with_lines(outcome.refused)
}

fn describe(lines: &[RefusedLine]) -> String {
    let each: Vec<_> = lines.iter().map(|line| format!("line {}: {}", line.line_number, line.error_message)).collect();
    each.join("; ")
}
