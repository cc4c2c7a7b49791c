//! A body that is counted while it passes, at a pace that can change on the way.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How often a slow body moves.
const STEPS_PER_SECOND: u32 = 20;

/// Bytes a second, shared with whoever sets it; none is no limit.
#[derive(Debug, Clone, Default)]
pub(super) struct Rate(Arc<AtomicU32>);

impl Rate {
    pub(super) fn set(&self, bytes_per_second: Option<u32>) {
        self.0.store(bytes_per_second.map_or(0, |rate| rate.max(1)), Ordering::Relaxed);
    }

    fn get(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&rate| rate > 0)
    }
}

/// The body.
#[derive(Debug)]
pub(super) struct Metered<B> {
    inner: B,
    rate: Rate,
    bytes: Arc<AtomicU64>,
    /// What came and has not been passed on.
    held: Bytes,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<B> Metered<B> {
    pub(super) fn new(inner: B, rate: Rate, bytes: Arc<AtomicU64>) -> Self {
        Self { inner, rate, bytes, held: Bytes::new(), pause: None }
    }

    /// As much of what is held as may pass now.
    fn step(&mut self) -> Bytes {
        let Some(rate) = self.rate.get() else { return std::mem::take(&mut self.held) };
        let bytes = (rate / STEPS_PER_SECOND).max(1).min(u32::try_from(self.held.len()).unwrap_or(u32::MAX));
        self.pause = Some(Box::pin(sleep(Duration::from_secs(1) * bytes / rate)));
        self.held.split_to(bytes as usize)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        if this.held.is_empty() {
            match ready!(pin!(&mut this.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                        this.held = data;
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(this.step()))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, held) = (self.inner.size_hint(), self.held.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
