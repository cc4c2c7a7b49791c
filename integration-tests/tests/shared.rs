//! Several processes around one catalog in Redis and one shared layer.

use std::path::Path;
use std::time::Duration;

use integration_tests::{Redis, Server, ServerOptions};
use tokio::time::Instant;

/// A process with a root of its own.
pub(crate) fn member(redis: &Redis, folder: &Path, name: &str, mode: &str) -> ServerOptions {
    ServerOptions::new(&folder.join(name))
        .set("GIGAPI_MODE", mode)
        .set("GIGAPI_METADATA_TYPE", "redis")
        .set("GIGAPI_METADATA_URL", redis.url())
        .set("GIGAPI_WRITER_NAME", name)
        .set("GIGAPI_LAYERS_0_NAME", "shared")
        .set("GIGAPI_LAYERS_0_URL", folder.join("layer"))
        .set("GIGAPI_LAYERS_0_GLOBAL", "true")
        .set("GIGAPI_SAVE_TIMEOUT_S", "0.1")
}

async fn commit(server: &Server, lines: String) {
    let answer = server.client().post("/write?db=db&key=none&durability=commit", &[], lines).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_and_a_querier_share_tables() {
    let (redis, folder) = (Redis::start().await.unwrap(), tempfile::tempdir().unwrap());
    let first = member(&redis, folder.path(), "writer-1", "writeonly").start().await.unwrap();
    let second = member(&redis, folder.path(), "writer-2", "writeonly").start().await.unwrap();
    let querier = member(&redis, folder.path(), "querier", "readonly").start().await.unwrap();
    // Both define the table at the same time, and extend it.
    let lines = |writer: usize| -> String {
        (0..100).map(|row| format!("m,w=w{writer} v={row}i,only{writer}={row} {row}\n")).collect()
    };
    tokio::join!(commit(&first, lines(1)), commit(&second, lines(2)));
    let client = querier.client();
    // What was committed is seen at once, by every process.
    assert_eq!(client.number("db", "SELECT count(*) FROM m").await.unwrap(), 200.0);
    assert_eq!(client.number("db", "SELECT sum(only1) + sum(only2) FROM m").await.unwrap(), 9900.0);
    // A plain write is seen after its flush.
    second.client().must_write("db", "m,w=w2 v=1000i 1000").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.number("db", "SELECT max(v) FROM m").await.unwrap() != 1000.0 {
        assert!(Instant::now() < deadline, "the row never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Either a type that conflicts loses, or the one that came first wins; the other writer is told.
    let text = |server: &Server, line: &'static str| {
        let client = server.client();
        async move { client.write("db", line).await.unwrap().status }
    };
    let statuses = tokio::join!(text(&first, "race v=1i"), text(&second, "race v=\"x\""));
    assert!(matches!(statuses, (204, 400) | (400, 204)), "{statuses:?}");
    assert!(first.stop().await.unwrap().success());
    assert!(second.stop().await.unwrap().success());
    assert!(querier.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_comes_back_with_its_rows() {
    let (redis, folder) = (Redis::start().await.unwrap(), tempfile::tempdir().unwrap());
    let options = member(&redis, folder.path(), "writer-1", "aio").set("GIGAPI_SAVE_TIMEOUT_S", "3600");
    let other = member(&redis, folder.path(), "writer-2", "aio").start().await.unwrap();
    commit(&other, "m v=1i 1".to_owned()).await;
    let server = options.start().await.unwrap();
    server.client().must_write("db", "m v=2i 2\nnew v=3i 3").await.unwrap();
    server.kill().unwrap();
    let server = options.start().await.unwrap();
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 3.0);
    assert!(server.stop().await.unwrap().success());
    assert_eq!(other.client().number("db", "SELECT sum(v) FROM new").await.unwrap(), 3.0);
    // Its log is gone: that is noticed by its name, and is nothing to do with the other writer.
    std::fs::remove_dir_all(folder.path().join("writer-1/_gigapi/wal")).unwrap();
    let mut refused = options.spawn().unwrap();
    assert!(!refused.until_ended().await.unwrap().success());
    assert!(refused.options().log().contains("GIGAPI_ACCEPT_WAL_LOSS"), "{}", refused.options().log());
    let third = member(&redis, folder.path(), "writer-3", "aio").start().await.unwrap();
    assert_eq!(third.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_forget_stops_the_start() {
    let redis = Redis::start_with(&["--appendfsync", "everysec"]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = member(&redis, folder.path(), "writer-1", "aio");
    let mut refused = options.spawn().unwrap();
    assert!(!refused.until_ended().await.unwrap().success());
    let log = refused.options().log();
    assert!(log.contains("CONFIG SET appendfsync always"), "{log}");
    let accepted = options.set("GIGAPI_METADATA_UNSAFE", "true").start().await.unwrap();
    commit(&accepted, "m v=1i 1".to_owned()).await;
}
