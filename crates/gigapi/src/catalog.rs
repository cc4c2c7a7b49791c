//! The verbs that look after the catalog by hand: `catalog verify`, `catalog rebuild` and `catalog writers`.
//!
//! They open catalog and layers by the same settings as a server and may run beside servers: verifying changes
//! nothing, and a rebuild makes every process wait until it is done.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use gigapi_catalog::Catalog;
use gigapi_model::WriterId;
use gigapi_recovery::{Severity, VerifyOptions, rebuild, verify};
use gigapi_service::Components;
use gigapi_service::process::SettingsArgs;

/// Compare the catalog with the layers, or restore it from them.
#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Compare the catalog with what lies on the layers and explain every difference; change nothing.
    ///
    /// Exits with 1 if anything is missing or damaged.
    Verify {
        /// Read every live file and compare its checksum; without it sizes are compared.
        #[arg(long)]
        checksums: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Restore the catalog from checkpoints and data files, under a new epoch.
    ///
    /// Servers may go on running: they wait until it is done. Nothing is deleted.
    Rebuild {
        /// What to restore from; there is no other source, so this is how the intention is confirmed.
        #[arg(long, required = true)]
        from_layers: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// List the writers that may hold rows which are in no file, and where queriers reach them.
    ///
    /// A writer leaves the list when it stops and has flushed everything. One that was killed stays on it, because its
    /// write-ahead log has rows; if that is lost, forget the writer, so that queries with consistency=tail go on.
    Writers {
        /// Take this writer, by its id, off the list: it will not come back
        #[arg(long, value_name = "ID")]
        forget: Option<WriterId>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(crate) async fn run(args: CatalogArgs) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Verify { checksums, settings } => verified(&settings, VerifyOptions { checksums }).await,
        Verb::Rebuild { settings, .. } => rebuilt(&settings).await,
        Verb::Writers { forget, settings } => writers(&settings, forget).await,
    }
}

async fn opened(settings: &SettingsArgs) -> anyhow::Result<Components> {
    let loaded = settings.load(&[])?;
    Ok(Components::open_unclaimed(&loaded.settings).await?)
}

async fn writers(settings: &SettingsArgs, forget: Option<WriterId>) -> anyhow::Result<ExitCode> {
    let components = opened(settings).await?;
    let catalog: &dyn Catalog = components.catalog.as_ref();
    let registered = catalog.registered_writers().await?;
    let Some(forget) = forget else {
        for (writer, address) in registered {
            println!("{writer}  {address}");
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !registered.contains_key(&forget) {
        bail!("no writer {forget} is registered; `gigapi catalog writers` lists those that are");
    }
    catalog.withdraw_writer(forget).await?;
    println!("queries no longer ask writer {forget}; if it starts again, they do");
    Ok(ExitCode::SUCCESS)
}

async fn rebuilt(settings: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let components = opened(settings).await?;
    let catalog: &dyn Catalog = components.catalog.as_ref();
    let report = rebuild(catalog, &components.layers).await.context("the catalog was not rebuilt")?;
    println!(
        "catalog {} is rebuilt under epoch {}: {} tables, {} files, {} rows",
        report.catalog, report.epoch, report.tables, report.files, report.rows
    );
    if report.orphans + report.foreign > 0 {
        println!(
            "left alone: {} data files that no table needs, {} Parquet objects of others; `gigapi catalog verify` explains them",
            report.orphans, report.foreign
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn verified(settings: &SettingsArgs, options: VerifyOptions) -> anyhow::Result<ExitCode> {
    let components = opened(settings).await?;
    let report = match verify(components.catalog.as_ref(), &components.layers, options).await {
        Err(error) if error.kind().is_transient() => {
            bail!(
                "{error}; once it serves again, or is rebuilt with `gigapi catalog rebuild --from-layers`, repeat this"
            )
        }
        other => other?,
    };
    let mut out = std::io::stdout().lock();
    if !report.findings.is_empty() {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["", "object", "why"]);
        for finding in &report.findings {
            let severity = match finding.severity {
                Severity::Damage => "DAMAGE",
                Severity::Explained => "ok",
            };
            table.add_row([severity, &finding.what, &finding.why]);
        }
        writeln!(out, "{table}\n")?;
    }
    let damage = report.findings.iter().filter(|finding| finding.severity == Severity::Damage).count();
    writeln!(
        out,
        "{} tables, {} live files, {} rows, {} bytes; {} differences, {damage} of them damage",
        report.tables,
        report.files,
        report.rows,
        report.bytes,
        report.findings.len()
    )?;
    Ok(if report.has_damage() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
