//! `make bench`: starts the release server, loads it from this process, prints figures with their units.

mod beside;
mod catalog;
mod ingest;
mod load;
mod merge;
mod queries;
mod shared;
mod single;
mod start;
mod tables;
mod visible;

use std::path::Path;

use anyhow::Result;
use integration_tests::{Server, ServerOptions};

/// 2026-01-01T00:00:00Z.
const START_NANOS: u64 = 1_767_225_600_000_000_000;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|each| each == name);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut alone = None;
        if runs("ingest") || runs("shared") {
            alone = Some(ingest::alone().await?);
        }
        if runs("shared") {
            shared::ingest(alone).await?;
        }
        if runs("catalog") {
            catalog::redis().await?;
        }
        if runs("merge") {
            merge::run().await?;
        }
        if runs("beside") {
            beside::flat_backlog().await?;
            beside::queries_while_merging().await?;
        }
        if runs("single") {
            single::single_lines().await?;
        }
        if runs("tables") {
            tables::many_tables().await?;
        }
        if runs("start") {
            start::idle().await?;
        }
        // Needs other engines, so it runs only when it is named: `make bench-queries` installs them.
        if wanted.iter().any(|each| each == "queries") {
            queries::run().await?;
        }
        Ok(())
    })
}

async fn server(folder: &Path) -> Result<Server> {
    ServerOptions::new(&folder.join("data")).set("LOGLEVEL", "warn").start().await
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
