//! A table of 60,000 files of a second each, and one run of the compactor.

use std::time::Duration;

use anyhow::{Result, ensure};
use gigapi_model::{Clock, SystemClock, Timestamp};

use super::data::{Walks, columns};
use super::installation::{Installation, compacted};
use super::{HOSTS_OF_SMALL_FILES, SECOND};
use crate::mib;

const FILES: u64 = 60_000;

pub(super) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("data");
    let begin = (SystemClock.now().nanos() / SECOND - i64::try_from(FILES)?) * SECOND;
    let mut installation = Installation::new(&root, Timestamp::from_nanos(begin), columns()?).await?;
    let mut walks = Walks::new(HOSTS_OF_SMALL_FILES);
    for _ in 0..FILES {
        let now = installation.advance(Duration::from_secs(1));
        installation.flush(walks.batch(&[now.nanos()])?, now).await?;
    }
    let before = installation.close().await?;
    let done = compacted(&root).await?;
    let rows = FILES * HOSTS_OF_SMALL_FILES as u64;
    ensure!(done.rows == rows, "{} rows of {rows}", done.rows);
    println!(
        "backlog: {FILES} files of a second of {HOSTS_OF_SMALL_FILES} hosts, one run of `gigapi-compactor --once`"
    );
    println!("  {:>12} files left", done.files);
    println!("  {:>12.0} MiB resident at most", mib(done.peak));
    println!("  {:>12.1} s; {:.1} MiB before, {:.1} MiB after", done.seconds, mib(before), mib(done.bytes));
    print!("  {}", done.summary);
    Ok(())
}
