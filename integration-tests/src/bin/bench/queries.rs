//! `make bench-queries`: eleven questions over ten million rows, asked in turn of our server over HTTP and of DuckDB and
//! ClickHouse over the same files.
//!
//! The rows are ingested, then merged until each hour is one file. Every engine answers with Arrow data, and answers
//! are compared, so that no engine is fast because it is wrong.

mod engines;
mod many_files;
mod ours;
mod questions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use integration_tests::{Embedded, Server, ServerOptions, until};

use crate::load::{LINES_PER_BODY, bodies, load};
use engines::{Answered, Engine};
use ours::Ours;
use questions::{A_MILLION, Question};

const PATIENCE: Duration = Duration::from_secs(600);
const HOURS: usize = 28;
/// How often each engine is asked each question; the median counts.
const ROUNDS: usize = 5;
/// A step is ten rows of a thousand hosts, ten seconds apart.
const BODIES: u64 = HOURS as u64 * 360 / 10;

pub(crate) async fn run() -> Result<()> {
    let folder = match std::env::var_os("BENCH_FOLDER") {
        Some(kept) => Folder::Kept(PathBuf::from(kept)),
        None => Folder::Fresh(tempfile::tempdir()?),
    };
    let root = folder.path().join("data");
    if !root.exists() {
        ingest(&root).await?;
    }
    let files = files(&root).await?;
    let bytes: u64 = files.iter().map(|file| file.metadata().map_or(0, |meta| meta.len())).sum();
    println!(
        "queries: {} rows in {} files of {:.1} MiB together",
        BODIES * LINES_PER_BODY as u64,
        files.len(),
        crate::mib(bytes)
    );
    let only = std::env::var("BENCH_QUESTION").ok();
    let questions: Vec<_> =
        questions::all().into_iter().filter(|each| only.as_ref().is_none_or(|only| each.name == only)).collect();
    warm(&root, &files, &questions).await?;
    cold(&root, &questions).await?;
    if only.is_none() {
        rows_out(&root).await?;
        many_files::planning(&folder.path().join("many")).await?;
    }
    Ok(())
}

enum Folder {
    Fresh(tempfile::TempDir),
    /// Named by the operator, so that the next run finds the rows.
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Fresh(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

async fn server(root: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    let options = ServerOptions::new(root).set("LOGLEVEL", "warn");
    settings.iter().fold(options, |options, (name, value)| options.set(name, *value)).start().await
}

/// Writes the rows and waits until every hour is one file.
async fn ingest(root: &Path) -> Result<()> {
    let server = server(root, &[("GIGAPI_MERGE_TIMEOUT_S", "0.05")]).await?;
    let client = server.client();
    let (sent, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    // One connection, so that each host's walk goes on from body to body.
    let loader = load(bodies(50), server.port(), BODIES, sent, bytes, None);
    tokio::task::spawn_blocking(|| loader.join()).await?.map_err(|_| anyhow!("a loader panicked"))??;
    until("all rows are in files", PATIENCE, async || Ok(client.metric("gigapi_buffer_rows").await? == 0.0)).await?;
    let hours_are_files = async || Ok(files(root).await?.len() <= HOURS);
    until("every hour is one file", PATIENCE, hours_are_files).await?;
    let body = r#"{"db":"bench","table":"cpu","settings":{"merge.enabled":"false"}}"#;
    let answer = client.put("/api/v3/configure/table", body).await?;
    ensure!(answer.status == 200, "the table was not changed: {}", answer.body);
    until("no merge runs", PATIENCE, async || Ok(client.metric("gigapi_compactor_jobs_running").await? == 0.0)).await?;
    server.stop().await?;
    Ok(())
}

async fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let live = Embedded::open(root)?.live_files("bench", "cpu").await?;
    Ok(live.into_iter().map(|file| file.path).collect())
}

/// All three engines, asked in turn.
async fn warm(root: &Path, files: &[PathBuf], questions: &[Question]) -> Result<()> {
    let server = server(root, &[]).await?;
    let ours = Ours::of(&server);
    let mut duckdb = Engine::start("duckdb", files)?;
    let mut chdb = Engine::start("chdb", files)?;
    println!("  {:>22} {:>9} {:>9} {:>9}   ours / better of both", "ms, median of 5", "ours", "DuckDB", "ClickHouse");
    let mut logs = 0.0;
    for question in questions {
        let mut times: [Vec<f64>; 3] = Default::default();
        let mut first: Option<Answered> = None;
        for round in 0..=ROUNDS {
            let answers =
                [ours.ask(&question.ours).await?, duckdb.ask(&question.duckdb)?, chdb.ask(&question.clickhouse)?];
            let expected = *first.get_or_insert(answers[0]);
            for (answer, times) in answers.iter().zip(&mut times) {
                let is_right = answer.rows == expected.rows && (!question.is_decided || answer.agrees(expected));
                ensure!(is_right, "{}: {answers:?} are not one answer", question.name);
                // The first of all fills caches.
                if round > 0 {
                    times.push(answer.milliseconds);
                }
            }
        }
        let [ours, duckdb, chdb] = times.map(median);
        let ratio = ours / duckdb.min(chdb);
        logs += ratio.ln();
        println!("  {:>22} {ours:>9.1} {duckdb:>9.1} {chdb:>9.1}   {ratio:.2}", question.name);
    }
    println!("  {:>22} {:>29}   {:.2} geometric mean", "", "", (logs / questions.len() as f64).exp());
    server.stop().await?;
    Ok(())
}

/// The first question that a fresh process is asked; what the operating system holds of the files is warm.
async fn cold(root: &Path, questions: &[Question]) -> Result<()> {
    println!("  first question of a process, ms");
    for question in questions {
        let mut times = Vec::new();
        for _ in 0..3 {
            let server = server(root, &[]).await?;
            times.push(Ours::of(&server).ask(&question.ours).await?.milliseconds);
            server.stop().await?;
        }
        println!("  {:>22} {:>9.1}", question.name, median(times));
    }
    Ok(())
}

async fn rows_out(root: &Path) -> Result<()> {
    let server = server(root, &[]).await?;
    let ours = Ours::of(&server);
    println!("  a million rows of time, one tag and one float, ms");
    for format in ["arrow", "json", "jsonl", "csv"] {
        let mut times = Vec::new();
        for round in 0..=ROUNDS {
            let (took, _) = ours.fetch(A_MILLION, format).await?;
            if round > 0 {
                times.push(took);
            }
        }
        println!("  {format:>22} {:>9.0}", median(times));
    }
    server.stop().await?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
