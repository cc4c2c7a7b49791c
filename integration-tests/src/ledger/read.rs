//! The rows that there are, over SQL and in files. What reads them is somebody else's code in both cases.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::Client;

/// A row that is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) client: String,
    pub(super) seq: u64,
    pub(super) hash: i64,
}

/// The rows that a server answers with.
pub(super) async fn over_http(querier: &Client, name: &str) -> Result<Vec<Row>> {
    let body = json!({ "query": format!("SELECT client, seq, hash FROM {name}"), "db": name }).to_string();
    let answer = querier.post("/query?format=csv", &[("content-type", "application/json")], body).await?;
    if answer.status != 200 {
        bail!("the rows of the ledger were answered {}: {}", answer.status, answer.body);
    }
    parse(&answer.body)
}

/// The rows of these Parquet files.
pub(super) fn files(files: &[PathBuf]) -> Result<Vec<Row>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    parse(&python("-", &json!(files).to_string())?)
}

/// The rows of the Parquet files that the documents below a table's folder list.
pub(super) fn published(table: &Path) -> Result<Vec<Row>> {
    parse(&python(table.to_str().context("not a plain path")?, "")?)
}

fn python(argument: &str, input: &str) -> Result<String> {
    let python = std::env::var_os("GIGAPI_PYTHON").context("GIGAPI_PYTHON is not set; run `make test`")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ledger_files.py");
    let mut command = Command::new(python);
    command.arg(script).arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("Python cannot be started")?;
    child.stdin.take().context("no way in")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the files of the ledger cannot be read: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Lines `client,seq,hash` after one of names.
fn parse(csv: &str) -> Result<Vec<Row>> {
    let row = |line: &str| -> Result<Row> {
        let mut fields = line.split(',');
        let mut field = || fields.next().with_context(|| format!("not a row of the ledger: {line}"));
        Ok(Row { client: field()?.to_owned(), seq: field()?.parse()?, hash: field()?.parse()? })
    };
    csv.lines().skip(1).map(row).collect()
}
