//! Other engines, each in a process of its own that stays up between questions.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What an engine answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) milliseconds: f64,
    pub(super) rows: u64,
    /// Of all numbers but times.
    pub(super) sum: f64,
}

impl Answered {
    /// Whether both are the same answer, up to the order in which floats were added.
    pub(super) fn agrees(self, other: Self) -> bool {
        self.rows == other.rows && (self.sum - other.sum).abs() <= 1e-9 * self.sum.abs().max(1.0)
    }
}

/// An engine over a list of data files.
pub(super) struct Engine {
    pub(super) name: &'static str,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Engine {
    pub(super) fn start(name: &'static str, files: &[PathBuf]) -> Result<Self> {
        let python =
            std::env::var("GIGAPI_BENCH_PYTHON").context("GIGAPI_BENCH_PYTHON names the Python with engines")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/engines.py");
        let mut command = Command::new(python);
        command.arg(script).arg(name).args(files).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let questions = process.stdin.take().context("no input")?;
        let answers = BufReader::new(process.stdout.take().context("no output")?);
        let mut engine = Self { name, process, questions, answers };
        engine.line()?;
        Ok(engine)
    }

    pub(super) fn ask(&mut self, sql: &str) -> Result<Answered> {
        writeln!(self.questions, "{}", serde_json::json!({ "sql": sql }))?;
        let answer = self.line()?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{}: {sql}\n{error}", self.name);
        }
        let number = |key: &str| answer[key].as_f64().with_context(|| format!("no {key} in {answer}"));
        Ok(Answered { milliseconds: number("ms")?, rows: number("rows")? as u64, sum: number("sum")? })
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("{} ended", self.name);
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Gone already, or ended by this; there is nothing else to do about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
