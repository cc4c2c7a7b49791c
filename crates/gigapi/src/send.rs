//! Batches on their way to the server: several at once, each until it is answered, with a progress bar.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::Client;

/// Bad lines that are printed; all are counted.
const SHOWN_MAX: usize = 20;

/// Lines that are sent together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) body: Bytes,
    pub(crate) lines: u64,
    /// Bytes of the source that the batch came from.
    pub(crate) source_bytes: u64,
    /// The file's name.
    pub(crate) source: String,
    pub(crate) origin: Origin,
}

/// Where in its source a batch's lines come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// They are the source's lines from this one on.
    Line(u64),
    /// They were made from rows: for each the line of the body on which it begins, and the row; both from 1.
    Rows(Vec<(u64, u64)>),
}

impl Batch {
    /// The place in the source of a line of the body, from 1.
    fn place(&self, line: u64) -> String {
        match &self.origin {
            Origin::Line(first) => format!("{}:{}", self.source, first + line.saturating_sub(1)),
            Origin::Rows(rows) => {
                let after = rows.partition_point(|(begins, _)| *begins <= line);
                let row = after.checked_sub(1).and_then(|index| rows.get(index)).map_or(0, |(_, row)| *row);
                format!("{}: row {row}", self.source)
            }
        }
    }
}

/// How much was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) rows: u64,
    pub(crate) refused: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// A bar over `total` bytes of the source; none where nobody watches.
pub(crate) fn progress(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {msg}"),
    };
    // The templates are constants; a wrong one would only look plain.
    let bar = bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Sends all batches, at most `parallel` at once.
pub(crate) async fn send(
    client: &Client,
    batches: mpsc::Receiver<Result<Batch>>,
    parameters: Vec<(String, String)>,
    parallel: usize,
    bar: &ProgressBar,
) -> Result<Sent> {
    let started = Instant::now();
    let incoming = futures::stream::unfold(batches, |mut batches| async { batches.recv().await.map(|b| (b, batches)) });
    let answers = incoming
        .map(|batch| {
            let (client, parameters) = (client.clone(), parameters.clone());
            async move {
                let batch = batch?;
                let pairs: Vec<(&str, &str)> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let written = client.write(&pairs, batch.body.clone()).await;
                let bad = written
                    .with_context(|| format!("{} rows from {} on were not written", batch.lines, batch.place(1)))?;
                anyhow::Ok((batch, bad))
            }
        })
        .buffer_unordered(parallel);
    let mut answers = std::pin::pin!(answers);
    let mut sent = Sent::default();
    let mut shown = 0;
    while let Some(answer) = answers.next().await {
        let (batch, bad) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                bar.finish_and_clear();
                return Err(error.context(format!("stopped after {} rows", sent.rows)));
            }
        };
        sent.refused += bad.len() as u64;
        sent.rows += batch.lines.saturating_sub(bad.len() as u64);
        sent.bytes += batch.body.len() as u64;
        bar.inc(batch.source_bytes);
        bar.set_message(format!("{} rows", sent.rows));
        for line in &bad {
            if shown < SHOWN_MAX {
                bar.suspend(|| eprintln!("{}: {}", batch.place(line.number), line.message));
            }
            shown += 1;
        }
    }
    bar.finish_and_clear();
    if shown > SHOWN_MAX {
        eprintln!("… and {} more refused lines", shown - SHOWN_MAX);
    }
    sent.seconds = started.elapsed().as_secs_f64();
    Ok(sent)
}

impl Sent {
    /// One line about it.
    pub(crate) fn summary(&self) -> String {
        let rate = self.rows as f64 / self.seconds.max(1e-9);
        format!(
            "{} rows, {} refused, {:.1} MB of line protocol in {:.2} s ({rate:.0} rows/s)",
            self.rows,
            self.refused,
            self.bytes as f64 / 1e6,
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests;
