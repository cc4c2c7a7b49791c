//! A TCP proxy that fails on purpose: what stands between two processes when the network is to blame.
//!
//! It carries bytes as they are and knows nothing of what they mean. While it runs it can be told to cut the link, to
//! fall silent, to be slow or to break connections by chance, and to be well again. Where chance decides, the caller
//! gives the seed. A client that learns its server's other addresses from the server itself (the nodes of a Redis
//! cluster) goes around it.

mod carry;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::background::background;
use crate::ports::free_port;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Open,
    Cut,
    Silent,
}

/// What is wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    link: Link,
    delay_there: Duration,
    delay_back: Duration,
    bytes_per_second: Option<u32>,
    reset_share: f64,
    seed: u64,
}

impl Fault {
    /// Nothing.
    pub const fn none() -> Self {
        Self {
            link: Link::Open,
            delay_there: Duration::ZERO,
            delay_back: Duration::ZERO,
            bytes_per_second: None,
            reset_share: 0.0,
            seed: 0,
        }
    }

    /// New connections are refused, those that exist are reset.
    pub const fn cut() -> Self {
        Self { link: Link::Cut, ..Self::none() }
    }

    /// Connections are taken and nothing passes, neither bytes nor an end. What was sent meanwhile arrives once the
    /// proxy is restored, as it does after a real outage.
    pub const fn blackhole() -> Self {
        Self { link: Link::Silent, ..Self::none() }
    }

    /// Bytes arrive later by this much, from the client to the server and back.
    #[must_use]
    pub const fn delayed(self, there: Duration, back: Duration) -> Self {
        Self { delay_there: there, delay_back: back, ..self }
    }

    /// At most this many bytes a second pass, of each connection in each direction.
    #[must_use]
    pub const fn throttled(self, bytes_per_second: u32) -> Self {
        Self { bytes_per_second: Some(bytes_per_second), ..self }
    }

    /// Of the pieces that arrive, at most 16 KiB each, this share resets its connection instead of passing.
    #[must_use]
    pub const fn resetting(self, share: f64, seed: u64) -> Self {
        Self { reset_share: share, seed, ..self }
    }
}

type Order = (Fault, oneshot::Sender<Result<()>>);

/// A running proxy; connections through it end when it is dropped.
pub struct Proxy {
    port: u16,
    orders: mpsc::UnboundedSender<Order>,
    accepted: Arc<AtomicU64>,
    task: AbortHandle,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy in front of the server at `address`, given as `host:port`. The server need not run yet.
    pub async fn to(address: impl Into<String>) -> Result<Self> {
        let (port, target) = (free_port(), address.into());
        let (orders, received) = mpsc::unbounded_channel();
        let accepted = Arc::new(AtomicU64::new(0));
        let door = Door {
            port,
            target: target.into(),
            listener: None,
            fault: watch::Sender::new(Fault::none()),
            random: Arc::new(Mutex::new(Rng::with_seed(0))),
            accepted: Arc::clone(&accepted),
            connections: JoinSet::new(),
        };
        let task = background().spawn(door.keep(received)).abort_handle();
        let proxy = Self { port, orders, accepted, task };
        proxy.set(Fault::none()).await?;
        Ok(proxy)
    }

    /// Where clients connect, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes this the only thing that is wrong; once it returns, it holds for every connection.
    pub async fn set(&self, fault: Fault) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.orders.send((fault, done)).ok().context("the proxy has ended")?;
        answer.await.context("the proxy has ended")?
    }

    /// Makes the network well again.
    pub async fn restore(&self) -> Result<()> {
        self.set(Fault::none()).await
    }

    /// How many connections were taken so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The listening side.
struct Door {
    port: u16,
    target: Arc<str>,
    listener: Option<TcpListener>,
    fault: watch::Sender<Fault>,
    random: Arc<Mutex<Rng>>,
    accepted: Arc<AtomicU64>,
    connections: JoinSet<()>,
}

impl Door {
    async fn keep(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some((fault, done)) => {
                        // Whoever gave the order may have stopped waiting.
                        let _ = done.send(self.apply(fault).await);
                    }
                    None => return,
                },
                client = accept(self.listener.as_ref()) => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    let (faults, random) = (self.fault.subscribe(), Arc::clone(&self.random));
                    self.connections.spawn(carry::carry(client, Arc::clone(&self.target), faults, random));
                }
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn apply(&mut self, fault: Fault) -> Result<()> {
        *self.random.lock().unwrap_or_else(PoisonError::into_inner) = Rng::with_seed(fault.seed);
        if fault.link == Link::Cut {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(TcpListener::bind(("127.0.0.1", self.port)).await?);
        }
        self.fault.send_replace(fault);
        if fault.link == Link::Cut {
            while self.connections.join_next().await.is_some() {}
        }
        Ok(())
    }
}

/// The next client; never, while there is no listener.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        // A client that went away before it was taken is no reason to stop.
        if let Ok((client, _)) = listener.accept().await {
            return client;
        }
    }
}
