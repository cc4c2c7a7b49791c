//! `/api/v3/query_sql`: InfluxDB 3's endpoint.

use axum::extract::{Request, State};
use axum::response::Response;
use datafusion::common::ParamValues;
use gigapi_model::{DatabaseName, ErrorKind};
use gigapi_service::http::RequestId;
use gigapi_service::{ApiError, Dialect};

use super::{Asked, Payload, answered, body};
use crate::encode::{Format, JsonShape, JsonStyle, TimeStyle};
use crate::querier::Presence;
use crate::{Habits, Querier, QueryRequest, parameters};

pub(super) async fn query_sql(State(querier): State<Querier>, id: RequestId, request: Request) -> Response {
    answered(answer(&querier, request).await, Dialect::V3, &id)
}

async fn answer(querier: &Querier, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::read(querier, request).await?;
    let Some(database) = asked.text("db") else {
        return Err(ApiError::invalid("the parameter db is missing; name the database"));
    };
    if !asked.has("q") {
        return Err(ApiError::invalid("the parameter q is missing; it holds the statement"));
    }
    let format = format(asked.text("format"), asked.accept.as_deref())?;
    exists(querier, database).await?;
    let request = QueryRequest {
        id: asked.id,
        sql: asked.text("q").unwrap_or_default().to_owned(),
        database: database.to_owned(),
        show_virtual: asked.is_true("hive"),
        habits: Habits::Engine,
        parameters: values(&asked)?,
        consistency: asked.consistency()?,
    };
    let sending = asked.sending(format)?;
    let rows = querier.query(request).await?;
    body::respond(querier, rows, sending).await
}

async fn exists(querier: &Querier, database: &str) -> Result<(), ApiError> {
    let missing =
        || Err(ApiError::new(ErrorKind::NotFound, format!("database {database:?} does not exist; write to it first")));
    if DatabaseName::new(database).is_err() {
        return missing();
    }
    match querier.has_database(|known| known.eq_ignore_ascii_case(database)).await? {
        Presence::There => Ok(()),
        Presence::Missing => missing(),
        Presence::Unheard => Err(ApiError::new(
            ErrorKind::Unavailable,
            format!("database {database:?} is not known here, and the catalog cannot be asked for it; retry"),
        )),
    }
}

fn format(name: Option<&str>, accept: Option<&str>) -> Result<Format, ApiError> {
    let json = |shape, content_type| {
        let time = TimeStyle::NoZone;
        Format::Json(JsonStyle { shape, quoted_integers: false, time, nulls: false, content_type })
    };
    let accepted = || match accept.unwrap_or_default().split([',', ';']).next().unwrap_or_default().trim() {
        "application/vnd.apache.parquet" => "parquet",
        "application/vnd.apache.arrow.stream" => "arrow",
        "application/jsonl" | "application/x-ndjson" => "jsonl",
        "text/csv" => "csv",
        "text/plain" => "pretty",
        _ => "json",
    };
    Ok(match name.unwrap_or_else(accepted) {
        "json" => json(JsonShape::Array, "application/json"),
        "jsonl" | "json_lines" | "ndjson" => json(JsonShape::Lines, "application/jsonl"),
        "csv" => Format::Csv,
        "pretty" => Format::Pretty,
        "parquet" => Format::Parquet,
        "arrow" => Format::Arrow,
        other => {
            let formats = "use json, jsonl, csv, pretty, parquet or arrow";
            return Err(ApiError::invalid(format!("format {other:?} is unknown; {formats}")));
        }
    })
}

/// The values of `$name` and `$1` placeholders: an object or a list in a JSON body, its text in a URL or a form.
pub(super) fn values(asked: &Asked) -> Result<Option<ParamValues>, ApiError> {
    let values = match (&asked.body, asked.text("params")) {
        (_, Some(text)) => {
            serde_json::from_str(text).map_err(|error| ApiError::invalid(format!("params is not JSON: {error}")))?
        }
        (Payload::Json(body), None) => body.get("params").cloned().unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    Ok(parameters::from_json(values)?)
}
