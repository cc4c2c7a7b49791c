//! `/api/v3/queries`: the queries that run, and how to end one.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use gigapi_model::ErrorKind;
use gigapi_service::http::RequestId;
use gigapi_service::{ApiError, Dialect};
use http::StatusCode;
use serde_json::{Value, json};

use super::answered;
use crate::{Querier, QueryId, QueryStatus};

pub(super) async fn list(State(querier): State<Querier>) -> Response {
    let all: Vec<Value> = querier.running().iter().map(told).collect();
    axum::Json(json!({ "queries": all })).into_response()
}

pub(super) async fn show(State(querier): State<Querier>, request: RequestId, Path(id): Path<String>) -> Response {
    let found = named(&id).and_then(|id| querier.status(id).ok_or_else(|| unknown(id)));
    answered(found.map(|status| axum::Json(told(&status)).into_response()), Dialect::V3, &request)
}

pub(super) async fn cancel(State(querier): State<Querier>, request: RequestId, Path(id): Path<String>) -> Response {
    let cancelled = named(&id).and_then(|id| querier.cancel(id).then_some(()).ok_or_else(|| unknown(id)));
    answered(cancelled.map(|()| StatusCode::NO_CONTENT.into_response()), Dialect::V3, &request)
}

fn named(id: &str) -> Result<QueryId, ApiError> {
    Ok(id.parse()?)
}

fn unknown(id: QueryId) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("no query {id} runs in this process; it may have ended"))
}

fn told(status: &QueryStatus) -> Value {
    let QueryStatus { id, sql, database, started_at, state, times, figures } = status;
    json!({
        "id": id.to_string(),
        "database": database,
        "query": sql,
        "started_at": started_at.to_string(),
        "state": state.as_str(),
        "elapsed_s": times.elapsed.as_secs_f64(),
        "files_planned": figures.files_planned,
        "files_pruned": figures.files_pruned,
        "files_opened": figures.files_opened,
        "rows_scanned": figures.rows_scanned,
        "bytes_scanned": figures.bytes_scanned,
        "bytes_from_cache": figures.bytes_from_cache,
        "rows_returned": figures.rows_returned,
        "memory_bytes": figures.memory_bytes,
    })
}
