//! Failures as clients see them: one kind in, a status and the body of the client's dialect out.
//!
//! This is the one place where an [`ErrorKind`] becomes an HTTP status. Overload is always 503 and never 429,
//! because widespread clients drop a batch on any 4xx. Details of internal failures are logged here, once,
//! and never sent.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use gigapi_model::ErrorKind;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::http::RequestId;

const X_INFLUXDB_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");
const X_PLATFORM_ERROR_CODE: HeaderName = HeaderName::from_static("x-platform-error-code");

/// Bytes of a message repeated in a header; InfluxDB 1 stops there too.
const HEADER_MESSAGE_BYTES_MAX: usize = 1024;
/// Refused lines that a body names.
pub const LINES_MAX: usize = 100;
/// Bytes of a refused line that a body repeats.
const LINE_BYTES_MAX: usize = 256;

/// Which client family's bodies a path speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error"}`: InfluxDB 1 and GigAPI.
    V1,
    /// `{"code","message","line"?}`: InfluxDB 2.
    V2,
    /// `{"error","data"?}`: InfluxDB 3.
    V3,
}

impl Dialect {
    /// The dialect of a request's path.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/api/v3/") {
            Self::V3
        } else if path.starts_with("/api/v2/") {
            Self::V2
        } else {
            Self::V1
        }
    }
}

/// A line that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedLine {
    /// What is wrong with it.
    pub error_message: String,
    /// Its number, from 1.
    pub line_number: u64,
    /// Its beginning, at most 256 bytes.
    pub original_line: String,
}

impl RefusedLine {
    /// Describes a line; of the line itself only the beginning is kept.
    pub fn new(number: u64, line: &[u8], message: impl Into<String>) -> Self {
        let cut = &line[..line.len().min(LINE_BYTES_MAX)];
        let original_line = String::from_utf8_lossy(cut).into_owned();
        Self { error_message: message.into(), line_number: number, original_line }
    }
}

/// A failure on its way to a client.
#[derive(Debug)]
pub struct ApiError {
    kind: ErrorKind,
    message: String,
    lines: Vec<RefusedLine>,
    status: Option<StatusCode>,
    retry_after: Duration,
    detail: Option<String>,
}

impl ApiError {
    /// A failure of that kind. The message says what was wrong, where, and what to do; for kinds `Internal` and
    /// `Corrupt` it is logged and not sent.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retry_after = Duration::from_secs(1);
        Self { kind, message: message.into(), lines: Vec::new(), status: None, retry_after, detail: None }
    }

    /// The input is wrong: 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The body's type or encoding is not one that is read: 415.
    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self { status: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), ..Self::invalid(message) }
    }

    /// The path exists, the method does not: 405.
    pub(crate) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self { status: Some(StatusCode::METHOD_NOT_ALLOWED), ..Self::invalid(message) }
    }

    /// The client stopped sending: 408.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self { status: Some(StatusCode::REQUEST_TIMEOUT), ..Self::invalid(message) }
    }

    /// Names the refused lines; at most [`LINES_MAX`] are kept.
    #[must_use]
    pub fn with_lines(mut self, mut lines: Vec<RefusedLine>) -> Self {
        lines.truncate(LINES_MAX);
        self.lines = lines;
        self
    }

    /// How long a client had better wait; rounded up to whole seconds, at least one. Default one second.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = pause;
        self
    }

    /// What is logged beside the message and never sent.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The failure's kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The failure's message, which for `Internal` and `Corrupt` is not for clients.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status, the same in every dialect.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(match self.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Busy | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        })
    }

    /// What a client is told. Protocols other than HTTP take it from here, so that they hide the same.
    pub fn public_message(&self, request: &RequestId) -> String {
        match self.kind {
            ErrorKind::Internal => format!("internal error, see the server's log (request id {request})"),
            ErrorKind::Corrupt => format!("stored data is damaged, see the server's log (request id {request})"),
            _ => self.message.clone(),
        }
    }

    /// Logs what is not sent. [`Self::response`] does it; other protocols call it once where they answer.
    pub fn log(&self, request: &RequestId) {
        let detail = self.detail.as_deref().unwrap_or("-");
        if matches!(self.kind, ErrorKind::Internal | ErrorKind::Corrupt) {
            tracing::error!(%request, kind = %self.kind, message = %self.message, detail, "request failed");
        } else if self.detail.is_some() {
            tracing::warn!(%request, kind = %self.kind, message = %self.message, detail, "request refused");
        }
    }

    /// The answer in the client's dialect. Logs what is not sent.
    pub fn response(&self, dialect: Dialect, request: &RequestId) -> Response<Body> {
        self.log(request);
        let message = self.public_message(request);
        let mut response = Response::new(Body::from(self.body(dialect, &message)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match dialect {
            Dialect::V1 => headers.extend(header_text(&message).map(|text| (X_INFLUXDB_ERROR, text))),
            Dialect::V2 => headers.extend([(X_PLATFORM_ERROR_CODE, HeaderValue::from_static(self.v2_code()))]),
            Dialect::V3 => {}
        }
        if self.kind.is_transient() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(self.retry_after)));
        }
        if self.kind == ErrorKind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="gigapi""#));
        }
        response
    }

    /// The answer to a call of gRPC. Logs what is not sent.
    pub(crate) fn grpc_response(&self, content_type: HeaderValue, request: &RequestId) -> Response<Body> {
        self.log(request);
        crate::grpc::response(content_type, crate::grpc::code(self.kind), &self.public_message(request))
    }

    fn body(&self, dialect: Dialect, message: &str) -> Vec<u8> {
        let mut body = match dialect {
            Dialect::V1 => json(&V1 { error: message }),
            Dialect::V2 => {
                let line = self.lines.first().map(|line| line.line_number);
                json(&V2 { code: self.v2_code(), message, line })
            }
            Dialect::V3 => json(&V3 { error: message, data: &self.lines }),
        };
        body.push(b'\n');
        body
    }

    /// InfluxDB 2's word for the kind.
    fn v2_code(&self) -> &'static str {
        match (self.status, self.kind) {
            (Some(StatusCode::METHOD_NOT_ALLOWED), _) => "method not allowed",
            (Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), _) => "unsupported media type",
            (_, ErrorKind::Invalid) => "invalid",
            (_, ErrorKind::NotFound) => "not found",
            (_, ErrorKind::Conflict) => "conflict",
            (_, ErrorKind::Unauthorized) => "unauthorized",
            (_, ErrorKind::Forbidden) => "forbidden",
            (_, ErrorKind::TooLarge) => "request too large",
            (_, ErrorKind::Busy | ErrorKind::Unavailable) => "unavailable",
            (_, ErrorKind::Corrupt | ErrorKind::Internal) => "internal error",
        }
    }
}

#[derive(Serialize)]
struct V1<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct V2<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

#[derive(Serialize)]
struct V3<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "<[RefusedLine]>::is_empty")]
    data: &'a [RefusedLine],
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of texts and numbers always serialize")
}

fn whole_seconds(pause: Duration) -> u64 {
    (pause.as_secs() + u64::from(pause.subsec_nanos() > 0)).max(1)
}

/// A message as a header's value: one line of plain characters, cut at the limit.
fn header_text(message: &str) -> Option<HeaderValue> {
    let plain: String = message
        .chars()
        .take(HEADER_MESSAGE_BYTES_MAX)
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect();
    HeaderValue::from_str(&plain).ok()
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<gigapi_catalog::Error> for ApiError {
    /// What a store said is for the log; the rest of the catalog's messages are written for clients.
    fn from(error: gigapi_catalog::Error) -> Self {
        match error.kind() {
            ErrorKind::Unavailable => Self::new(
                ErrorKind::Unavailable,
                "the catalog cannot be used at the moment; send the request again later",
            )
            .with_detail(error.to_string()),
            kind => Self::new(kind, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
