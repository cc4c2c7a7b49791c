//! Queries over HTTP: which routes there are and whose habits each follows.
//!
//! `/query` speaks GigAPI's JSON, `/api/v3/query_sql` speaks InfluxDB 3's. Both stream. The status is sent when the
//! first rows are there, so what fails early is an error with a status; what fails later breaks the body off, and is
//! never a short answer that looks whole. A client of HTTP/1.0 cannot tell the two apart and gets its answer in one.

mod body;
mod gigapi;
mod influxql;
mod queries;
mod telling;
mod v3;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use gigapi_model::ErrorKind;
use gigapi_service::http::{RequestId, collect_body};
use gigapi_service::settings::{Consistency, UnknownWord};
use gigapi_service::{ApiError, Dialect};
use http::header::CONTENT_TYPE;

use crate::encode::Format;
use crate::{Error, Querier, QueryId};

/// The routes that read, as they are shown to whoever asks for something else.
pub const QUERY_ENDPOINTS: [&str; 4] =
    ["POST /query", "GET /query", "POST /api/v3/query_sql", "DELETE /api/v3/queries/{id}"];

/// The routes that read, Arrow Flight's among them.
pub fn routes(querier: Querier) -> Router {
    let flight = crate::flight::routes(querier.clone());
    Router::new()
        .route("/query", get(gigapi::query).post(gigapi::query))
        .route("/api/v3/query_sql", get(v3::query_sql).post(v3::query_sql))
        .route("/api/v3/queries", get(queries::list))
        .route("/api/v3/queries/{id}", get(queries::show).delete(queries::cancel))
        .with_state(querier)
        .merge(flight)
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        // What the catalog's store said is for the log.
        let error = match error {
            Error::Catalog(error) if error.kind() == ErrorKind::Unavailable => return error.into(),
            other => other,
        };
        // Clients of all endpoints know a statement that names nothing as a bad statement.
        let kind = match (&error, error.kind()) {
            (Error::Cancelled, kind) => kind,
            (_, ErrorKind::NotFound | ErrorKind::Conflict) => ErrorKind::Invalid,
            (_, kind) => kind,
        };
        let detail = error.detail().map(str::to_owned);
        let told = Self::new(kind, error.to_string());
        match detail {
            Some(detail) => told.with_detail(detail),
            None => told,
        }
    }
}

/// Names and values from a URL's query or a form.
#[derive(Debug, Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "t" | "yes"))
    }
}

/// What a request brings, whichever way it is written.
struct Asked {
    url: Fields,
    body: Payload,
    accept: Option<String>,
    encoding: body::Compression,
    version: http::Version,
    /// What the client calls its query.
    id: Option<QueryId>,
}

enum Payload {
    Nothing,
    Json(serde_json::Map<String, serde_json::Value>),
    Form(Fields),
}

impl Asked {
    async fn read(querier: &Querier, request: Request) -> Result<Self, ApiError> {
        // JSON and forms write a statement longer than it is, but not ten times.
        let bytes_max = querier.sql_bytes_max().saturating_mul(4).saturating_add(64 * 1024);
        let (parts, body) = request.into_parts();
        let header =
            |name: http::HeaderName| parts.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let bytes = collect_body(body, bytes_max).await?;
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = header(CONTENT_TYPE).is_some_and(|value| value.starts_with("application/json"));
        let body = match first {
            None => Payload::Nothing,
            Some(b'{') => Payload::Json(object(&bytes)?),
            Some(_) if is_json => Payload::Json(object(&bytes)?),
            Some(_) => Payload::Form(Fields::parse(&bytes)),
        };
        Ok(Self {
            url: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            body,
            accept: header(http::header::ACCEPT).map(str::to_owned),
            encoding: body::Compression::accepted(header(http::header::ACCEPT_ENCODING)),
            version: parts.version,
            id: header(telling::QUERY_ID).map(str::parse).transpose()?,
        })
    }

    /// A text field from the URL or the body, whichever has it first.
    fn text(&self, name: &str) -> Option<&str> {
        self.url.get(name).or_else(|| self.body_text(name))
    }

    fn body_text(&self, name: &str) -> Option<&str> {
        match &self.body {
            Payload::Nothing => None,
            Payload::Json(object) => object.get(name).and_then(serde_json::Value::as_str),
            Payload::Form(fields) => fields.get(name),
        }
    }

    fn is_true(&self, name: &str) -> bool {
        let in_body = match &self.body {
            Payload::Nothing => false,
            Payload::Json(object) => object.get(name) == Some(&serde_json::Value::Bool(true)),
            Payload::Form(fields) => fields.is_true(name),
        };
        self.url.is_true(name) || in_body
    }

    fn has(&self, name: &str) -> bool {
        let in_body = match &self.body {
            Payload::Nothing => false,
            Payload::Json(object) => object.contains_key(name),
            Payload::Form(fields) => fields.has(name),
        };
        self.url.has(name) || in_body
    }

    /// How the answer is to be sent, in that format.
    fn sending(&self, format: Format) -> Result<body::Sending, ApiError> {
        let time_as_integer = self.time_as_integer()?;
        Ok(body::Sending { format, time_as_integer, compression: self.encoding, version: self.version })
    }

    /// Which rows are wanted, if the request says.
    fn consistency(&self) -> Result<Option<Consistency>, ApiError> {
        let wrong = |text: &str, wrong: UnknownWord| ApiError::invalid(format!("consistency={text} {wrong}"));
        self.text("consistency").map(|text| text.parse().map_err(|unknown| wrong(text, unknown))).transpose()
    }

    /// Whether timestamps are wanted as integers.
    fn time_as_integer(&self) -> Result<bool, ApiError> {
        match self.text("time") {
            None | Some("rfc3339") => Ok(false),
            Some("ns") => Ok(true),
            Some(other) => {
                Err(ApiError::invalid(format!("time={other} is unknown; use ns, or leave it out for RFC 3339")))
            }
        }
    }
}

fn object(bytes: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::invalid(format!("the body is not a JSON object: {error}")))
}

fn answered(result: Result<Response, ApiError>, dialect: Dialect, id: &RequestId) -> Response {
    result.unwrap_or_else(|error| error.response(dialect, id))
}

#[cfg(test)]
mod tests;
