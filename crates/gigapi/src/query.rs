//! `gigapi query`: one statement, its answer as a table, CSV or JSON.

use std::fs::File;
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use futures::StreamExt;

use crate::client::{Client, ConnectArgs};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Jsonl,
    /// An Apache Parquet file.
    Parquet,
}

impl Format {
    fn parameter(self) -> &'static str {
        match self {
            Self::Table => "pretty",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// Ask in SQL.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The statement; `-` or none reads it from standard input.
    sql: Option<String>,
    /// How the answer looks.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the answer to this file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(args: QueryArgs) -> Result<ExitCode> {
    if args.format == Format::Parquet && args.output.is_none() && stdout().is_terminal() {
        bail!("a Parquet file is nothing for a terminal: name a file with --output");
    }
    let sql = match args.sql.as_deref() {
        Some("-") | None => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).context("cannot read the statement from standard input")?;
            text
        }
        Some(sql) => sql.to_owned(),
    };
    let client = Client::new(&args.connect)?;
    let mut answer = client.query(&sql, args.format.parameter()).await?.bytes_stream();
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(stdout().lock()),
    };
    let mut last = b'\n';
    while let Some(piece) = answer.next().await {
        let piece = piece.context("the answer broke off; what was printed is incomplete")?;
        out.write_all(&piece)?;
        last = piece.last().copied().unwrap_or(last);
    }
    if last != b'\n' && args.output.is_none() && args.format != Format::Parquet {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
