//! Ends and beginnings: nothing acknowledged is lost, nothing is doubled.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use integration_tests::{Client, ServerOptions};

use crate::writing::server;

/// The named places of the binary under test; a new one has to be listed here to be visited.
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

const CLIENTS: usize = 4;

/// What one client did: rows `(client, seq, hash)`, each sent until it was acknowledged.
#[derive(Default)]
struct Written {
    acknowledged: u64,
}

/// What clients and their test tell each other.
#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    /// Requests that each client has seen acknowledged.
    acknowledged: [AtomicU64; CLIENTS],
}

impl Progress {
    fn counts(&self) -> [u64; CLIENTS] {
        self.acknowledged.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

fn hash(client: usize, seq: u64) -> i64 {
    let mixed = (client as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seq.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    i64::try_from(mixed >> 24).unwrap()
}

/// Writes rows until told to stop. A request whose fate is unknown is sent again with the same key until it
/// is answered; the ledger file has a line, synced, before anything is sent and after it is acknowledged.
async fn write_rows(
    number: usize,
    client: Client,
    ledger: std::path::PathBuf,
    progress: Arc<Progress>,
    first: u64,
) -> Written {
    let mut ledger = File::options().create(true).append(true).open(ledger).unwrap();
    let mut note = |text: String| {
        ledger.write_all(text.as_bytes()).unwrap();
        ledger.sync_data().unwrap();
    };
    let mut seq = first;
    let mut written = Written { acknowledged: first };
    while !progress.stop.load(Ordering::Relaxed) {
        let count = 1 + seq % 7;
        let lines: String = (seq..seq + count)
            .map(|seq| format!("ledger,client=c{number} seq={seq}i,hash={}i\n", hash(number, seq)))
            .collect();
        let key = format!("c{number}-{seq}");
        note(format!("sent {seq} {count}\n"));
        loop {
            let answer = client.post("/write?db=ledger&key=none", &[("Idempotency-Key", &key)], lines.clone()).await;
            match answer {
                Ok(answer) if answer.status == 204 => {
                    note(format!("acknowledged {seq} {count}\n"));
                    seq += count;
                    written.acknowledged = seq;
                    progress.acknowledged[number].fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.body),
                // The server is down: the fate of the request is unknown until it is back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
    written
}

/// Every acknowledged row is there, once, with its own hash; nothing is there that was not sent.
async fn check(client: &Client, written: &[Written], context: &str) {
    let sql = "SELECT client, count(*) AS n, count(DISTINCT seq) AS seqs, max(seq) AS last, sum(hash) AS hashes \
               FROM ledger GROUP BY client";
    let rows = client.rows("ledger", sql).await.unwrap();
    let number = |value: &serde_json::Value| -> i64 {
        value.as_i64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
    };
    let by_client: HashMap<String, _> =
        rows.iter().map(|row| (row["client"].as_str().unwrap().to_owned(), row)).collect();
    for (index, written) in written.iter().enumerate() {
        if written.acknowledged == 0 {
            continue;
        }
        let row = by_client[&format!("c{index}")];
        let (n, seqs, last) = (number(&row["n"]), number(&row["seqs"]), number(&row["last"]));
        let acknowledged = i64::try_from(written.acknowledged).unwrap();
        assert_eq!(n, seqs, "{context}: client {index} has doubled rows");
        assert_eq!(n, last + 1, "{context}: client {index} has lost rows");
        // Every request was repeated until it was answered.
        assert_eq!(n, acknowledged, "{context}: client {index}");
        let expected: i64 = (0..u64::try_from(n).unwrap()).map(|seq| hash(index, seq)).sum();
        assert_eq!(number(&row["hashes"]), expected, "{context}: client {index} has changed rows");
    }
}

fn options(root: &Path) -> ServerOptions {
    ServerOptions::new(root).set("GIGAPI_SAVE_TIMEOUT_S", "0.05").set("LOGLEVEL", "warn")
}

/// Writes from several clients, lets `until` decide when the server goes, and checks after the restart.
async fn cycle(
    options: &ServerOptions,
    crashing: Option<(&str, u32)>,
    lifetime: Duration,
    folder: &Path,
    written: &mut Vec<Written>,
) {
    let mut starting = options.clone();
    if let Some((place, count)) = crashing {
        starting = starting.set("GIGAPI_CRASH_POINT", format!("{place}:{count}"));
    }
    let mut server = starting.spawn().unwrap();
    let progress = Arc::new(Progress::default());
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let first = written.get(number).map_or(0, |written| written.acknowledged);
            let ledger = folder.join(format!("ledger-{number}"));
            tokio::spawn(write_rows(number, server.client(), ledger, Arc::clone(&progress), first))
        })
        .collect();
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
    let before = progress.counts();
    while progress.counts().iter().zip(before).any(|(now, before)| *now < before + 2) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    progress.stop.store(true, Ordering::Relaxed);
    written.clear();
    for task in tasks {
        written.push(task.await.unwrap());
    }
    let context = crashing.map_or("kill -9".to_owned(), |(place, count)| format!("{place}:{count}"));
    check(&server.client(), written, &context).await;
    assert!(server.stop().await.unwrap().success());
}

/// The rows in the files that the published documents list are the ledger's, as another engine reads them.
fn check_files(root: &Path, written: &[Written]) {
    let python = std::env::var_os("GIGAPI_PYTHON").expect("GIGAPI_PYTHON is not set; run `make test`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ledger_files.py");
    let output = Command::new(python).arg(script).arg(root.join("ledger/ledger")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: HashMap<String, [u64; 3]> = serde_json::from_slice(&output.stdout).unwrap();
    for (index, written) in written.iter().enumerate() {
        let [rows, distinct, last] = found[&format!("c{index}")];
        assert_eq!((rows, distinct), (last + 1, last + 1), "client {index} in the files");
        assert_eq!(rows, written.acknowledged, "client {index} in the files");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_every_named_place_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("data"));
    let mut written = Vec::new();
    for place in CRASH_POINTS {
        // Unlinking waits for a full segment, which these few rows do not make: it happens at the start,
        // where the segment of the run before is released.
        for count in [1, 2] {
            if place.ends_with("unlink") && count > 1 {
                continue;
            }
            cycle(&options, Some((place, count)), Duration::ZERO, folder.path(), &mut written).await;
        }
    }
    assert!(written.iter().all(|written| written.acknowledged > 0));
    check_files(&folder.path().join("data"), &written);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_random_loses_and_doubles_nothing() {
    let cycles: u32 = std::env::var("GIGAPI_KILL_CYCLES").ok().map_or(20, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("data"));
    let mut written = Vec::new();
    for number in 0..cycles {
        // From right after the start to a few flushes later, without two equal ones in a row.
        let lifetime = Duration::from_millis(u64::from(number * 37 % 400) + 20);
        cycle(&options, None, lifetime, folder.path(), &mut written).await;
    }
    assert!(written.iter().all(|written| written.acknowledged > 0));
    check_files(&folder.path().join("data"), &written);
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
