//! What was typed, and which verb answers it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use anyhow::Context;
use gigapi_service::process::{SettingsArgs, told};

use crate::{catalog, compact, health, import, query, serve, tables, write};

/// A time-series lakehouse: line protocol in, sorted Parquet on your disks, SQL out.
#[derive(Debug, Parser)]
#[command(name = "gigapi", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve(SettingsArgs),
    Write(write::WriteArgs),
    Import(import::ImportArgs),
    Query(query::QueryArgs),
    Tables(tables::TablesArgs),
    Databases(tables::DatabasesArgs),
    Catalog(catalog::CatalogArgs),
    Compact(compact::CompactArgs),
    Health(health::HealthArgs),
    /// Check the settings and print what is in effect, secrets redacted.
    CheckConfig(SettingsArgs),
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.settings));
    let outcome = match command {
        Command::Serve(settings) => serve::serve(&settings),
        Command::Write(args) => client(write::run(args)),
        Command::Import(args) => client(import::run(args)),
        Command::Query(args) => query::run(&args),
        Command::Tables(args) => client(tables::tables(args)),
        Command::Databases(args) => client(tables::databases(args)),
        Command::Catalog(args) => client(catalog::run(args)),
        Command::Compact(args) => client(compact::run(args)),
        Command::Health(args) => client(health::run(args)),
        Command::CheckConfig(settings) => check_config(&settings),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gigapi: {}", told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Runs a verb that talks to a server.
fn client(verb: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(verb)
}

fn check_config(settings: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let loaded = settings.load(&[])?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    print!("{}", loaded.effective);
    Ok(ExitCode::SUCCESS)
}
