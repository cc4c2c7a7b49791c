//! Planning over a table of a hundred thousand files.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use gigapi_catalog::{EmbeddedCatalog, Limits};
use gigapi_model::{SystemClock, SystemIds};

use super::{ROUNDS, median, ours::Ours, server};
use crate::{START_NANOS, catalog};

/// An hour's condition on a year of files of five minutes; the plan alone is asked for, since there are no objects.
pub(super) async fn planning(root: &Path) -> Result<()> {
    const FILES: u64 = 100_000;
    let folder = root.join("_gigapi/catalog");
    if !folder.exists() {
        let open = EmbeddedCatalog::open(&folder, Arc::new(SystemClock), Arc::new(SystemIds), Limits::default())?;
        catalog::fill(&open, FILES).await?;
    }
    let server = server(root, &[("GIGAPI_MODE", "readonly")]).await?;
    let ours = Ours::of(&server);
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let from = START_NANOS / 1_000_000_000 + 3_600 * (100 + round as u64);
        let sql = format!(
            "EXPLAIN SELECT count(*), avg(v) FROM many WHERE time >= to_timestamp({from}) AND time < to_timestamp({})",
            from + 3_600
        );
        let (took, _) = ours.fetch(&sql, "jsonl").await?;
        if round > 0 {
            times.push(took);
        }
    }
    println!("  {:>22} {:>9.1} ms to plan an hour of {FILES} files, request and answer included", "", median(times));
    server.stop().await?;
    Ok(())
}
