//! Statements one after another, for scripts and pipes: the first that fails is named and is the last.

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use anyhow::Result;

use super::answer::{View, answer};
use super::args::Source;
use super::failure::{Failure, report};
use super::output::Output;
use super::split::{Statement, split};
use super::text::{fitted, plain};
use crate::client::Client;

/// What a shell makes of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// How much of a statement is repeated to say which one failed.
const NAMED_WIDTH: usize = 60;
/// Where standard error is no terminal, lines may be this long.
const COLUMNS: usize = 100;

/// Runs all statements.
pub(super) async fn run(client: &Client, view: View, sources: &[Source], mut output: Output) -> Result<ExitCode> {
    let statements: Vec<(&Source, Statement<'_>)> = sources
        .iter()
        .flat_map(|source| split(&source.text).statements.into_iter().map(move |statement| (source, statement)))
        .collect();
    for (index, (source, statement)) in statements.iter().enumerate() {
        match answer(client, statement.text, view, &mut output).await {
            Ok(foot) if output.is_terminal() => {
                for line in foot {
                    writeln!(output, "{}", view.paint.dim(&line))?;
                }
            }
            Ok(_) => {}
            Err(Failure::ReaderGone) => return Ok(ExitCode::SUCCESS),
            Err(failure) => {
                let place = place(source, statement, index + 1, statements.len());
                let told = report(&failure, &format!("gigapi: {place}"), statement.text, COLUMNS);
                eprint!("{}{told}", line_break(&failure));
                return Ok(match failure {
                    Failure::Cancelled => ExitCode::from(INTERRUPTED),
                    _ => ExitCode::FAILURE,
                });
            }
        }
    }
    output.keep()?;
    Ok(ExitCode::SUCCESS)
}

/// The terminal has shown `^C` where the cursor was.
fn line_break(failure: &Failure) -> &'static str {
    match failure {
        Failure::Cancelled if stderr().is_terminal() => "\n",
        _ => "",
    }
}

/// Which statement is meant, where there is a choice.
fn place(source: &Source, statement: &Statement<'_>, number: usize, of: usize) -> String {
    let line = source.name.as_ref().map(|name| format!(", line {} of {}", statement.line, plain(name)));
    if of == 1 {
        return line.map(|line| format!("{}: ", &line[2..])).unwrap_or_default();
    }
    let first = plain(statement.text.lines().next().unwrap_or_default());
    let first = fitted(&first, NAMED_WIDTH);
    format!("statement {number} of {of} failed{} ({first}): ", line.unwrap_or_default())
}

#[cfg(test)]
mod tests;
