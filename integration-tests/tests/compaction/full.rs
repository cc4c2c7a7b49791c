//! A disk without room for an output: merges fail and say so, nothing is lost, and merging goes on when there is room.

use crate::disks::{fill, on_small_disks};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_merges_and_nothing_else_and_merging_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // Level 1 waits long enough for all flushes and the filler to come first.
    let options = on_small_disks(folder.path(), "16m", "64m")
        .set("GIGAPI_SAVE_TIMEOUT_S", "3600")
        .set("GIGAPI_MERGE_TIMEOUT_S", "5")
        .set("GIGAPI_DELETE_GRACE_S", "1")
        .set("GIGAPI_METADATA_UNSAFE", "true");
    let server = options.start().await.unwrap();
    let client = server.client();
    let start = SystemClock.now().nanos();
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..8 {
        // Text that nothing compresses, so that files have a size.
        let text: String = std::iter::repeat_with(|| random.alphanumeric()).take(200_000).collect();
        flush(&client, "&key=none", format!("m text=\"{text}\",v={number}i {start}")).await;
    }
    let filler = fill(&server, folder.path());
    let failures = async || {
        let text = client.get("/metrics").await?.body;
        let failed = text.lines().filter(|line| line.starts_with("gigapi_compactor_failures_total{job=\"merge\""));
        Ok(failed.count() > 0)
    };
    until("a merge that fails", PATIENCE, failures).await.unwrap();
    let log = options.log();
    let told = log.lines().any(|line| line.contains("a job failed") && line.contains("db.m"));
    assert!(told && log.to_lowercase().contains("no space left"), "{log}");
    // Rows are taken into the log, and all are answered.
    client.must_write("db", format!("m v=100i {start}")).await.unwrap();
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 128.0);
    assert_eq!(client.get("/health").await.unwrap().status, 200);
    std::fs::remove_file(filler).unwrap();
    // Files of a merge that failed are left alone for a minute.
    let merged = async || Ok(client.metric("gigapi_compactor_jobs_total{job=\"merge\"}").await.unwrap_or(0.0) > 0.0);
    until("a merge that comes to its end", PATIENCE, merged).await.unwrap();
    flush(&client, "", format!("m v=1000i {start}")).await;
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 1128.0);
    assert_eq!(client.number("db", "SELECT sum(length(text)) FROM m").await.unwrap(), 1_600_000.0);
    // What failed merges had staged is gone.
    let staging = format!("/proc/{}/root{}/_gigapi/staging", server.pid(), folder.path().join("data").display());
    let folders: Vec<_> = std::fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap().path()).collect();
    let folders: Vec<_> = folders.into_iter().filter(|path| path.is_dir()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    // The lock says whose folder it is.
    let left: Vec<_> = std::fs::read_dir(&folders[0]).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "in {}", folders[0].display());
    assert!(server.stop().await.unwrap().success());
}
