//! One statement: it is sent, its answer is written as it comes, and it ends early if somebody presses Ctrl-C.
//!
//! What people read comes as Arrow and is drawn here; the rest is passed on byte by byte. An answer is whole only if
//! its transfer ends as it should, so a part of one is always a failure, whatever has been written of it.

mod batches;
mod foot;

use std::io::Write;

use anyhow::anyhow;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::StreamExt;
use reqwest::Response;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::args::Format;
use super::failure::Failure;
use super::output::Output;
use super::progress::Progress;
use super::table::{Drawer, Lines, Paint};
use crate::client::Client;
pub(super) use batches::Batches;
use batches::{pieces, unreadable};
use foot::{Foot, Lacks};

/// How answers are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) format: Format,
    /// Rows that a terminal shows; nothing shows all.
    pub(super) rows_max: Option<usize>,
    /// Whether the time is told.
    pub(super) timer: bool,
    /// How the terminal is written to.
    pub(super) paint: Paint,
    /// Whether advice is given in the shell's commands.
    pub(super) in_shell: bool,
}

/// Runs a statement and writes its answer. What is to be said below it comes back.
pub(super) async fn answer(
    client: &Client,
    sql: &str,
    view: View,
    output: &mut Output,
) -> Result<Vec<String>, Failure> {
    let id = client.query_id();
    let progress = Progress::begin(client, &id);
    let outcome = interruptible(written(client, sql, &id, view, output, &progress)).await;
    // The request is dropped by now, which ends the query; saying so ends it also behind a proxy that keeps
    // connections open.
    if matches!(outcome, Err(Failure::Cancelled | Failure::ReaderGone)) {
        progress.end();
        client.cancel_query(&id).await;
    }
    outcome
}

/// Does something until Ctrl-C is pressed.
pub(super) async fn interruptible<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| Failure::Broken(error.into()))?;
    tokio::select! {
        outcome = work => outcome,
        _ = interrupts.recv() => Err(Failure::Cancelled),
    }
}

async fn written(
    client: &Client,
    sql: &str,
    id: &str,
    view: View,
    output: &mut Output,
    progress: &Progress,
) -> Result<Vec<String>, Failure> {
    let started = Instant::now();
    let response = client.query(sql, view.format.parameter(), id).await?;
    let lacks = Lacks { stale: stale_seconds(&response), away: writers_away(&response) };
    let foot = match view.format {
        Format::Table | Format::Line => drawn(response, view, output, progress).await?,
        _ => {
            passed_on(response, view.format, output, progress).await?;
            Foot::default()
        }
    };
    progress.end();
    output.flush()?;
    Ok(foot.lines(view.timer.then(|| started.elapsed()), &lacks, view.in_shell))
}

/// How old an answer is that could not be brought up to date.
fn stale_seconds(response: &Response) -> Option<u64> {
    response.headers().get("x-gigapi-stale-seconds")?.to_str().ok()?.parse().ok()
}

/// The writers whose rows an answer lacks because they could not be asked.
fn writers_away(response: &Response) -> Option<String> {
    Some(response.headers().get("x-gigapi-writers-away")?.to_str().ok()?.to_owned())
}

/// Copies an answer.
async fn passed_on(
    response: Response,
    format: Format,
    output: &mut Output,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut pieces = pieces(response);
    let mut last = b'\n';
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        progress.arrived(piece.len(), 0);
        if matches!(output, Output::Standard) {
            progress.end_for_readers();
        }
        output.write_all(&piece)?;
        last = piece.last().copied().unwrap_or(last);
    }
    if last != b'\n' && format != Format::Parquet {
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Draws an answer.
async fn drawn(response: Response, view: View, output: &mut Output, progress: &Progress) -> Result<Foot, Failure> {
    let mut batches = Batches::new(response);
    let terminal = output.terminal_width();
    let shown_max = terminal.and(view.rows_max).unwrap_or(usize::MAX);
    let paint = if terminal.is_some() { view.paint } else { Paint::default() };
    let mut drawing: Option<Drawing> = None;
    let mut foot = Foot { rows: Some(0), ..Foot::default() };
    let mut text = String::new();
    while let Some(batch) = batches.next().await? {
        progress.arrived(0, batch.num_rows());
        let drawing = drawing.get_or_insert_with(|| Drawing::new(view.format, &batch.schema(), terminal, paint));
        let take = batch.num_rows().min(shown_max - foot.shown);
        foot.count(batch.num_rows(), take);
        if take > 0 {
            drawing.batch(&batch.slice(0, take), &mut text).map_err(unreadable)?;
            // What is on a terminal already is not waited for; the rest is counted only.
            if foot.shown == shown_max {
                drawing.finish(&mut text);
            }
            put(&mut text, output, progress)?;
        }
    }
    let schema = batches.schema().ok_or_else(|| Failure::Broken(anyhow!("the answer says nothing of its columns")))?;
    let mut drawing = drawing.unwrap_or_else(|| Drawing::new(view.format, &schema, terminal, paint));
    drawing.finish(&mut text);
    put(&mut text, output, progress)?;
    foot.hidden = drawing.hidden();
    Ok(foot)
}

fn put(text: &mut String, output: &mut Output, progress: &Progress) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    match output.is_terminal() {
        true => progress.aside(|| output.write_all(text.as_bytes()))?,
        false => {
            if matches!(output, Output::Standard) {
                progress.end_for_readers();
            }
            output.write_all(text.as_bytes())?;
        }
    }
    text.clear();
    Ok(())
}

/// Rows on their way to a person.
#[derive(Debug)]
enum Drawing {
    Table(Drawer),
    Lines(Lines),
}

impl Drawing {
    fn new(format: Format, schema: &SchemaRef, terminal: Option<usize>, paint: Paint) -> Self {
        match format {
            Format::Line => Self::Lines(Lines::new(schema, paint)),
            _ => Self::Table(Drawer::new(schema, terminal, paint)),
        }
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut String) -> Result<(), ArrowError> {
        match self {
            Self::Table(drawer) => drawer.batch(batch, out),
            Self::Lines(lines) => lines.batch(batch, out),
        }
    }

    fn finish(&mut self, out: &mut String) {
        if let Self::Table(drawer) = self {
            drawer.finish(out);
        }
    }

    fn hidden(&self) -> usize {
        match self {
            Self::Table(drawer) => drawer.hidden(),
            Self::Lines(_) => 0,
        }
    }
}
