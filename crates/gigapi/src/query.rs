//! `gigapi query`: SQL on the command line, as a filter between pipes and as a shell.
//!
//! `args` is what was typed. `filter` runs statements one after another, `shell` reads them from a person; both hand each
//! one to `answer`, which asks the server and writes what comes to an `output`. The rest serves these: `lex` and `split`
//! find statements in a text, `table` draws rows, `progress` shows how far a query has come, `failure` says what went
//! wrong. SQL is never understood here: what a statement means, only the server knows.

mod answer;
mod args;
mod catalog;
mod failure;
mod filter;
mod lex;
mod output;
mod progress;
mod shell;
mod split;
mod table;
mod text;

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;

pub(crate) use args::QueryArgs;

use crate::client::Client;
use answer::View;
use args::Task;
use output::Output;
use table::Paint;

/// The exit code of a command line that cannot be meant.
const USAGE: u8 = 2;

pub(crate) fn run(args: &QueryArgs) -> Result<ExitCode> {
    let task = args.task()?;
    if let Some(complaint) = args.complaint(&task) {
        eprintln!("gigapi: {complaint}");
        return Ok(ExitCode::from(USAGE));
    }
    let client = match Client::for_queries(&args.connect) {
        Ok(client) => client.seeing(args.consistency),
        Err(error) => {
            eprintln!("gigapi: {}", gigapi_service::process::told(error.as_ref()));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let view = View {
        format: args.format,
        rows_max: (args.rows > 0).then_some(args.rows),
        timer: true,
        paint: Paint { colours: wants_colours() },
        in_shell: matches!(task, Task::Shell),
    };
    let runtime = Runtime::new().context("cannot start the runtime")?;
    match task {
        Task::Shell => shell::run(&runtime, client, view),
        Task::Run(sources) => {
            let output = match &args.output {
                Some(path) => Output::draft(path)?,
                None => Output::Standard,
            };
            runtime.block_on(filter::run(&client, view, &sources, output))
        }
    }
}

/// Whether whoever reads standard output likes it coloured.
fn wants_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    stdout().is_terminal() && !refused && !dumb
}
