//! Deadlines of one connection: how long a head may take and how long a connection may idle.
//!
//! Hyper's own header timer also counts the time between two requests, and it does not run before the
//! version of HTTP is known, so a client that sends nothing, or half of HTTP/2's preface, would stay for
//! ever. The stream here notes what arrives, the service notes requests, and the connection's task asks
//! [`Deadline`] whenever it runs. An HTTP/2 connection is left alone after its preface: pings watch it, and
//! its heads are whole frames.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first request's head, or the rest of a later one's, is awaited.
const HEAD: u64 = 0;
/// A request is being answered, or the connection speaks HTTP/2: no deadline.
const BUSY: u64 = 1;
/// The last answer is out, the next request has not begun.
const IDLE: u64 = 2;

const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;

/// What a connection waits for. All that happens on an HTTP/1 connection happens in its one task, so relaxed
/// loads and stores are enough; an HTTP/2 connection serves streams in tasks of their own, and is not timed.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The low bits hold the state, the others count its changes, so that two idle periods with a request
    /// between them are told apart.
    state: AtomicU64,
    is_http2: AtomicBool,
}

impl Waiting {
    fn load(&self) -> u64 {
        self.state.load(Ordering::Relaxed)
    }

    fn set(&self, state: u64) {
        let changes = self.load() >> STATE_BITS;
        self.state.store(((changes + 1) << STATE_BITS) | state, Ordering::Relaxed);
    }

    /// A request's head is complete.
    pub(crate) fn request_began(&self) {
        self.set(BUSY);
    }

    /// A request's answer is complete.
    pub(crate) fn request_ended(&self) {
        self.set(IDLE);
    }

    /// Bytes arrived.
    fn received(&self) {
        if self.load() & STATE_MASK == IDLE {
            self.set(HEAD);
        }
    }
}

/// How long a connection may wait for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
}

/// The point at which a connection has waited too long.
pub(crate) struct Deadline {
    waiting: Arc<Waiting>,
    deadlines: Deadlines,
    /// The state for which `at` was computed.
    armed: u64,
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(crate) fn new(waiting: Arc<Waiting>, deadlines: Deadlines) -> Self {
        let at = Instant::now() + deadlines.head;
        let timer = Box::pin(tokio::time::sleep_until(at));
        let armed = waiting.load();
        Self { waiting, deadlines, armed, at, timer }
    }

    /// Ready once the deadline has passed; otherwise the task is woken when it does.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let state = self.waiting.load();
        if state & STATE_MASK == BUSY || self.waiting.is_http2.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if state != self.armed {
            self.armed = state;
            let is_idle = state & STATE_MASK == IDLE;
            self.at = Instant::now() + if is_idle { self.deadlines.idle } else { self.deadlines.head };
            // A timer that rings too early is set again below; so a busy connection hardly ever moves it.
            if self.timer.deadline() > self.at {
                self.timer.as_mut().reset(self.at);
            }
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= self.at {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
    }
}

/// A TCP stream that notes what arrives.
pub(crate) struct GuardedStream {
    stream: TcpStream,
    waiting: Arc<Waiting>,
    /// Bytes read that agree with the preface; `None` once one did not, or all did.
    preface: Option<usize>,
}

impl GuardedStream {
    pub(crate) fn new(stream: TcpStream, waiting: Arc<Waiting>) -> Self {
        Self { stream, waiting, preface: Some(0) }
    }

    fn received(&mut self, bytes: &[u8]) {
        self.waiting.received();
        if let Some(known) = self.preface {
            let compared = bytes.len().min(PREFACE.len() - known);
            let agrees = bytes[..compared] == PREFACE[known..known + compared];
            let is_http2 = agrees && known + compared == PREFACE.len();
            self.waiting.is_http2.store(is_http2, Ordering::Relaxed);
            self.preface = (agrees && !is_http2).then_some(known + compared);
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.received(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
