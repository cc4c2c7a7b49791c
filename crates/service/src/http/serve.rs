//! The server: accepts connections, limits them, and lets them finish at shutdown.
//!
//! Each connection is one task that speaks HTTP/1.1 or HTTP/2, whichever the client begins with. Tasks are
//! tracked; at shutdown the listener closes first, every answer asks its client to close, connections that stay idle
//! close after a moment, requests in flight get the drain timeout, and whoever is left is cut off. What is served is
//! the router's business.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::body::GuardedBody;
use super::guard::{Deadline, Deadlines, GuardedStream, Waiting};
use super::metrics::HttpMetrics;
use crate::settings::HttpSettings;
use crate::shutdown::{Participant, Phase, Shutdown};

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_STREAMS_MAX: u32 = 256;
const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
/// Large enough that a batch of lines is not stopped for a window update.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 1 << 20;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 2 << 20;
/// The pause after the system refused to hand out a connection, usually for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long an idle connection stays open in a shutdown: closed at once, it would break the request that is on its way.
const LINGER: Duration = Duration::from_millis(300);
/// Connections over the limit that are told so at the same time; further ones are closed silently.
const REFUSALS_MAX: usize = 64;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// The body ends with the connection, so it states no length.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\
    Connection: close\r\n\r\n{\"error\":\"too many connections are open; try again in 1 second\"}\n";

/// How many connections a process holds open, over all its listeners.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    open: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl ConnectionLimit {
    /// At most `connections_max` at once.
    pub fn new(connections_max: usize) -> Self {
        let connections_max = connections_max.min(Semaphore::MAX_PERMITS);
        Self { open: Arc::new(Semaphore::new(connections_max)), refusals: Arc::new(Semaphore::new(REFUSALS_MAX)) }
    }
}

/// How one listener is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Names the listener in logs.
    pub name: &'static str,
    /// Shared by all listeners of the process.
    pub connections: ConnectionLimit,
    /// For a request's head.
    pub header_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_idle_timeout: Duration,
    /// Between two requests on one connection.
    pub keep_alive_timeout: Duration,
    /// For requests in flight at shutdown.
    pub drain_timeout: Duration,
    /// What is counted.
    pub metrics: HttpMetrics,
}

impl ServeOptions {
    /// As the settings say.
    pub fn new(
        name: &'static str,
        settings: &HttpSettings,
        connections: ConnectionLimit,
        metrics: HttpMetrics,
    ) -> Self {
        Self {
            name,
            connections,
            header_timeout: settings.header_timeout,
            body_idle_timeout: settings.body_idle_timeout,
            keep_alive_timeout: settings.keep_alive_timeout,
            drain_timeout: settings.drain_timeout,
            metrics,
        }
    }
}

struct Server {
    router: Router,
    http: auto::Builder<TrackedExecutor>,
    options: ServeOptions,
    tasks: TaskTracker,
    /// Connections finish what they are doing.
    draining: CancellationToken,
    /// Connections end as they are.
    cutting: CancellationToken,
}

/// Serves `router` on `listener` until `shutdown`; resolves when the last connection is closed.
///
/// The server takes part in the shutdown from this call on, not from the first poll.
pub fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: &Shutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let accepting = shutdown.join(Phase::StopAccepting, format!("{}: listener", options.name));
    let draining = shutdown.join(Phase::Drain, format!("{}: requests in flight", options.name));
    let tasks = TaskTracker::new();
    let server = Arc::new(Server {
        router,
        http: builder(TrackedExecutor(tasks.clone())),
        options,
        tasks,
        draining: CancellationToken::new(),
        cutting: CancellationToken::new(),
    });
    async move {
        server.accept_until_called(listener, accepting).await;
        server.drain(draining).await;
    }
}

fn builder(executor: TrackedExecutor) -> auto::Builder<TrackedExecutor> {
    let mut http = auto::Builder::new(executor);
    // The guard keeps the deadlines of heads; see there why hyper's own are not enough.
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).pipeline_flush(true);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HTTP2_HEADER_LIST_BYTES_MAX)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES);
    http
}

impl Server {
    /// Takes the listener by value: it closes when the shutdown begins, before `accepting` is given back.
    async fn accept_until_called(self: &Arc<Self>, listener: TcpListener, accepting: Participant) {
        let called = accepting.called();
        tokio::pin!(called);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut called => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(listener = self.options.name, %error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream) {
        let limit = &self.options.connections;
        if let Ok(permit) = Arc::clone(&limit.open).try_acquire_owned() {
            self.tasks.spawn(Arc::clone(self).connection(stream, permit));
            return;
        }
        self.options.metrics.connections_refused.inc();
        if let Ok(permit) = Arc::clone(&limit.refusals).try_acquire_owned() {
            self.tasks.spawn(refuse(stream, permit));
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let _permit = permit;
        let _open = Open::new(&self.options.metrics);
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let waiting = Arc::new(Waiting::default());
        let deadlines = Deadlines { head: self.options.header_timeout, idle: self.options.keep_alive_timeout };
        let mut deadline = Deadline::new(Arc::clone(&waiting), deadlines);
        let io = TokioIo::new(GuardedStream::new(stream, Arc::clone(&waiting)));
        let body_idle_timeout = self.options.body_idle_timeout;
        let (router, draining) = (self.router.clone(), self.draining.clone());
        let service = RouterService { router, waiting, body_idle_timeout, draining };
        let serving = self.http.serve_connection(io, service);
        let lingered = async {
            self.draining.cancelled().await;
            tokio::time::sleep(LINGER.min(self.options.drain_timeout / 2)).await;
        };
        tokio::pin!(serving, lingered);
        // In this order: serving moves the connection on, after which the deadline is judged by its new state.
        let ended = tokio::select! {
            biased;
            ended = serving.as_mut() => ended,
            () = poll_fn(|cx| deadline.poll_passed(cx)) => Ok(()),
            () = lingered => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    ended = serving.as_mut() => ended,
                    () = poll_fn(|cx| deadline.poll_passed(cx)) => Ok(()),
                    () = self.cutting.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(listener = self.options.name, %error, "connection ended early");
        }
    }

    async fn drain(&self, draining: Participant) {
        self.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.options.drain_timeout, self.tasks.wait()).await.is_err() {
            let connections = self.tasks.len();
            tracing::warn!(listener = self.options.name, connections, "drain timeout: cutting off what is left");
            self.cutting.cancel();
            self.tasks.wait().await;
        }
        drop(draining);
    }
}

/// Whether an accept failed because of the one connection it would have yielded.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Tells a client over the limit so. What it sends is read until it stops, because closing a socket with
/// unread bytes would take the answer back.
async fn refuse(mut stream: TcpStream, permit: OwnedSemaphorePermit) {
    let _permit = permit;
    let telling = async {
        stream.write_all(REFUSAL).await?;
        stream.shutdown().await?;
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether the client heard it makes no difference.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, telling).await;
}

/// Counts a connection while it is open.
struct Open(HttpMetrics);

impl Open {
    fn new(metrics: &HttpMetrics) -> Self {
        metrics.connections.inc();
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Runs the streams of HTTP/2 connections where the drain waits for them.
#[derive(Clone)]
struct TrackedExecutor(TaskTracker);

impl<F> hyper::rt::Executor<F> for TrackedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// The router as hyper calls it, telling the connection's guard when a request begins and ends.
struct RouterService {
    router: Router,
    waiting: Arc<Waiting>,
    body_idle_timeout: Duration,
    draining: CancellationToken,
}

impl hyper::service::Service<Request<Incoming>> for RouterService {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.waiting.request_began();
        let waiting = Arc::clone(&self.waiting);
        let idle = self.body_idle_timeout;
        let request = request.map(|body| Body::new(GuardedBody::new(body, idle)));
        // HTTP/2 has its own way to say so.
        let draining = Some(self.draining.clone()).filter(|_| request.version() < Version::HTTP_2);
        // A router is always ready, so it can be called without being polled for it.
        let answer = self.router.clone().call(request);
        Box::pin(async move {
            let mut answer = answer.await?.map(|inner| AnswerBody { inner, waiting });
            if draining.is_some_and(|draining| draining.is_cancelled()) {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        })
    }
}

/// A response's body; the request has ended when it is dropped.
struct AnswerBody {
    inner: Body,
    waiting: Arc<Waiting>,
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.waiting.request_ended();
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
