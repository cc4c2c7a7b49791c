//! What is typed after `gigapi query`, and what the program makes of it.

use std::io::{IsTerminal, Read, stderr, stdin, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use gigapi_service::settings::Consistency;

use super::split::split;
use crate::client::ConnectArgs;

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for people.
    #[value(alias = "pretty")]
    Table,
    /// One line for each value.
    Line,
    /// Comma-separated values with a header.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    #[value(alias = "jsonl")]
    Ndjson,
    /// An Apache Parquet file.
    Parquet,
}

impl Format {
    /// What the server is asked for: what people read is drawn here, the rest is passed on as it comes.
    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::Table | Self::Line => "arrow",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Line => "line",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// Ask in SQL: one statement, a script, or a shell where neither is given.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a statement, and with a terminal at both ends, this is a shell; .help lists its commands.\n\
    Exit codes: 0 everything was answered, 1 a statement failed, 2 the command line is wrong, 130 interrupted."
)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
    /// The statement, or several divided by `;`. `-` or none reads them from standard input
    pub(super) sql: Option<String>,
    /// Statements to run; can be repeated, they run in this order
    #[arg(short, long = "command", value_name = "SQL", conflicts_with = "sql", allow_hyphen_values = true)]
    pub(super) commands: Vec<String>,
    /// Run the statements of this file
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["sql", "commands"])]
    pub(super) file: Option<PathBuf>,
    /// How the answers look
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// Write the answers to this file; it appears under its name once they are complete
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Which rows are seen: committed, or with tail also those that writers in other processes still hold, or with
    /// tail_best_effort those of the writers that answer [default: as the server is set]
    #[arg(long, value_name = "WHICH")]
    pub(super) consistency: Option<Consistency>,
    /// Rows of a table that a terminal shows; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) rows: usize,
}

/// Statements, and where they come from.
#[derive(Debug)]
pub(super) struct Source {
    /// What a line number is of; nothing for a text on the command line.
    pub(super) name: Option<String>,
    pub(super) text: String,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Task {
    Shell,
    Run(Vec<Source>),
}

impl QueryArgs {
    /// Reads what is to be run. Nothing is asked of the server before all of it is there.
    pub(super) fn task(&self) -> Result<Task> {
        let typed = |text: &String| Source { name: None, text: text.clone() };
        if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            return Ok(Task::Run(vec![Source { name: Some(file.display().to_string()), text }]));
        }
        if !self.commands.is_empty() {
            return Ok(Task::Run(self.commands.iter().map(typed).collect()));
        }
        match &self.sql {
            Some(sql) if sql != "-" => Ok(Task::Run(vec![typed(sql)])),
            None if stdin().is_terminal() && stdout().is_terminal() && self.output.is_none() => Ok(Task::Shell),
            _ => {
                if stdin().is_terminal() && stderr().is_terminal() {
                    eprintln!("gigapi: reading statements until Ctrl-D");
                }
                let mut text = String::new();
                stdin().read_to_string(&mut text).context("cannot read statements from standard input")?;
                Ok(Task::Run(vec![Source { name: Some("standard input".to_owned()), text }]))
            }
        }
    }

    /// What is wrong with the command line beyond what its parser sees.
    pub(super) fn complaint(&self, task: &Task) -> Option<String> {
        if self.format != Format::Parquet {
            return None;
        }
        let nowhere = self.output.is_none() && stdout().is_terminal();
        match task {
            _ if nowhere => Some("a Parquet file is nothing for a terminal: name a file with --output".to_owned()),
            Task::Shell => None,
            Task::Run(sources) => {
                let statements: usize = sources.iter().map(|source| split(&source.text).statements.len()).sum();
                let told = format!("a Parquet file holds one answer, and these are {statements} statements");
                (statements > 1).then_some(told)
            }
        }
    }
}
