//! Bodies that clients send: how long they may pause and how large they may get.
//!
//! The pause is watched where bytes arrive, so it holds for every handler and both versions of HTTP. A timer
//! is armed only when a body has to be waited for; most writes arrive whole with their head and cost none.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body as AxumBody;
use bytes::{Bytes, BytesMut};
use gigapi_model::ErrorKind;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::ApiError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Memory set aside for a body before its bytes arrive; a stated length is a promise, not a fact.
const RESERVE_BYTES_MAX: usize = 1 << 20;

/// A client that stopped in the middle of a body.
#[derive(Debug)]
pub struct BodyIdle;

impl fmt::Display for BodyIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client stopped sending the body")
    }
}

impl std::error::Error for BodyIdle {}

/// A body that fails with [`BodyIdle`] when the client pauses too long.
pub(crate) struct GuardedBody {
    inner: Incoming,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl GuardedBody {
    pub(crate) fn new(inner: Incoming, idle: Duration) -> Self {
        Self { inner, idle, timer: None, waiting: false }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = || Instant::now() + self.idle;
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.waiting {
                    timer.as_mut().reset(deadline());
                }
                timer
            }
            None => self.timer.insert(Box::pin(tokio::time::sleep(self.idle))),
        };
        self.waiting = true;
        timer.as_mut().poll(cx)
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waiting = false;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                ready!(self.wait(cx));
                Poll::Ready(Some(Err(Box::new(BodyIdle))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The whole body, of at most `bytes_max` bytes as they were sent. A body of one piece is not copied.
///
/// Fails with `TooLarge` as soon as the stated or the actual length is over the limit, with 408 if the client
/// paused too long, and with `Invalid` if it went away.
pub async fn collect_body(mut body: AxumBody, bytes_max: usize) -> Result<Bytes, ApiError> {
    let stated = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if stated > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if first.len() + joined.len() + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if joined.is_empty() && first.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(stated.clamp(first.len() + data.len(), RESERVE_BYTES_MAX.max(first.len() + data.len())));
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

fn too_large(bytes_max: usize) -> ApiError {
    let message = format!("the body is larger than {bytes_max} bytes; send fewer points per request");
    ApiError::new(ErrorKind::TooLarge, message)
}

/// What a handler answers when reading a body failed.
fn broken(error: &axum::Error) -> ApiError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.is::<BodyIdle>() {
            return ApiError::timed_out("the body stopped arriving; send it without long pauses");
        }
        source = cause.source();
    }
    ApiError::invalid("the body ended before its stated length, or its framing is wrong; send the request again")
}
