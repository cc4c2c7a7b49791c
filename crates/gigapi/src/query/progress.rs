//! How far a query has come, on standard error while it takes long and somebody watches.
//!
//! Short queries show nothing. What the server says is asked for beside the query and never gets in its way: a server
//! that does not know the query, or does not answer, leaves a spinner with the time.

use std::fs::File;
use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::task::JoinHandle;

use super::text::span;
use crate::client::{Client, QueryState};

/// Queries that are quicker show nothing.
const QUIET: Duration = Duration::from_millis(500);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(250);
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(100);
/// A server that has not known a query this often is not asked any more.
const UNKNOWN_MAX: u32 = 4;

/// The bar of one query. Gone when dropped.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    arrived: Arc<Arrived>,
    task: Option<JoinHandle<()>>,
}

/// What has come of the answer.
#[derive(Debug, Default)]
struct Arrived {
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl Progress {
    /// Begins to watch the query of that id. Has to be called on a runtime.
    pub(super) fn begin(client: &Client, id: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let arrived = Arc::new(Arrived::default());
        let watching = watch(client.clone(), id.to_owned(), bar.clone(), Arc::clone(&arrived));
        let task = stderr().is_terminal().then(|| tokio::spawn(watching));
        Self { bar, arrived, task }
    }

    /// Counts what has arrived.
    pub(super) fn arrived(&self, bytes: usize, rows: usize) {
        self.arrived.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.arrived.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Writes to the terminal on which the bar may be.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away for good.
    pub(super) fn end(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }

    /// Takes the bar away for good where what is written to standard output is seen by whoever sees the bar: on a
    /// terminal, and where it goes through a pipe, most likely to a pager.
    pub(super) fn end_for_readers(&self) {
        let to_file = stdout().as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
        if !to_file.is_ok_and(|is| is.is_file()) {
            self.end();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

async fn watch(client: Client, id: String, bar: ProgressBar, arrived: Arc<Arrived>) {
    tokio::time::sleep(QUIET).await;
    bar.set_style(spinner());
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(BETWEEN_DRAWINGS);
    let mut known: Option<QueryState> = None;
    let mut unknown = 0;
    loop {
        if unknown < UNKNOWN_MAX {
            match client.query_state(&id).await {
                Ok(Some(state)) => known = Some(state),
                // A query that has ended leaves what was known last.
                Ok(None) | Err(_) if known.is_some() => {}
                Ok(None) | Err(_) => unknown += 1,
            }
        }
        show(&bar, known.as_ref(), &arrived);
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
    }
}

fn show(bar: &ProgressBar, known: Option<&QueryState>, arrived: &Arrived) {
    if let Some(state) = known.filter(|state| state.files_planned > 0) {
        if bar.length().is_none() {
            bar.set_style(files());
        }
        bar.set_length(state.files_planned);
        bar.set_position(state.files_opened.min(state.files_planned));
    }
    let (bytes, rows) = (arrived.bytes.load(Ordering::Relaxed), arrived.rows.load(Ordering::Relaxed));
    bar.set_message(described(known, bytes, rows));
}

/// What is known of a query, in words.
fn described(known: Option<&QueryState>, bytes: u64, rows: u64) -> String {
    let mut parts = Vec::new();
    if let Some(state) = known {
        match state.state.as_str() {
            "queued" => parts.push("waiting for its turn".to_owned()),
            "planning" => parts.push("planning".to_owned()),
            _ => {}
        }
        if state.files_planned > 0 {
            let opened = HumanCount(state.files_opened.min(state.files_planned));
            parts.push(format!("{opened} of {} files", HumanCount(state.files_planned)));
        }
        if state.rows_scanned > 0 {
            parts.push(format!("{} rows", HumanCount(state.rows_scanned)));
        }
        if state.bytes_scanned > 0 {
            parts.push(format!("{} read", DecimalBytes(state.bytes_scanned)));
        }
    }
    match (rows, bytes) {
        (0, 0) => {}
        (0, bytes) => parts.push(format!("{} received", DecimalBytes(bytes))),
        (rows, _) => parts.push(format!("{} rows received", HumanCount(rows))),
    }
    parts.join(" · ")
}

fn spinner() -> ProgressStyle {
    styled("{spinner} {since} {msg}")
}

fn files() -> ProgressStyle {
    styled("{spinner} {since} {bar:20.cyan/dim} {msg}").progress_chars("━╸─")
}

fn styled(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.with_key("since", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // A bar that cannot be drawn is none.
        let _ = write!(out, "{:>6}", span(state.elapsed()));
    })
}

#[cfg(test)]
mod tests;
