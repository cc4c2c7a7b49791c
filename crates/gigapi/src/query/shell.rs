//! The shell: reads statements from a person, one prompt after another.
//!
//! The line editor blocks the thread, so this part is not async; each statement is run on the runtime and waited for.
//! At the prompt Ctrl-C clears the line and Ctrl-D ends; while a statement runs, Ctrl-C ends that statement.
//! Nothing is sent a second time by itself: whoever types sees why it failed and decides.

mod commands;
mod complete;
mod echo;
mod helper;
mod history;
mod names;

use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::runtime::Runtime;

use super::answer::{View, answer, interruptible};
use super::args::Format;
use super::catalog;
use super::failure::{Failure, report};
use super::output::Output;
use super::split::split;
use super::table::{Drawer, Paint};
use super::text::{counted, plain};
use crate::client::Client;
use commands::{Command, fits, nearest};
use echo::Quiet;
use helper::{ShellHelper, is_command};
use names::Names;

/// Entries of the history that are kept.
const HISTORY_MAX: usize = 2_000;

/// Reads and answers until the end.
pub(super) fn run(runtime: &Runtime, client: Client, view: View) -> Result<ExitCode> {
    let client = client.without_retries();
    let names = Rc::new(Names::new(runtime.handle().clone(), client.clone()));
    let config = Config::builder()
        .max_history_size(HISTORY_MAX)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .build();
    let mut editor: Editor<ShellHelper, FileHistory> =
        Editor::with_config(config).context("cannot use this terminal")?;
    editor.set_helper(Some(ShellHelper::new(Rc::clone(&names), view.paint)));
    let mut history = history::path();
    if let Some(path) = &history {
        // The first shell of a user finds none.
        let _ = editor.load_history(path);
    }
    println!("gigapi {} at {}", env!("CARGO_PKG_VERSION"), plain(&client.shown_url()));
    println!("A statement ends with ; and may take several lines. .help lists commands, Ctrl-D ends.");
    let mut shell = Shell { runtime, client, view, output: Output::Standard, output_name: None, names };
    loop {
        let prompt = format!("{}> ", plain(shell.client.database()));
        match editor.readline(&(prompt.as_str(), view.paint.cyan(&prompt).as_str())) {
            Ok(line) => {
                if editor.add_history_entry(line.trim_end())? {
                    keep_history(&mut editor, &mut history);
                }
                let quiet = Quiet::begin();
                let next = shell.take(&line)?;
                drop(quiet);
                if next == Next::End {
                    break;
                }
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("cannot read from the terminal"),
        }
    }
    shell.output.keep()?;
    Ok(ExitCode::SUCCESS)
}

fn keep_history(editor: &mut Editor<ShellHelper, FileHistory>, history: &mut Option<PathBuf>) {
    let Some(path) = history else { return };
    let kept = history::prepare(path).and_then(|()| Ok(editor.append_history(path)?));
    if let Err(error) = kept {
        eprintln!("gigapi: the history is not kept: {error:#}");
        *history = None;
    }
}

/// What follows a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Prompt,
    End,
}

struct Shell<'a> {
    runtime: &'a Runtime,
    client: Client,
    view: View,
    output: Output,
    /// The file that answers go to.
    output_name: Option<PathBuf>,
    names: Rc<Names>,
}

impl Shell<'_> {
    /// Does what a line, or a text of several, says. An error is one of the terminal.
    fn take(&mut self, text: &str) -> io::Result<Next> {
        if !is_command(text) {
            self.statements(text, None)?;
            return Ok(Next::Prompt);
        }
        // A paste may hold more below a command.
        let (line, rest) = text.trim_start().split_once('\n').unwrap_or((text, ""));
        let next = self.command(line.trim())?;
        match next == Next::Prompt && !rest.trim().is_empty() {
            true => self.take(rest),
            false => Ok(next),
        }
    }

    fn command(&mut self, line: &str) -> io::Result<Next> {
        let line = match line.to_ascii_lowercase().as_str() {
            "quit" | "exit" | r"\q" => ".quit",
            "help" | r"\?" | r"\h" => ".help",
            _ => line,
        };
        let command = match commands::parse(line) {
            Ok(Command::Quit) => return Ok(Next::End),
            Ok(command) => command,
            Err(told) => {
                self.complain(&told)?;
                return Ok(Next::Prompt);
            }
        };
        match self.obey(command) {
            Ok(()) => {}
            Err(failure) => self.fail(&failure, "", "")?,
        }
        Ok(Next::Prompt)
    }

    fn obey(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Quit => {}
            Command::Help => write!(stdout(), "{}", commands::help())?,
            Command::Mode(format) => self.view.format = format,
            Command::Rows(rows) => self.view.rows_max = rows,
            Command::Timer(timer) => self.view.timer = timer,
            Command::Databases => {
                let databases = self.runtime.block_on(interruptible(catalog::databases(&self.client)))?;
                self.list(&databases, "database")?;
            }
            Command::Tables(pattern) => {
                let tables = catalog::tables_of(&self.client, self.client.database());
                let mut tables = self.runtime.block_on(interruptible(tables))?;
                tables.retain(|table| pattern.as_deref().is_none_or(|pattern| fits(pattern, table)));
                self.list(&tables, "table")?;
            }
            Command::Use(database) => self.follow(&database)?,
            Command::Schema(table) => self.schema(&table)?,
            Command::Output(path) => self.redirect(path)?,
            Command::Read(path) => self.read(&path)?,
        }
        Ok(())
    }

    /// Prints names, one a line, to wherever answers go.
    fn list(&mut self, names: &[String], noun: &str) -> Result<(), Failure> {
        for name in names {
            writeln!(self.output, "{}", plain(name))?;
        }
        self.output.flush()?;
        self.say(&[counted(names.len() as u64, noun)])?;
        Ok(())
    }

    fn schema(&mut self, table: &str) -> Result<(), Failure> {
        let columns = self.runtime.block_on(interruptible(catalog::schema(&self.client, table)))?;
        let paint = if self.output.is_terminal() { self.view.paint } else { Paint::default() };
        let mut drawer = Drawer::new(&columns.schema(), self.output.terminal_width(), paint);
        let mut text = String::new();
        drawer.batch(&columns, &mut text).context("the columns cannot be shown")?;
        drawer.finish(&mut text);
        self.output.write_all(text.as_bytes())?;
        self.output.flush()?;
        self.say(&[counted(columns.num_rows() as u64, "column")])?;
        Ok(())
    }

    fn follow(&mut self, database: &str) -> Result<(), Failure> {
        let databases = self.runtime.block_on(interruptible(catalog::databases(&self.client)))?;
        let Some(found) = databases.iter().find(|known| known.eq_ignore_ascii_case(database)) else {
            let near = nearest(database, databases.iter().map(String::as_str));
            let advice = match near {
                Some(near) => format!("did you mean {near}?"),
                None => "a first write makes it; .databases lists what there is".to_owned(),
            };
            return Err(Failure::Refused(format!("there is no database {database:?}; {advice}")));
        };
        self.client = self.client.of_database(found);
        self.names.follow(&self.client);
        Ok(())
    }

    fn redirect(&mut self, path: Option<PathBuf>) -> Result<(), Failure> {
        let output = match &path {
            Some(path) => Output::growing(path)?,
            None => Output::Standard,
        };
        std::mem::replace(&mut self.output, output).keep()?;
        self.output_name = path;
        Ok(())
    }

    fn read(&mut self, path: &Path) -> Result<(), Failure> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.statements(&text, Some(&path.display().to_string()))?;
        Ok(())
    }

    /// Runs statements until one fails.
    fn statements(&mut self, text: &str, source: Option<&str>) -> io::Result<()> {
        for statement in split(text).statements {
            match self.runtime.block_on(answer(&self.client, statement.text, self.view, &mut self.output)) {
                Ok(foot) => self.say(&foot)?,
                Err(failure) => {
                    let place = source.map(|name| format!("{}, line {}: ", plain(name), statement.line));
                    return self.fail(&failure, &place.unwrap_or_default(), statement.text);
                }
            }
        }
        Ok(())
    }

    /// Says something below an answer, also where the answer itself went to a file.
    fn say(&self, lines: &[String]) -> io::Result<()> {
        for line in lines {
            let to = self.output_name.as_ref().map(|path| format!(", written to {}", plain(&path.to_string_lossy())));
            writeln!(stdout(), "{}", self.view.paint.dim(&format!("{line}{}", to.unwrap_or_default())))?;
        }
        Ok(())
    }

    fn fail(&self, failure: &Failure, place: &str, statement: &str) -> io::Result<()> {
        let told = report(failure, place, statement, Output::Standard.terminal_width().unwrap_or(80));
        match failure {
            // What is passed on may have stopped in the middle of a line.
            Failure::Cancelled if !matches!(self.view.format, Format::Table | Format::Line) => {
                writeln!(stdout(), "\n{}", self.view.paint.dim("cancelled"))
            }
            Failure::Cancelled => writeln!(stdout(), "{}", self.view.paint.dim("cancelled")),
            _ => write!(stdout(), "{} {told}", self.view.paint.red("error:")),
        }
    }

    fn complain(&self, told: &str) -> io::Result<()> {
        writeln!(stdout(), "{} {}", self.view.paint.red("error:"), plain(told))
    }
}
