//! The clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;

use super::Ledger;
use super::log::{self, Log};
use crate::patience::until;
use crate::{Answer, Client};

/// How long a client waits before it sends an unanswered request again.
const PAUSE: Duration = Duration::from_millis(10);

/// What clients and their test tell each other.
#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    /// Requests that each client has seen acknowledged since it was started.
    acknowledged: Vec<AtomicU64>,
}

/// Clients that are writing; when dropped they break off.
#[derive(Debug)]
pub struct Writing {
    progress: Arc<Progress>,
    clients: JoinSet<Result<()>>,
}

impl Writing {
    pub(super) fn start(ledger: &Ledger, writers: &[Client]) -> Result<Self> {
        let acknowledged = (0..ledger.clients).map(|_| AtomicU64::new(0)).collect();
        let progress = Arc::new(Progress { acknowledged, ..Progress::default() });
        let mut clients = JoinSet::new();
        for number in 0..ledger.clients {
            let writer = writers.get(number % writers.len().max(1)).context("there is no writer")?.clone();
            let client = Writer { ledger: ledger.clone(), number, writer, progress: Arc::clone(&progress) };
            clients.spawn(client.run());
        }
        Ok(Self { progress, clients })
    }

    /// Requests that each client has seen acknowledged since it was started.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.progress.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Waits until every client has seen `more` requests acknowledged from now on.
    pub async fn until_acknowledged(&mut self, more: u64, patience: Duration) -> Result<()> {
        let before = self.acknowledged();
        let done = async || {
            if let Some(ended) = self.clients.try_join_next() {
                ended??;
                bail!("a client of the ledger has ended");
            }
            let counts = self.progress.acknowledged.iter().map(|count| count.load(Ordering::Relaxed));
            Ok(counts.zip(&before).all(|(now, before)| now >= before + more))
        };
        until("acknowledged writes of every client", patience, done).await
    }

    /// Lets every client finish what it has under way, so that the fate of every request is known.
    pub async fn stop(mut self, patience: Duration) -> Result<()> {
        self.progress.stop.store(true, Ordering::Relaxed);
        let finished = async {
            while let Some(ended) = self.clients.join_next().await {
                ended??;
            }
            Ok(())
        };
        match tokio::time::timeout(patience, finished).await {
            Ok(finished) => finished,
            Err(_) => bail!("clients of the ledger still wait for an answer after {patience:?}"),
        }
    }

    /// Breaks off, as if the clients' machine had died: what is under way stays unknown for ever.
    pub async fn break_off(mut self) {
        self.clients.shutdown().await;
    }
}

/// One client.
struct Writer {
    ledger: Ledger,
    number: usize,
    writer: Client,
    progress: Arc<Progress>,
}

impl Writer {
    async fn run(self) -> Result<()> {
        let path = self.ledger.log(self.number);
        let mut seq = log::read(&path)?.last().map_or(0, |request| request.first + request.count);
        let mut log = Log::open(&path)?;
        while !self.progress.stop.load(Ordering::Relaxed) {
            let count = 1 + seq % 7;
            self.send(&mut log, seq, count).await?;
            self.progress.acknowledged[self.number].fetch_add(1, Ordering::Relaxed);
            seq += count;
        }
        Ok(())
    }

    /// Sends one request until it is acknowledged.
    async fn send(&self, log: &mut Log, first: u64, count: u64) -> Result<()> {
        let lines = self.ledger.lines(self.number, first, count)?;
        let (name, parameters) = (&self.ledger.name, &self.ledger.parameters);
        let path = format!("/write?db={name}&key=none{parameters}");
        let key = format!("{name}-{}-{first}", self.number);
        let mut known = String::new();
        log.note("sent", first, count, "")?;
        loop {
            let why = match self.writer.post(&path, &[("Idempotency-Key", &key)], lines.clone()).await {
                Ok(Answer { status: 204, .. }) => return log.note("acknowledged", first, count, ""),
                Ok(Answer { status, .. }) if status >= 500 => format!("answered {status}"),
                Ok(answer) => bail!("rows of the ledger were answered {}: {}", answer.status, answer.body),
                Err(error) => format!("{error:#}"),
            };
            // Said once, not at every try.
            if why != known {
                log.note("unknown", first, count, &why)?;
                known = why;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
