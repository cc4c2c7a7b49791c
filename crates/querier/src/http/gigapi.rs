//! `/query`: GigAPI's endpoint, and InfluxDB 1's statements that must not fail.

use axum::extract::{Request, State};
use axum::response::Response;
use gigapi_service::http::RequestId;
use gigapi_service::{ApiError, Dialect};
use http::header::{CONTENT_TYPE, HeaderValue};

use super::{Asked, answered, body, influxql};
use crate::encode::{Format, JsonShape, JsonStyle, TimeStyle};
use crate::{Habits, Querier, QueryRequest};

pub(super) async fn query(State(querier): State<Querier>, id: RequestId, request: Request) -> Response {
    answered(answer(&querier, request).await, Dialect::V1, &id)
}

async fn answer(querier: &Querier, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::read(querier, request).await?;
    if asked.has("q") && !asked.has("query") {
        let answer = influxql::answer(querier, asked.text("q").unwrap_or_default(), asked.text("db")).await?;
        let mut response = Response::new(axum::body::Body::from(format!("{answer}\n")));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    }
    if !asked.has("query") {
        return Err(ApiError::invalid(
            "there is no statement; send {\"query\": \"SELECT …\"} as JSON, or a form with query=",
        ));
    }
    let format = format(asked.text("format").unwrap_or("json"))?;
    let request = QueryRequest {
        id: asked.id,
        sql: asked.text("query").unwrap_or_default().to_owned(),
        database: querier.database(asked.text("db")).await?,
        show_virtual: asked.is_true("hive"),
        habits: Habits::DuckDb,
        parameters: super::v3::values(&asked)?,
        consistency: asked.consistency()?,
    };
    let sending = asked.sending(format)?;
    let rows = querier.query(request).await?;
    body::respond(querier, rows, sending).await
}

fn format(name: &str) -> Result<Format, ApiError> {
    let json = |shape, content_type| {
        let time = TimeStyle::Rfc3339;
        Format::Json(JsonStyle { shape, quoted_integers: true, time, nulls: true, content_type })
    };
    Ok(match name {
        "json" => json(JsonShape::Results, "application/json"),
        "ndjson" | "jsonl" => json(JsonShape::Lines, "application/x-ndjson"),
        "csv" => Format::Csv,
        "pretty" => Format::Pretty,
        "parquet" => Format::Parquet,
        "arrow" => Format::Arrow,
        other => {
            return Err(ApiError::invalid(format!(
                "format {other:?} is unknown; use json, ndjson, csv, parquet or arrow"
            )));
        }
    })
}
