//! The ledger: clients that remember what they were promised, and the proof that it was kept.
//!
//! Each client writes rows `(client, seq, hash)` to a table without a key, some rows a request, each request with an
//! `Idempotency-Key`. Before it sends one it notes so in a file, synced; after the answer it notes that the rows are
//! acknowledged, or that their fate is unknown: the connection broke, or the server answered with a 5xx. An unknown
//! request is sent again with the same key until it is answered. Every other answer ends the client with an error.
//!
//! What is proven, over SQL ([`Ledger::verify`]) and over the rows of Parquet files as another engine reads them
//! ([`Ledger::verify_files`]): what was acknowledged is there, nothing is there twice, nothing is there that was not
//! sent, nothing is changed, and no request is there in part.
//!
//! A client stays with one writer. A key is known to the writer that took the request; another one learns of it from
//! the catalog, at its own start, and only once the rows are committed. A request that is repeated elsewhere while
//! its fate is unknown may therefore be there twice, and that is no fault of the server. Nor is it when a key is
//! older than ten minutes.

mod log;
mod read;
mod verdict;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

pub use log::{Fate, Request};
pub use verdict::{Flaw, Verdict};
pub use write::Writing;

use crate::Client;

/// Rows that some clients write and somebody checks.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
    name: String,
    clients: usize,
    hours: u64,
    parameters: String,
}

impl Ledger {
    /// Four clients that note what they do in that folder. Rows go to a table named `ledger` in a database of that
    /// name, at the server's time.
    pub fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let name = "ledger".to_owned();
        Ok(Self { folder: folder.to_owned(), name, clients: 4, hours: 0, parameters: String::new() })
    }

    /// With a name of its own, for database and table; two ledgers on one server need two.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With that many clients.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// Rows have times of their own, spread over that many hours, so that one request falls into several files.
    #[must_use]
    pub fn over_hours(mut self, hours: u64) -> Self {
        self.hours = hours;
        self
    }

    /// Writes ask for that `durability`.
    #[must_use]
    pub fn durability(mut self, value: &str) -> Self {
        self.parameters = format!("&durability={value}");
        self
    }

    /// The database and the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts the clients, each where it stopped last. Client `n` writes to writer `n`, counted round.
    pub fn start(&self, writers: &[Client]) -> Result<Writing> {
        Writing::start(self, writers)
    }

    /// What every client sent, in order, and what it knows of it.
    pub fn requests(&self) -> Result<Vec<Vec<Request>>> {
        (0..self.clients).map(|number| log::read(&self.log(number))).collect()
    }

    /// How many rows each client has seen acknowledged.
    pub fn acknowledged(&self) -> Result<Vec<u64>> {
        let rows = |requests: &Vec<Request>| {
            requests.iter().filter(|request| request.fate == Fate::Acknowledged).map(|request| request.count).sum()
        };
        Ok(self.requests()?.iter().map(rows).collect())
    }

    /// Compares what was noted with what that server answers. Clients may write meanwhile: what was acknowledged
    /// before the question has to be there, and what was sent before the answer may be.
    pub async fn verify(&self, querier: &Client) -> Result<Verdict> {
        let before = self.requests()?;
        let found = read::over_http(querier, &self.name).await?;
        let mut requests = self.requests()?;
        for (later, before) in requests.iter_mut().zip(&before) {
            let known = before.iter().map(|request| request.fate).chain(std::iter::repeat(Fate::Unknown));
            later.iter_mut().zip(known).for_each(|(request, fate)| request.fate = fate);
        }
        Ok(verdict::judge(&requests, &found))
    }

    /// Waits until that server answers with all that was acknowledged; how many rows there are. Rows may be late, as
    /// they are with a querier that sees only what is committed. Nothing else may be wrong, not even for a moment.
    pub async fn until_sound(&self, querier: &Client, patience: Duration) -> Result<u64> {
        let deadline = Instant::now() + patience;
        loop {
            let late = match self.verify(querier).await {
                Ok(verdict) if verdict.flaws.is_empty() => return Ok(verdict.rows),
                Ok(verdict) if !verdict.only_lost() => bail!("{verdict}"),
                Ok(verdict) => verdict.to_string(),
                // A table that nobody has committed to, a server that is not ready.
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > deadline {
                bail!("not within {patience:?}: {late}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Compares what was noted with the rows of these Parquet files.
    pub fn verify_files(&self, files: &[PathBuf]) -> Result<Verdict> {
        Ok(verdict::judge(&self.requests()?, &read::files(files)?))
    }

    /// Compares what was noted with the rows of the files that a layer's `metadata.json` documents list.
    pub fn verify_published(&self, layer: &Path) -> Result<Verdict> {
        let table = layer.join(&self.name).join(&self.name);
        Ok(verdict::judge(&self.requests()?, &read::published(&table)?))
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{}-{number}", self.name))
    }

    /// The lines of a request.
    fn lines(&self, number: usize, first: u64, count: u64) -> Result<String> {
        let mut lines = String::new();
        for seq in first..first + count {
            let hash = row_hash(number, seq);
            let line = format!("{},client=c{number} seq={seq}i,hash={hash}i", self.name);
            lines.push_str(&line);
            if self.hours > 0 {
                /// 2026-01-01T00:00:00Z.
                const START: u64 = 1_767_225_600_000_000_000;
                const HOUR: u64 = 3_600_000_000_000;
                let nanos = (seq % self.hours).checked_mul(HOUR).context("too many hours")? + START + seq;
                lines.push_str(&format!(" {nanos}"));
            }
            lines.push('\n');
        }
        Ok(lines)
    }
}

/// What a row holds beside its number; another row's would be noticed.
fn row_hash(client: usize, seq: u64) -> i64 {
    let mixed = (client as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seq.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 24).cast_signed()
}
