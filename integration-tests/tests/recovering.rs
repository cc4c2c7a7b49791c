//! What a start finds: a catalog that is gone or old, data that is not ours, work that was left undone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_tests::{Server, ServerOptions, until};
use serde_json::Value;
use tokio::time::Instant;

async fn commit(server: &Server, lines: &str) {
    let answer = server.client().post("/write?db=db&key=none&durability=commit", &[], lines.to_owned()).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The files of the embedded catalog.
fn catalog_files(root: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(root.join("_gigapi/catalog")).unwrap();
    let found: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    assert!(!found.is_empty(), "no catalog in {}", root.display());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_gone_is_rebuilt_and_the_log_replayed_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root).set("GIGAPI_SAVE_TIMEOUT_S", "0.05");
    let server = options.start().await.unwrap();
    commit(&server, "m,h=a v=1i 1\nm,h=b v=2i 3600000000001").await;
    // A clean stop writes a checkpoint; what comes after it is found by footers.
    assert!(server.stop().await.unwrap().success());
    let server = options.start().await.unwrap();
    commit(&server, "m,h=a v=4i 2").await;
    server.kill().unwrap();
    let server = options.clone().set("GIGAPI_SAVE_TIMEOUT_S", "3600").start().await.unwrap();
    // One table that only the log has, and a column that only the log has.
    let client = server.client();
    client.must_write("db", "m,h=c v=8i,w=1.5 3\nnew v=5i 1").await.unwrap();
    server.kill().unwrap();
    for file in catalog_files(&root) {
        fs::remove_file(file).unwrap();
    }
    for _ in 0..2 {
        let server = options.start().await.unwrap();
        let client = server.client();
        assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 15.0);
        assert_eq!(client.number("db", "SELECT count(*) FROM m").await.unwrap(), 4.0);
        assert_eq!(client.number("db", "SELECT sum(w) FROM m WHERE h = 'c'").await.unwrap(), 1.5);
        assert_eq!(client.number("db", "SELECT sum(v) FROM new").await.unwrap(), 5.0);
        assert!(server.stop().await.unwrap().success());
    }
    let server = options.start().await.unwrap();
    commit(&server, "m,h=a v=16i 5").await;
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 31.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_from_the_past_is_brought_up_to_what_the_layers_know() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root).set("GIGAPI_SAVE_TIMEOUT_S", "0.05");
    let server = options.start().await.unwrap();
    commit(&server, "m v=1i 1").await;
    assert!(server.stop().await.unwrap().success());
    let old: Vec<(PathBuf, Vec<u8>)> =
        catalog_files(&root).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let server = options.start().await.unwrap();
    commit(&server, "m v=2i 2").await;
    assert!(server.stop().await.unwrap().success());
    catalog_files(&root).into_iter().for_each(|path| fs::remove_file(path).unwrap());
    old.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let server = options.start().await.unwrap();
    assert!(options.log().contains("a checkpoint is at version"), "{}", options.log());
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 3.0);
    commit(&server, "m v=4i 3").await;
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 7.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_original_is_reported_at_every_start_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let bucket = root.join("db/m/date=1970-01-01/hour=00");
    fs::create_dir_all(&bucket).unwrap();
    let theirs = [("metadata.json", r#"{"type":"m","files":[]}"#), ("0.1.parquet", "not ours")];
    for (name, text) in theirs {
        fs::write(bucket.join(name), text).unwrap();
    }
    for start in 1..=2 {
        let options = ServerOptions::new(&root);
        let server = options.start().await.unwrap();
        commit(&server, "m v=1i 1").await;
        assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), f64::from(start));
        assert!(server.stop().await.unwrap().success());
        assert_eq!(options.log().matches("data of the original GigAPI").count(), start as usize, "{}", options.log());
        for (name, text) in theirs {
            assert_eq!(fs::read_to_string(bucket.join(name)).unwrap(), text, "{name} was changed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_a_killed_process_left_behind_is_published_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root);
    let server = options.start().await.unwrap();
    commit(&server, "m v=1i 1").await;
    server.kill().unwrap();
    let server = options.start().await.unwrap();
    let document = root.join("db/m/date=1970-01-01/hour=00/metadata.json");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !document.exists() {
        assert!(Instant::now() < deadline, "{}", server.options().log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let document: Value = serde_json::from_slice(&fs::read(document).unwrap()).unwrap();
    assert_eq!(document["row_count"], 1);
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    let expected =
        ["type", "parquet_size_bytes", "row_count", "min_time", "max_time", "wal_sequence", "drop_queue", "files"];
    assert_eq!(keys.len(), expected.len());
    assert!(expected.iter().all(|key| document.get(key).is_some()), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_plays_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let mode = |mode: &str| ServerOptions::new(&root).set("GIGAPI_MODE", mode).set("GIGAPI_SAVE_TIMEOUT_S", "0.2");
    let writing = mode("writeonly").start().await.unwrap();
    writing.client().must_write("db", "m v=1i 1").await.unwrap();
    assert_eq!(writing.client().query("db", "SELECT * FROM m").await.unwrap().status, 404);
    // Beside it, a second process reads what is flushed.
    let reading = mode("readonly").start().await.unwrap();
    let client = reading.client();
    let sum = async |wanted: f64| Ok(client.number("db", "SELECT sum(v) FROM m").await.ok() == Some(wanted));
    let patience = Duration::from_secs(60);
    until("the first flush", patience, async || sum(1.0).await).await.unwrap();
    writing.client().must_write("db", "m v=2i 2").await.unwrap();
    until("the second flush", patience, async || sum(3.0).await).await.unwrap();
    assert_eq!(client.write("db", "m v=1i 1").await.unwrap().status, 404);
    // And a third merges what the first has flushed.
    let merging = mode("compaction").set("GIGAPI_MERGE_TIMEOUT_S", "0.2").start().await.unwrap();
    let merged = async || {
        let jobs = merging.client().metric("gigapi_compactor_jobs_total{job=\"merge\"}").await;
        Ok(jobs.is_ok_and(|jobs| jobs > 0.0))
    };
    until("a merge", patience, merged).await.unwrap();
    assert!(sum(3.0).await.unwrap());
    assert_eq!(merging.client().get("/health").await.unwrap().status, 200);
    assert_eq!(merging.client().write("db", "m v=1i 1").await.unwrap().status, 404);
    assert!(merging.stop().await.unwrap().success());
}
