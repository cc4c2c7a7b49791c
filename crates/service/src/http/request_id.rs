//! The name under which one request is found again in the log.
//!
//! A client's own id is kept if it is short and plain; otherwise one is made from the process's random prefix
//! and a counter, which is unique without asking the system for randomness per request.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use gigapi_model::Ids;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

const CLIENT_ID_BYTES_MAX: usize = 64;

/// A request's id: up to 64 visible ASCII characters. Handlers take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id where a request did not come through the shell.
    pub const fn unknown() -> Self {
        Self(HeaderValue::from_static("unknown"))
    }

    /// The id as a text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("unknown")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::unknown))
    }
}

/// Gives requests their ids. Clones share the counter.
#[derive(Debug, Clone)]
pub struct RequestIds {
    prefix: Arc<str>,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    /// Ids of this process.
    pub fn new(ids: &dyn Ids) -> Self {
        let (prefix, _) = ids.random().as_u64_pair();
        Self { prefix: format!("{prefix:016x}").into(), next: Arc::new(AtomicU64::new(1)) }
    }

    /// The client's id, or a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(X_REQUEST_ID).or_else(|| headers.get(REQUEST_ID));
        match given {
            Some(value) if is_plain(value.as_bytes()) => RequestId(value.clone()),
            _ => self.mint(),
        }
    }

    fn mint(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("{}-{number}", self.prefix);
        RequestId(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown")))
    }
}

fn is_plain(bytes: &[u8]) -> bool {
    (1..=CLIENT_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}
