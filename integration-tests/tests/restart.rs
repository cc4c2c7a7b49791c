//! Ends and beginnings: nothing acknowledged is lost, nothing is doubled.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use integration_tests::{Ledger, ServerOptions};

use crate::writing::server;

/// The named places that writing passes; a new one has to be listed here to be visited. Those of drops are visited in
/// `dropping`.
const CRASH_POINTS: [&str; 11] = [
    "wal:before-append",
    "wal:before-sync",
    "wal:after-sync",
    "wal:after-apply",
    "flush:before-upload",
    "flush:after-upload",
    "flush:before-commit",
    "flush:after-commit",
    "flush:after-release",
    "wal:before-unlink",
    "wal:after-unlink",
];

/// How long a ledger may take to see its next writes acknowledged.
const PATIENCE: Duration = Duration::from_secs(120);

fn options(root: &Path) -> ServerOptions {
    ServerOptions::new(root).set("GIGAPI_SAVE_TIMEOUT_S", "0.05").set("LOGLEVEL", "warn")
}

/// Lets the clients of a ledger write until the server goes, and checks after the restart.
async fn cycle(options: &ServerOptions, crashing: Option<(&str, u32)>, lifetime: Duration, ledger: &Ledger) {
    let mut starting = options.clone();
    if let Some((place, count)) = crashing {
        starting = starting.set("GIGAPI_CRASH_POINT", format!("{place}:{count}"));
    }
    let mut server = starting.spawn().unwrap();
    let mut writing = ledger.start(&[server.client()]).unwrap();
    match crashing {
        Some((place, _)) => {
            let status = server.until_ended().await.unwrap();
            assert!(!status.success(), "the server did not die at {place}");
        }
        None => {
            tokio::time::sleep(lifetime).await;
            server.kill().unwrap();
        }
    }
    let server = options.start().await.unwrap();
    // Every client finishes what it had under way, so that its key decides, and goes on.
    writing.until_acknowledged(2, PATIENCE).await.unwrap();
    writing.stop(PATIENCE).await.unwrap();
    let rows = ledger.verify(&server.client()).await.unwrap().sound();
    let rows = rows.with_context(|| crashing.map_or("kill -9".to_owned(), |(place, count)| format!("{place}:{count}")));
    // Every request was repeated until it was answered.
    assert_eq!(rows.unwrap(), ledger.acknowledged().unwrap().iter().sum::<u64>());
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_every_named_place_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let (options, ledger) = (options(&root), Ledger::new(&folder.path().join("notes")).unwrap());
    for place in CRASH_POINTS {
        // Unlinking waits for a full segment, which these few rows do not make: it happens at the start,
        // where the segment of the run before is released.
        for count in [1, 2] {
            if place.ends_with("unlink") && count > 1 {
                continue;
            }
            cycle(&options, Some((place, count)), Duration::ZERO, &ledger).await;
        }
    }
    ledger.verify_published(&root).unwrap().sound().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_random_loses_and_doubles_nothing() {
    let cycles: u32 = std::env::var("GIGAPI_KILL_CYCLES").ok().map_or(20, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let (options, ledger) = (options(&root), Ledger::new(&folder.path().join("notes")).unwrap());
    for number in 0..cycles {
        // From right after the start to a few flushes later, without two equal ones in a row.
        let lifetime = Duration::from_millis(u64::from(number * 37 % 400) + 20);
        cycle(&options, None, lifetime, &ledger).await;
    }
    ledger.verify_published(&root).unwrap().sound().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_flushes_and_exits_with_zero() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data")).set("GIGAPI_SAVE_TIMEOUT_S", "3600");
    let server = options.start().await.unwrap();
    server.client().must_write("db", "m v=1i 1\nm v=2i 2").await.unwrap();
    assert!(server.stop().await.unwrap().success());
    let files = std::fs::read_dir(folder.path().join("data/db/m/date=1970-01-01/hour=00")).unwrap();
    let parquet =
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "parquet"));
    assert_eq!(parquet.count(), 1, "the buffer was not flushed");
    let server = options.start().await.unwrap();
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_folder_is_refused() {
    let (folder, server) = server().await;
    let mut second = ServerOptions::new(&folder.path().join("data")).spawn().unwrap();
    let status = second.until_ended().await.unwrap();
    assert!(!status.success());
    let log = second.options().log();
    assert!(log.contains("another process is writing to"), "{log}");
    server.client().must_write("db", "m v=1i 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_any_segment_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root);
    let server = options.start().await.unwrap();
    server.client().must_write("db", "m v=1i 1").await.unwrap();
    assert!(server.stop().await.unwrap().success());
    for entry in std::fs::read_dir(root.join("_gigapi/wal")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wal") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let server = options.start().await.unwrap();
    server.client().must_write("db", "m v=2i 2").await.unwrap();
    assert!(server.stop().await.unwrap().success());
    let server = options.start().await.unwrap();
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_stops_the_start_until_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root);
    let server = options.start().await.unwrap();
    server.client().must_write("db", "m v=1i 1").await.unwrap();
    assert!(server.stop().await.unwrap().success());
    std::fs::remove_dir_all(root.join("_gigapi/wal")).unwrap();
    let mut refused = options.spawn().unwrap();
    assert!(!refused.until_ended().await.unwrap().success());
    assert!(refused.options().log().contains("GIGAPI_ACCEPT_WAL_LOSS"), "{}", refused.options().log());
    let server = options.clone().set("GIGAPI_ACCEPT_WAL_LOSS", "true").start().await.unwrap();
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 1.0);
}
