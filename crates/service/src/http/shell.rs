//! What happens around every request: its id, cross-origin headers, credentials, and errors in JSON.
//!
//! It is one layer rather than a stack of small ones, because each layer of a router costs an allocation and
//! a virtual call per request. It never reads a body, and it never logs a query string, which may hold
//! credentials.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt as _;
use gigapi_model::ErrorKind;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::health;
use super::metrics::HttpMetrics;
use super::request_id::{REQUEST_ID, RequestId, RequestIds, X_REQUEST_ID};
use crate::auth::{Authenticator, Verdict};
use crate::{ApiError, Dialect, grpc};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");
/// `*` does not stand for `Authorization`, so the names are listed where a client asks for none by name.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Content-Encoding, Accept, Idempotency-Key, X-Request-Id, X-API-Key, X-API-Secret, \
     X-Grpc-Web, X-User-Agent, Grpc-Timeout, X-GigAPI-Query-Id",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-Id, Retry-After, X-Influxdb-Version, X-Influxdb-Build, X-Influxdb-Error, X-Platform-Error-Code, \
     Grpc-Status, Grpc-Message, Server-Timing, X-GigAPI-Query-Id, X-GigAPI-Elapsed-Ms, X-GigAPI-Files-Planned, \
     X-GigAPI-Files-Pruned, X-GigAPI-Files-Opened, X-GigAPI-Rows-Scanned, X-GigAPI-Bytes-Scanned, X-GigAPI-Bytes-From-Cache, \
     X-GigAPI-Rows-Returned, X-GigAPI-Memory-Bytes, X-GigAPI-Stale-Seconds, X-GigAPI-Writers-Away",
);
const ANY: HeaderValue = HeaderValue::from_static("*");
const ONE_DAY_SECONDS: HeaderValue = HeaderValue::from_static("86400");

/// What the shell needs to know.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Gives requests their ids.
    pub ids: RequestIds,
    /// Judges credentials.
    pub auth: Arc<Authenticator>,
    /// What is counted.
    pub metrics: HttpMetrics,
    /// What exists, as `POST /write`, for clients that ask for something else.
    pub endpoints: Arc<[&'static str]>,
}

/// Wraps all routes of `router`, its fallback included.
pub fn shell(router: Router, shell: Shell) -> Router {
    // A layer around the router as a service sees unmatched paths too, which `Router::layer` does as well, but
    // boxes the service of each route by itself.
    Router::new().fallback_service(ShellLayer(Arc::new(shell)).layer(router))
}

#[derive(Clone)]
struct ShellLayer(Arc<Shell>);

impl Layer<Router> for ShellLayer {
    type Service = ShellService;

    fn layer(&self, router: Router) -> ShellService {
        ShellService { shell: Arc::clone(&self.0), router }
    }
}

#[derive(Clone)]
struct ShellService {
    shell: Arc<Shell>,
    router: Router,
}

impl Service<Request> for ShellService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let shell = Arc::clone(&self.shell);
        let id = shell.ids.of(request.headers());
        if request.method() == Method::OPTIONS {
            let response = preflight(request.headers());
            return Box::pin(async move { Ok(finish(response, &id)) });
        }
        let asked = Asked::of(&request);
        if !shell.admits(&request) {
            let response = asked.unauthorized(&id);
            return Box::pin(async move { Ok(finish(response, &id)) });
        }
        request.extensions_mut().insert(id.clone());
        let answer = self.router.call(request);
        Box::pin(async move {
            let began = Instant::now();
            let in_flight = InFlight::new(&shell.metrics);
            let response = match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(Ok(response)) => shell.explain(response, &asked, &id),
                Err(panic) => {
                    shell.metrics.panics.inc();
                    let message = format!("a request handler panicked: {}", panic_text(panic.as_ref()));
                    asked.error(&ApiError::new(ErrorKind::Internal, message), &id)
                }
            };
            drop(in_flight);
            shell.metrics.answered(response.status().as_u16(), began.elapsed().as_secs_f64());
            Ok(finish(response, &id))
        })
    }
}

/// Counts a request until its answer begins, also if its client goes away.
struct InFlight(HttpMetrics);

impl InFlight {
    fn new(metrics: &HttpMetrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// What is kept of a request to word an error.
struct Asked {
    method: Method,
    path: String,
    dialect: Dialect,
    /// The content type of a gRPC call, which its errors carry too.
    grpc: Option<HeaderValue>,
    had_credentials: bool,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        Self {
            method: request.method().clone(),
            dialect: Dialect::of_path(path),
            grpc: grpc::content_type(request.headers()),
            had_credentials: request.headers().contains_key(http::header::AUTHORIZATION),
            path: path.chars().take(256).collect(),
        }
    }

    fn unauthorized(&self, id: &RequestId) -> Response {
        let message = if self.grpc.is_some() {
            "no or wrong credentials in the authorization metadata"
        } else if self.had_credentials {
            "the credentials are wrong; check the user name and password, or the token"
        } else {
            "credentials are needed; send `Authorization: Basic …`, `Token …` or `Bearer …`, or u and p in the query"
        };
        self.error(&ApiError::new(ErrorKind::Unauthorized, message), id)
    }

    fn error(&self, error: &ApiError, id: &RequestId) -> Response {
        match &self.grpc {
            Some(content_type) => error.grpc_response(content_type.clone(), id),
            None => error.response(self.dialect, id),
        }
    }
}

impl Shell {
    /// Whether the path is open to all or the credentials are right.
    fn admits(&self, request: &Request) -> bool {
        !self.auth.is_required()
            || health::needs_no_credentials(request.uri().path())
            || self.auth.check(request.headers(), request.uri().query()) == Verdict::Allowed
    }

    /// The router's own 404 and 405 are empty; a client is told what there is instead.
    fn explain(&self, response: Response, asked: &Asked, id: &RequestId) -> Response {
        let is_empty = response.body().is_end_stream() && !response.headers().contains_key(CONTENT_TYPE);
        match (response.status(), &asked.grpc) {
            (StatusCode::NOT_FOUND, Some(content_type)) if is_empty => {
                grpc::response(content_type.clone(), grpc::UNIMPLEMENTED, "there is no such method")
            }
            (StatusCode::NOT_FOUND, None) if is_empty => {
                let Asked { method, path, .. } = asked;
                let message = format!("{method} {path} does not exist; there is: {}", self.endpoints.join(", "));
                asked.error(&ApiError::new(ErrorKind::NotFound, message), id)
            }
            (StatusCode::METHOD_NOT_ALLOWED, _) if is_empty => {
                let allowed = response.headers().get(ALLOW).cloned();
                let words = allowed.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("another method");
                let Asked { method, path, .. } = asked;
                let message = format!("{path} does not take {method}; use {}", words.replace(',', ", "));
                let mut response = asked.error(&ApiError::method_not_allowed(message), id);
                response.headers_mut().extend(allowed.map(|value| (ALLOW, value)));
                response
            }
            _ => response,
        }
    }
}

fn preflight(headers: &HeaderMap) -> Response {
    let wanted = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(HEADERS);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    headers.insert(ACCESS_CONTROL_MAX_AGE, ONE_DAY_SECONDS);
    response
}

fn finish(mut response: Response, id: &RequestId) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id.header());
    headers.insert(REQUEST_ID, id.header());
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    response
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests;
