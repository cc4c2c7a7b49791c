//! How long a row takes from its acknowledgement by a writer to an answer of a querier on another machine.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::Server;
use tokio::time::Instant;

use crate::load::percentile;

const ROWS: u32 = 100;
/// A row that takes longer never comes.
const LIMIT: Duration = Duration::from_secs(60);

/// Writes rows one after another and asks for each until it is there.
pub(crate) async fn elsewhere(writer: &Server, querier: &Server) -> Result<()> {
    commit(writer, 0).await?;
    let mut flushed = Vec::new();
    for row in 1..=ROWS {
        writer.client().must_write("bench", format!("seen v={row}i {row}")).await?;
        let acknowledged = Instant::now();
        while newest(querier).await? < f64::from(row) {
            ensure!(acknowledged.elapsed() < LIMIT, "row {row} never came");
        }
        flushed.push(acknowledged.elapsed());
    }
    let mut committed = Vec::new();
    for row in ROWS + 1..=2 * ROWS {
        let sent = Instant::now();
        commit(writer, row).await?;
        committed.push(sent.elapsed());
        ensure!(newest(querier).await? == f64::from(row), "row {row} was committed and is not seen");
    }
    flushed.sort_unstable();
    committed.sort_unstable();
    println!("rows of one process in answers of another");
    println!(
        "  {:>12.0} ms p50  {:.0} ms at most after the 204, with flushes every second",
        percentile(&flushed, 0.5),
        percentile(&flushed, 1.0)
    );
    println!(
        "  {:>12.1} ms p50  {:.1} ms at most for a write with durability=commit, seen by the next query",
        percentile(&committed, 0.5),
        percentile(&committed, 1.0)
    );
    Ok(())
}

async fn newest(querier: &Server) -> Result<f64> {
    querier.client().number("bench", "SELECT max(v) FROM seen").await
}

async fn commit(writer: &Server, row: u32) -> Result<()> {
    let answer = writer.client().post("/write?db=bench&durability=commit", &[], format!("seen v={row}i {row}")).await?;
    ensure!(answer.status == 204, "{}: {}", answer.status, answer.body);
    Ok(())
}
