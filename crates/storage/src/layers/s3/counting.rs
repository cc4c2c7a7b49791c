//! What goes over the wire to a layer's S3 server.
//!
//! Sits below the retries, where one call is one HTTP request, so what a request costs is counted and not what was
//! asked for. Requests for credentials go elsewhere and are not counted. Counting never changes a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "other"];
const STATUSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests to one layer's S3 server since it was opened, and their bytes.
#[derive(Debug, Default)]
pub struct RequestCounts {
    /// By method, then by status.
    requests: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    sent: AtomicU64,
    received: AtomicU64,
}

impl RequestCounts {
    /// Requests by method and class of status (`2xx`; `none` where there was no answer), without those that never happened.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.requests.iter().zip(METHODS).flat_map(|(by_status, method)| {
            by_status.iter().zip(STATUSES).filter_map(move |(count, status)| {
                let count = count.load(Ordering::Relaxed);
                (count > 0).then_some((method, status, count))
            })
        })
    }

    /// All requests, retries included.
    pub fn total(&self) -> u64 {
        self.requests().map(|(_, _, count)| count).sum()
    }

    /// Bytes of bodies in requests that reached the server or may have.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes of bodies in answers.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// One request, counted when it ends, also if its caller goes away.
struct Tally {
    counts: Arc<RequestCounts>,
    method: Method,
    bytes: u64,
    status: Option<StatusCode>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        let method = METHODS.iter().position(|known| *known == self.method.as_str()).unwrap_or(METHODS.len() - 1);
        let status = self.status.map_or(0, |status| usize::from(status.as_u16() / 100).min(STATUSES.len() - 1));
        self.counts.requests[method][status].fetch_add(1, Ordering::Relaxed);
        self.counts.sent.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// Makes HTTP clients that count what they send to one server.
#[derive(Debug)]
pub(super) struct CountingConnector {
    /// Host and port of the server.
    pub(super) authority: String,
    pub(super) counts: Arc<RequestCounts>,
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        let (authority, counts) = (self.authority.clone(), Arc::clone(&self.counts));
        Ok(HttpClient::new(CountingService { inner, authority, counts }))
    }
}

#[derive(Debug)]
struct CountingService {
    inner: HttpClient,
    authority: String,
    counts: Arc<RequestCounts>,
}

#[async_trait]
impl HttpService for CountingService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let ours = request.uri().authority().is_some_and(|to| to.as_str().eq_ignore_ascii_case(&self.authority));
        if !ours {
            return self.inner.execute(request).await;
        }
        let bytes = request.body().content_length() as u64;
        let mut tally =
            Tally { counts: Arc::clone(&self.counts), method: request.method().clone(), bytes, status: None };
        let answer = self.inner.execute(request).await;
        match &answer {
            Ok(answer) => tally.status = Some(answer.status()),
            Err(error) if error.kind() == HttpErrorKind::Connect => tally.bytes = 0,
            Err(_) => {}
        }
        drop(tally);
        let counts = Arc::clone(&self.counts);
        Ok(answer?.map(|body| {
            HttpResponseBody::new(body.map_frame(move |frame| {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                counts.received.fetch_add(bytes, Ordering::Relaxed);
                frame
            }))
        }))
    }
}
