//! Merging in the process that takes writes and answers queries: what it leaves to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use integration_tests::{Client, Server, ServerOptions, until};
use tokio::time::Instant;

use crate::load::{LINES_PER_BODY, Pace, bodies, load, percentile};
use crate::mib;

const PATIENCE: Duration = Duration::from_secs(600);

/// How fast rows may come so that merging keeps up.
///
/// Levels have 2, 20 and 200 s instead of 10, 100 and 1,000, so that rows pass two of them during a step. A rate is
/// kept up with if what is due at its end is merged within a tenth of the time that it lasted.
pub(crate) async fn flat_backlog() -> Result<()> {
    const STEP: Duration = Duration::from_secs(30);
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[("GIGAPI_MERGE_TIMEOUT_S", "2")]).await?;
    let client = server.client();
    let (sent, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    println!("backlog: writes and merges in one process, {} s at each rate", STEP.as_secs());
    let mut kept_up = 0.0;
    for thousands in [250_u64, 500, 750, 1_000, 1_250, 1_500, 2_000] {
        let requests = thousands * 1_000 * STEP.as_secs() / LINES_PER_BODY as u64;
        let first = sent.load(std::sync::atomic::Ordering::Relaxed);
        let pace = Pace::new(first, STEP / u32::try_from(requests)?);
        let (cpu, started) = (server.cpu_seconds()?, Instant::now());
        let made: Vec<_> = (0..4).map(|_| bodies(3)).collect();
        let loaders: Vec<_> = made
            .into_iter()
            .map(|bodies| {
                load(bodies, server.port(), first + requests, Arc::clone(&sent), Arc::clone(&bytes), Some(pace))
            })
            .collect();
        while loaders.iter().any(|loader| !loader.is_finished()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for loader in loaders {
            loader.join().map_err(|_| anyhow!("a loader panicked"))??;
        }
        // Every loader has counted one request that it did not send.
        sent.store(first + requests, std::sync::atomic::Ordering::Relaxed);
        let seconds = started.elapsed().as_secs_f64();
        let rate = (requests * LINES_PER_BODY as u64) as f64 / seconds;
        let busy = (server.cpu_seconds()? - cpu) / seconds;
        let (files, due) = backlog(&client).await?;
        let (files_live, ended) = (client.metric("gigapi_compactor_layer_files").await?, Instant::now());
        until("nothing is due", PATIENCE, async || Ok(!is_busy(&client).await?)).await?;
        let drained = ended.elapsed();
        println!(
            "  {:>12.2} M rows/s, {busy:.2} cores: {files:.0} files of {:.0} MiB due at the end, merged {:.1} s later; {files_live:.0} live",
            rate / 1e6,
            mib(due as u64),
            drained.as_secs_f64()
        );
        if drained > STEP / 10 {
            break;
        }
        kept_up = rate;
        if seconds > STEP.as_secs_f64() * 1.05 {
            println!("  {:>12} come no faster than that: both cores are busy", "rows");
            break;
        }
    }
    println!("  {:>12.2} M rows/s at most are merged as fast as they come", kept_up / 1e6);
    server.stop().await?;
    Ok(())
}

/// Files that are due, and their bytes.
async fn backlog(client: &Client) -> Result<(f64, f64)> {
    let text = client.get("/metrics").await?.body;
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    Ok((sum("gigapi_compactor_backlog_files{"), sum("gigapi_compactor_backlog_bytes{")))
}

/// One host's hour out of twenty million rows, asked again and again: alone, while all of it is merged, and after that.
pub(crate) async fn queries_while_merging() -> Result<()> {
    const REQUESTS: u64 = 2_000;
    const QUIET: usize = 2_000;
    let folder = tempfile::tempdir()?;
    // Flushes ten times as often make files to merge.
    let settings = [("GIGAPI_MERGE_TIMEOUT_S", "0.5"), ("GIGAPI_SAVE_TIMEOUT_S", "0.1")];
    let server = server(folder.path(), &settings).await?;
    let client = server.client();
    client.must_write("bench", format!("cpu,hostname=host_0 usage_user=1i {}", crate::START_NANOS - 1)).await?;
    merging(&client, false).await?;
    let (sent, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let made: Vec<_> = (0..4).map(|_| bodies(3)).collect();
    let loaders: Vec<_> = made
        .into_iter()
        .map(|bodies| load(bodies, server.port(), REQUESTS, Arc::clone(&sent), Arc::clone(&bytes), None))
        .collect();
    for loader in loaders {
        tokio::task::spawn_blocking(|| loader.join()).await?.map_err(|_| anyhow!("a loader panicked"))??;
    }
    until("all rows are in files", PATIENCE, async || Ok(client.metric("gigapi_buffer_rows").await? == 0.0)).await?;
    println!("queries: one host's hour of twenty million rows, one connection");
    let mut quiet = Vec::new();
    while quiet.len() < QUIET {
        quiet.push(asked(&client, quiet.len()).await?);
    }
    let before = told("before merging", quiet);
    let files = client.metric("gigapi_compactor_layer_files").await?;
    merging(&client, true).await?;
    let (mut during, begun) = (Vec::new(), Instant::now());
    while merges(&client).await? == 0.0 || is_busy(&client).await? {
        ensure!(begun.elapsed() < PATIENCE, "merging does not end");
        for _ in 0..20 {
            during.push(asked(&client, during.len()).await?);
        }
    }
    let amplification = client.metric("gigapi_compactor_write_amplification").await?;
    println!(
        "  {:>12.1} s of merging: {files:.0} files become {:.0}, {amplification:.1} bytes written per byte flushed",
        begun.elapsed().as_secs_f64(),
        client.metric("gigapi_compactor_layer_files").await?
    );
    let busy = told("while it merges", during);
    let mut after = Vec::new();
    while after.len() < QUIET {
        after.push(asked(&client, after.len()).await?);
    }
    let after = told("after merging", after);
    println!("  {:>12.2} times the p99 before, {:.2} times that after", busy / before, busy / after);
    server.stop().await?;
    Ok(())
}

async fn merges(client: &Client) -> Result<f64> {
    client.metric("gigapi_compactor_jobs_total{job=\"merge\"}").await.or(Ok(0.0))
}

async fn is_busy(client: &Client) -> Result<bool> {
    Ok(client.metric("gigapi_compactor_jobs_running").await? > 0.0 || backlog(client).await?.0 > 0.0)
}

async fn asked(client: &Client, number: usize) -> Result<Duration> {
    let host = number * 7 % 1_000;
    let from = (crate::START_NANOS / 1_000_000_000) + (number as u64 * 13 % 48) * 3_600;
    let sql = format!(
        "SELECT date_bin(INTERVAL '1 minute', time) AS minute, max(usage_user) FROM cpu WHERE hostname = 'host_{host}' AND time >= to_timestamp({from}) AND time < to_timestamp({}) GROUP BY 1 ORDER BY 1",
        from + 3_600
    );
    let begun = Instant::now();
    let answer = client.query("bench", &sql).await?;
    let took = begun.elapsed();
    ensure!(answer.status == 200, "{sql} was answered {}: {}", answer.status, answer.body);
    Ok(took)
}

fn told(what: &str, mut times: Vec<Duration>) -> f64 {
    times.sort();
    let p99 = percentile(&times, 0.99);
    println!("  {:>12.2} ms p50  {p99:.2} ms p99 {what}, {} queries", percentile(&times, 0.5), times.len());
    p99
}

async fn merging(client: &Client, enabled: bool) -> Result<()> {
    let body = format!(r#"{{"db":"bench","table":"cpu","settings":{{"merge.enabled":"{enabled}"}}}}"#);
    let answer = client.put("/api/v3/configure/table", body).await?;
    ensure!(answer.status == 200, "the table was not changed: {}", answer.body);
    Ok(())
}

async fn server(folder: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    let options = ServerOptions::new(&folder.join("data")).set("LOGLEVEL", "warn");
    let options = settings.iter().fold(options, |options, (name, value)| options.set(name, *value));
    options.start().await
}
