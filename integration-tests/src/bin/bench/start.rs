//! How long a start takes, and what an idle process holds.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use gigapi_catalog::{EmbeddedCatalog, Limits};
use gigapi_model::{SystemClock, SystemIds};
use tokio::time::Instant;

use crate::{catalog, mib, server};

pub(crate) async fn idle() -> Result<()> {
    const FILES: u64 = 100_000;
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let fresh = server(folder.path()).await?;
    println!("start");
    println!("  {:>12.0} ms to ready on an empty folder", started.elapsed().as_secs_f64() * 1e3);
    println!("  {:>12.0} MiB resident when idle", mib(fresh.resident_bytes()?));
    fresh.stop().await?;
    fill(&folder.path().join("data/_gigapi/catalog"), FILES).await?;
    let started = Instant::now();
    let full = server(folder.path()).await?;
    println!("  {:>12.0} ms to ready with {FILES} files in the catalog", started.elapsed().as_secs_f64() * 1e3);
    println!("  {:>12.0} MiB resident when idle", mib(full.resident_bytes()?));
    full.stop().await?;
    Ok(())
}

/// Commits file records, as a year of flushes would leave them; the objects themselves are not needed to start.
async fn fill(folder: &Path, files: u64) -> Result<()> {
    let catalog = EmbeddedCatalog::open(folder, Arc::new(SystemClock), Arc::new(SystemIds), Limits::default())?;
    catalog::fill(&catalog, files).await.map(drop)
}
