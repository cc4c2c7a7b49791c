//! A thousand tables that are written all the time.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::{START_NANOS, mib, server};

pub(crate) async fn many_tables() -> Result<()> {
    const TABLES: usize = 1_000;
    const SECONDS: u64 = 20;
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    let client = server.client();
    let send = async |second: u64| {
        // In tenths, as a thousand independent clients would spread over a second.
        for tenth in 0..10_usize {
            let begun = Instant::now();
            let lines: String = (tenth * TABLES / 10..(tenth + 1) * TABLES / 10)
                .map(|table| format!("t{table},host=a value={second}i {}\n", START_NANOS + second * 1_000_000_000))
                .collect();
            client.must_write("bench", lines).await?;
            tokio::time::sleep(Duration::from_millis(100).saturating_sub(begun.elapsed())).await;
        }
        anyhow::Ok(())
    };
    send(0).await?;
    send(1).await?;
    let syncs = async || -> Result<f64> {
        Ok(client.metric("gigapi_wal_disk_syncs").await? + client.metric("gigapi_layer_disk_syncs").await?)
    };
    let (cpu, synced, started) = (server.cpu_seconds()?, syncs().await?, Instant::now());
    for second in 2..2 + SECONDS {
        send(second).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("many tables: {TABLES} tables, one row each per second, {SECONDS} s");
    println!("  {:>12.1} % of one core", (server.cpu_seconds()? - cpu) / seconds * 100.0);
    println!("  {:>12.1} disk syncs/s of log and layer", (syncs().await? - synced) / seconds);
    println!("  {:>12.0} MiB resident", mib(server.resident_bytes()?));
    server.stop().await?;
    Ok(())
}
