//! The binary's command line: a service, or with `--once` a job.

use std::process::ExitCode;

use clap::Parser;
use gigapi_service::Components;
use gigapi_service::process::{self, BoxError, Program, SettingsArgs};
use gigapi_service::settings::{Mode, Settings};

use crate::{Scope, once, run};

const PROGRAM: Program = Program {
    name: "gigapi-compactor",
    about: "Merges, moves and ends data files in the background.",
    mode: Mode::Compaction,
    defaults: &[("HTTP_PORT", "7973")],
};

/// Merges, moves and ends data files in the background.
#[derive(Debug, Parser)]
#[command(name = "gigapi-compactor", version = gigapi_service::telemetry::VERSION, max_term_width = 100)]
struct Cli {
    /// Do what is due, print a summary and exit: 0, or 1 if something failed.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The `main` of `gigapi-compactor`.
pub fn main() -> ExitCode {
    let Cli { once, settings } = Cli::parse();
    let outcome = process::load(&PROGRAM, &settings)
        .and_then(|loaded| if once { process::job(loaded, job) } else { process::launch(loaded, run) });
    process::exit(&PROGRAM, outcome)
}

async fn job(settings: &Settings, components: &Components) -> Result<ExitCode, BoxError> {
    let summary = once(settings, components, Scope::default()).await?;
    println!("{summary}");
    for failure in &summary.failures {
        eprintln!("{}: {failure}", PROGRAM.name);
    }
    Ok(if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
