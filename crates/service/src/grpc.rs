//! Failures as clients of gRPC see them.
//!
//! The one place where an [`ErrorKind`] becomes a code of gRPC. Calls themselves are answered elsewhere; here are the answers
//! to those that reach nobody: refused at the door, or meant for a method that there is not.

use axum::body::Body;
use gigapi_model::ErrorKind;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Of methods that do not exist.
pub(crate) const UNIMPLEMENTED: i32 = 12;

/// What a message may not hold as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The code for a kind of error, by its number. What may pass is `Unavailable`, which clients repeat; whatever the
/// request has to change for is `InvalidArgument`.
pub fn code(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::Invalid | ErrorKind::TooLarge => 3,
        ErrorKind::NotFound => 5,
        ErrorKind::Forbidden => 7,
        ErrorKind::Conflict => 9,
        ErrorKind::Internal => 13,
        ErrorKind::Busy | ErrorKind::Unavailable => 14,
        ErrorKind::Corrupt => 15,
        ErrorKind::Unauthorized => 16,
    }
}

/// The content type of a gRPC call, which its errors carry too; none if the request is no such call.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(CONTENT_TYPE).filter(|value| value.as_bytes().starts_with(b"application/grpc")).cloned()
}

/// An error that is all headers: the status of the call travels beside a 200.
pub(crate) fn response(content_type: HeaderValue, code: i32, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    let message = utf8_percent_encode(message, ENCODED).to_string();
    headers.extend(HeaderValue::try_from(message).ok().map(|message| (GRPC_MESSAGE, message)));
    response
}
