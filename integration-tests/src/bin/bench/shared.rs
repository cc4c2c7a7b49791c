//! The same ingest over a catalog in Redis and a layer in S3, both servers on the same machine.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::{Client, Redis, Server, ServerOptions, binary_named, until};

use crate::ingest::run;
use crate::visible;

const KEY: &str = "bench";
const SECRET: &str = "a secret of the bench";

/// An S3 server in a process of its own; killed when dropped.
struct S3Process {
    process: Child,
    port: u16,
}

impl Drop for S3Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn s3(folder: &std::path::Path) -> Result<S3Process> {
    let port = integration_tests::free_port();
    let process = Command::new(binary_named("s3-server")?)
        .args(["--port", &port.to_string(), "--key", KEY, "--secret", SECRET, "--bucket", "bench", "--folder"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .context("the S3 server cannot be started")?;
    let started = S3Process { process, port };
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    until("an S3 server", Duration::from_secs(30), async || Ok(client.get("/_counts").await.is_ok())).await?;
    Ok(started)
}

fn member(folder: &std::path::Path, name: &str, redis: &Redis, s3: &S3Process) -> ServerOptions {
    ServerOptions::new(&folder.join(name))
        .set("LOGLEVEL", "warn")
        .set("GIGAPI_METADATA_TYPE", "redis")
        .set("GIGAPI_METADATA_URL", redis.url())
        .set("GIGAPI_WRITER_NAME", name)
        .set("GIGAPI_LAYERS_0_NAME", "objects")
        .set("GIGAPI_LAYERS_0_TYPE", "s3")
        .set("GIGAPI_LAYERS_0_URL", format!("s3://127.0.0.1:{}/bench/data?secure=false&url-style=path", s3.port))
        .set("GIGAPI_LAYERS_0_GLOBAL", "true")
        .set("GIGAPI_LAYERS_0_AUTH_KEY", KEY)
        .set("GIGAPI_LAYERS_0_AUTH_SECRET", SECRET)
}

/// Requests to S3 so far, all methods and outcomes.
async fn requests(server: &Server) -> Result<f64> {
    let text = server.client().get("/metrics").await?.body;
    let samples = text.lines().filter(|line| line.starts_with("gigapi_s3_requests_total{"));
    samples.map(|line| Ok(line.rsplit(' ').next().context("no value")?.parse::<f64>()?)).sum()
}

/// `alone` is the rate of one process with folders of its own.
pub(crate) async fn ingest(alone: Option<f64>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let redis = Redis::start().await?;
    let objects = s3(&folder.path().join("objects")).await?;
    let server = member(folder.path(), "data", &redis, &objects).start().await?;
    println!("ingest: catalog in Redis, layer in S3, on the same machine");
    let before = requests(&server).await?;
    let ingested = run(&server).await?;
    if let Some(alone) = alone {
        println!("  {:>12.0} % of the rate of one process alone", ingested.rows_per_second / alone * 100.0);
    }
    // Everything is in files once the buffer is empty.
    let client = server.client();
    until("an empty buffer", Duration::from_secs(120), async || Ok(client.metric("gigapi_buffer_rows").await? == 0.0))
        .await?;
    let gigabytes = ingested.bytes as f64 / 1e9;
    println!("  {:>12.1} requests to S3 per GB of line protocol", (requests(&server).await? - before) / gigabytes);
    // A process that does nothing but answer: the other one merges.
    let querier = member(folder.path(), "querier", &redis, &objects).set("GIGAPI_MODE", "readonly").start().await?;
    let plan = querier.client().rows("bench", "EXPLAIN SELECT count(*) FROM cpu").await?;
    let overlaps = plan.iter().any(|row| row.to_string().contains("LastWriteExec"));
    println!("  {:>12} files overlap, so that count(*) needs their keys", if overlaps { "some" } else { "no" });
    for (name, sql) in [
        ("count(*)", "SELECT count(*) FROM cpu"),
        ("one host, cold cache", "SELECT max(usage_user) FROM cpu WHERE hostname = 'host_7'"),
        ("the same again, warm", "SELECT max(usage_user) FROM cpu WHERE hostname = 'host_7'"),
        ("group by host, one column", "SELECT hostname, avg(usage_user) FROM cpu GROUP BY hostname"),
    ] {
        let before = requests(&querier).await?;
        querier.client().rows("bench", sql).await?;
        println!("  {:>12.0} requests to S3 for {name}", requests(&querier).await? - before);
    }
    visible::elsewhere(&server, &querier).await?;
    querier.stop().await?;
    server.stop().await?;
    Ok(())
}
