//! `gigapi import`: CSV, JSON and Parquet files as rows of a table.
//!
//! Files are read on this side and travel as line protocol, so an import needs nothing of the server that a
//! client does not need. Types are inferred and shown before anything is sent.

mod lines;
mod plan;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use bytes::Bytes;
use clap::Args;
use tokio::sync::mpsc;

use crate::client::{Client, ConnectArgs};
use crate::send::{Batch, progress, send};
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
    /// Columns that are left out.
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
        sources.push(Source::open(file, args.records.as_deref()).with_context(|| format!("cannot read {}", file.display()))?);
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
    let without_time = reading.await?;
    println!("{}", sent.summary());
    if without_time > 0 {
        println!("{without_time} rows have no readable time and were left out");
    }
    Ok(if sent.refused == 0 && without_time == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Turns all rows into batches; answers how many had no time.
fn read_all(sources: Vec<Source>, names: &[String], plan: &Plan, batches: &mpsc::Sender<Result<Batch>>) -> u64 {
    let mut without_time = 0;
    for (source, name) in sources.into_iter().zip(names) {
        let mut row = 1_u64;
        let mut accounted = 0;
        for batch in source.batches {
            let made = batch.and_then(|batch| {
                let share = source.bytes * batch.num_rows() as u64 / source.rows.max(1);
                cut(&batch, plan, share)
            });
            match made {
                Ok(pieces) => {
                    for (lines, rows, missing, share) in pieces {
                        without_time += missing;
                        accounted += share;
                        let body = Bytes::from(lines);
                        let batch = Batch {
                            body,
                            lines: rows - missing,
                            source_bytes: share.min(source.bytes.saturating_sub(accounted - share)),
                            source: name.clone(),
                            first_line: row,
                        };
                        row += rows;
                        if !batch.body.is_empty() && batches.blocking_send(Ok(batch)).is_err() {
                            return without_time;
                        }
                    }
                }
                Err(error) => {
                    // A receiver that is gone has met an error of its own.
                    let _ = batches.blocking_send(Err(error.context(format!("in {name}"))));
                    return without_time;
                }
            }
        }
    }
    without_time
}

type Piece = (Vec<u8>, u64, u64, u64);

/// Line protocol of a batch in pieces of one request: lines, rows, rows without time, share of the source.
fn cut(batch: &RecordBatch, plan: &Plan, bytes: u64) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < batch.num_rows() {
        let rows = ROWS_PER_REQUEST.min(batch.num_rows() - start);
        let (lines, missing) = lines::encode(&batch.slice(start, rows), plan)?;
        pieces.push((lines, rows as u64, missing, bytes * rows as u64 / batch.num_rows().max(1) as u64));
        start += rows;
    }
    Ok(pieces)
}
