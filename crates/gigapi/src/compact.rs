//! The verb that does a compactor's work by hand: `compact [database[.table]] [--dry-run]`.
//!
//! It opens catalog and layers by the same settings as a server and may run beside servers: claims keep them apart.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use gigapi_compactor::{Intent, Scope, dry_run, once};
use gigapi_model::{DatabaseName, TableName};
use gigapi_service::Components;
use gigapi_service::process::SettingsArgs;
use indicatif::HumanBytes;

/// Merge, move and end files that are due, or show what is.
///
/// Exits with 1 if something failed.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// A database, or a table as `database.table`; everything if it is left out.
    target: Option<String>,
    /// Show the plan and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) async fn run(args: CompactArgs) -> anyhow::Result<ExitCode> {
    let CompactArgs { target, dry_run: dry, settings } = args;
    let scope = target.as_deref().map(scope).transpose()?.unwrap_or_default();
    let settings = settings.load(&[])?.settings;
    let components = Components::open(&settings).await?;
    if dry {
        show(&dry_run(&settings, &components, scope).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let summary = once(&settings, &components, scope).await?;
    println!("{summary}");
    for failure in &summary.failures {
        eprintln!("gigapi: {failure}");
    }
    Ok(if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scope(target: &str) -> anyhow::Result<Scope> {
    let wrong = |error: gigapi_model::NameError| anyhow!("{target:?} names no database or table: {error}");
    let (database, table) = match target.split_once('.') {
        Some((database, table)) => (database, Some(table)),
        None => (target, None),
    };
    let table = table.map(TableName::new).transpose().map_err(wrong)?;
    Ok(Scope { database: Some(DatabaseName::new(database).map_err(wrong)?), table })
}

fn show(intents: &[Intent]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["table", "job", "where", "files", "rows", "bytes", "why"]);
    for intent in intents {
        let Intent { table: name, job, place, files, bytes, rows, why } = intent;
        table.add_row([
            name.clone(),
            (*job).to_owned(),
            place.clone(),
            files.to_string(),
            rows.to_string(),
            HumanBytes(*bytes).to_string(),
            why.clone(),
        ]);
    }
    for number in 3..=5 {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if !intents.is_empty() {
        writeln!(out, "{table}\n").context("writing the plan")?;
    }
    let (files, bytes) = intents.iter().fold((0, 0), |(files, bytes), i| (files + i.files, bytes + i.bytes));
    writeln!(out, "{} jobs are due, on {files} files of {}", intents.len(), HumanBytes(bytes))
        .context("writing the plan")
}
