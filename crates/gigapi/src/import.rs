//! `gigapi import`: CSV, JSON and Parquet files as rows of a table.
//!
//! Files are read on this side and travel as line protocol, so an import needs nothing of the server that a
//! client does not need. Types are inferred and shown before anything is sent.

mod lines;
mod plan;
mod shape;
mod source;
mod time;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::sync::mpsc;

use crate::client::{Client, ConnectArgs};
use crate::send::{Batch, Origin, progress, send};
use lines::{LeftOut, encode};
use plan::Plan;
use source::Source;

/// Rows of one request.
const ROWS_PER_REQUEST: usize = 10_000;

/// Import CSV, JSON lines, JSON or Parquet files into a table.
///
/// Every row is kept unless --key says that rows of the same tags and time replace each other.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Files of one kind: .csv, .json, .jsonl, .ndjson or .parquet.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The table.
    #[arg(short, long, value_name = "NAME")]
    table: String,
    /// The column of the row's time, and how to read it: rfc3339, date, s, ms, us, ns, auto, or a pattern
    /// such as %Y/%m/%d %H:%M.
    #[arg(long, value_name = "COLUMN[:FORMAT]")]
    time: String,
    /// Columns that identify a row's series.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    tag: Vec<String>,
    /// Columns that are left out; the name of an object or a list leaves out all that is in it.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    skip: Vec<String>,
    /// Let a row replace an earlier one of the same tags and time.
    #[arg(long)]
    key: bool,
    /// Where the records lie in a JSON document, as a dotted path.
    #[arg(long, value_name = "PATH")]
    records: Option<String>,
    /// Requests at once.
    #[arg(long, value_name = "N", default_value_t = 4)]
    parallel: usize,
}

pub(crate) async fn run(args: ImportArgs) -> Result<ExitCode> {
    let client = Client::new(&args.connect)?;
    let mut sources = Vec::new();
    for file in &args.files {
        sources.push(
            Source::open(file, args.records.as_deref(), &args.skip)
                .with_context(|| format!("cannot read {}", file.display()))?,
        );
    }
    let first = sources.first().context("no files")?;
    let plan = Plan::new(&args, &first.schema)?;
    println!("{}", plan.table());
    for (source, file) in sources.iter().zip(&args.files).skip(1) {
        let other = Plan::new(&args, &source.schema).with_context(|| format!("in {}", file.display()))?;
        if other.columns() != plan.columns() {
            bail!("{} has other columns than {}; import them one by one", file.display(), args.files[0].display());
        }
    }
    let total = sources.iter().map(|source| source.bytes).sum();
    let bar = progress(Some(total));
    let (batches, inbox) = mpsc::channel(args.parallel.max(1));
    let key = if args.key { "tags" } else { "none" };
    let parameters = vec![("precision".to_owned(), "nanosecond".to_owned()), ("key".to_owned(), key.to_owned())];
    let parallel = args.parallel.max(1);
    let names: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
    let reading = tokio::task::spawn_blocking(move || read_all(sources, &names, &plan, &batches));
    let sent = send(&client, inbox, parameters, parallel, &bar).await?;
    let left_out = reading.await?;
    println!("{}", sent.summary());
    if let Some(reasons) = left_out.reasons() {
        println!("{reasons}");
    }
    Ok(if sent.refused == 0 && left_out.rows() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Turns all rows into batches; answers which could not be.
fn read_all(sources: Vec<Source>, names: &[String], plan: &Plan, batches: &mpsc::Sender<Result<Batch>>) -> LeftOut {
    let mut left_out = LeftOut::default();
    for (source, name) in sources.into_iter().zip(names) {
        if let Err(error) = read_source(source, name, plan, batches, &mut left_out) {
            // A receiver that is gone has met an error of its own.
            let _ = batches.blocking_send(Err(error.context(format!("in {name}"))));
            break;
        }
        if batches.is_closed() {
            break;
        }
    }
    left_out
}

fn read_source(
    source: Source,
    name: &str,
    plan: &Plan,
    batches: &mpsc::Sender<Result<Batch>>,
    left_out: &mut LeftOut,
) -> Result<()> {
    let mut row = 1_u64;
    for batch in source.batches {
        let batch = batch?;
        for start in (0..batch.num_rows()).step_by(ROWS_PER_REQUEST) {
            let rows = ROWS_PER_REQUEST.min(batch.num_rows() - start);
            let encoded = encode(&batch.slice(start, rows), plan, row, left_out)?;
            row += rows as u64;
            let piece = Batch {
                lines: encoded.rows.len() as u64,
                body: encoded.body.into(),
                // Text files say nothing of where a row ends, so each row counts alike.
                source_bytes: source.bytes * rows as u64 / source.rows,
                source: name.to_owned(),
                origin: Origin::Rows(encoded.rows),
            };
            if piece.lines > 0 && batches.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
