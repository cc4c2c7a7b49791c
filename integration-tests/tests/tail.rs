//! Unflushed rows of writers in other processes: all that were acknowledged, none twice, or a word about who is missing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use integration_tests::{Answer, Client, Redis, Server, ServerOptions};
use serde_json::{Value, json};

use crate::shared::member;

const TOKEN: &str = "a token: with a colon";

/// A process whose rows stay in its buffer, in an installation that is guarded.
fn quiet(redis: &Redis, folder: &Path, name: &str, mode: &str) -> ServerOptions {
    member(redis, folder, name, mode).set("GIGAPI_SAVE_TIMEOUT_S", "3600").set("GIGAPI_SECRET", TOKEN)
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

async fn write(server: &Server, lines: &str) {
    let answer = server.client().post("/write?db=db", &[("authorization", &bearer())], lines.to_owned()).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

async fn asked(client: &Client, consistency: &str, sql: &str) -> Answer {
    let body = json!({ "query": sql, "db": "db", "consistency": consistency }).to_string();
    let headers = [("content-type", "application/json"), ("authorization", &bearer())];
    client.post("/query", &headers, body).await.unwrap()
}

fn rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json().unwrap()["results"].as_array().unwrap().clone()
}

async fn count(client: &Client, consistency: &str) -> Value {
    rows(&asked(client, consistency, "SELECT count(*) AS n FROM m").await)[0]["n"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_row_is_seen_whoever_holds_it() {
    let (redis, folder) = (Redis::start().await.unwrap(), tempfile::tempdir().unwrap());
    let first = quiet(&redis, folder.path(), "writer-1", "writeonly").start().await.unwrap();
    let options = quiet(&redis, folder.path(), "writer-2", "writeonly");
    let second = options.start().await.unwrap();
    let querier = quiet(&redis, folder.path(), "querier", "readonly").start().await.unwrap();
    let client = querier.client();
    write(&first, "m,h=a v=1i 1\nm,h=b v=2i 2").await;
    write(&second, "m,h=c v=3i,w=\"x\" 3\nm,h=a w=\"y\" 1\nother v=1i 1").await;
    assert_eq!(count(&client, "committed").await, json!("0"));
    // The row of two writers is one, of which each has written a field.
    assert_eq!(count(&client, "tail").await, json!("3"));
    let of_a = rows(&asked(&client, "tail", "SELECT v, w FROM m WHERE h = 'a'").await);
    assert_eq!(of_a, [json!({"v": "1", "w": "y"})]);
    let joined = "SELECT count(*) AS n FROM m JOIN other ON m.time = other.time JOIN m AS again ON again.h = m.h";
    assert_eq!(rows(&asked(&client, "tail", joined).await)[0]["n"], json!("1"));
    let newest = rows(&asked(&client, "tail", "SELECT h FROM m ORDER BY time DESC LIMIT 2").await);
    assert_eq!(newest, [json!({"h": "c"}), json!({"h": "b"})]);
    // InfluxDB 3's endpoint takes the same word.
    let path = "/api/v3/query_sql?db=db&q=SELECT%20sum(v)%20AS%20s%20FROM%20m&consistency=tail&format=csv";
    let summed = client.post(path, &[("authorization", &bearer())], "").await.unwrap();
    assert_eq!((summed.status, summed.body.as_str()), (200, "s\n6\n"));
    let unknown = asked(&client, "eventual", "SELECT 1").await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.body.contains("committed, tail, tail_best_effort"), "{}", unknown.body);

    // Nobody without the token is told anything.
    let path = "/unflushed/arrow.flight.protocol.FlightService/DoAction";
    let stranger = second.client().post(path, &[("content-type", "application/grpc")], "").await.unwrap();
    assert_eq!(stranger.header("grpc-status"), Some("16"));

    // A writer that stops leaves nothing behind to ask for.
    assert!(first.stop().await.unwrap().success());
    assert_eq!(count(&client, "committed").await, json!("2"));
    assert_eq!(count(&client, "tail").await, json!("3"));

    // One that is killed does: its rows are in its log.
    let address = second.url().trim_start_matches("http://").to_owned();
    second.kill().unwrap();
    let failed = asked(&client, "tail", "SELECT * FROM m").await;
    assert_eq!(failed.status, 503, "{}", failed.body);
    assert!(failed.body.contains(&address) && failed.body.contains("tail_best_effort"), "{}", failed.body);
    let without = asked(&client, "tail_best_effort", "SELECT h FROM m ORDER BY h").await;
    assert_eq!(rows(&without), [json!({"h": "a"}), json!({"h": "b"})]);
    let named = without.header("x-gigapi-writers-away").unwrap();
    assert!(named.ends_with(&format!("@{address}")), "{named}");
    let id = named.split('@').next().unwrap();
    let listed = options.run(&["catalog", "writers"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), format!("{id}  {address}\n"));
    // Columns are no rows: nobody is asked for them.
    assert_eq!(asked(&client, "tail", "DESCRIBE SELECT * FROM m").await.status, 200);

    let second = options.start().await.unwrap();
    let whole = asked(&client, "tail_best_effort", "SELECT count(*) AS n FROM m").await;
    assert_eq!(rows(&whole)[0]["n"], json!("3"));
    assert_eq!(whole.header("x-gigapi-writers-away"), None);
    // One that hangs is waited for, and not for ever.
    second.pause().unwrap();
    let failed = asked(&client, "tail", "SELECT * FROM m").await;
    assert_eq!(failed.status, 503, "{}", failed.body);
    second.resume().unwrap();
    assert_eq!(count(&client, "tail").await, json!("3"));
    // One that is gone for good is forgotten by hand.
    second.kill().unwrap();
    assert!(options.run(&["catalog", "writers", "--forget", id]).unwrap().status.success());
    assert_eq!(count(&client, "tail").await, json!("2"));
    assert!(!options.run(&["catalog", "writers", "--forget", id]).unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_log_was_given_up_is_not_asked_for_it() {
    let (redis, folder) = (Redis::start().await.unwrap(), tempfile::tempdir().unwrap());
    let options = quiet(&redis, folder.path(), "writer-1", "writeonly");
    let writer = options.start().await.unwrap();
    let querier = quiet(&redis, folder.path(), "querier", "readonly").start().await.unwrap();
    write(&writer, "m v=1i 1").await;
    assert_eq!(count(&querier.client(), "tail").await, json!("1"));
    writer.kill().unwrap();
    std::fs::remove_dir_all(folder.path().join("writer-1/_gigapi/wal")).unwrap();
    let writer = options.set("GIGAPI_ACCEPT_WAL_LOSS", "true").start().await.unwrap();
    assert_eq!(count(&querier.client(), "tail").await, json!("0"));
    write(&writer, "m v=2i 2").await;
    assert_eq!(count(&querier.client(), "tail").await, json!("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_two_writers_flush_each_row_is_seen_once() {
    const REQUESTS: u64 = 300;
    let (redis, folder) = (Redis::start().await.unwrap(), tempfile::tempdir().unwrap());
    let started = |name: &str, mode: &str| {
        let options = quiet(&redis, folder.path(), name, mode).set("GIGAPI_SAVE_TIMEOUT_S", "0.02");
        async move { options.start().await.unwrap() }
    };
    let writers = [started("writer-1", "writeonly").await, started("writer-2", "writeonly").await];
    let querier = quiet(&redis, folder.path(), "querier", "readonly").set("GIGAPI_QUERY_CONSISTENCY", "tail");
    let querier = querier.start().await.unwrap();
    write(&writers[0], "m,w=9 v=1i 0").await;
    let (sent, acknowledged) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(1)));
    let done = Arc::new(AtomicBool::new(false));
    let writing = writers.iter().enumerate().map(|(number, writer)| {
        let (sent, acknowledged) = (Arc::clone(&sent), Arc::clone(&acknowledged));
        async move {
            for request in 0..REQUESTS {
                sent.fetch_add(1, Ordering::SeqCst);
                write(writer, &format!("m,w={number} v=1i {}", request + 1)).await;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let asking = async {
        let mut questions = 0;
        while !done.load(Ordering::SeqCst) {
            let before = acknowledged.load(Ordering::SeqCst);
            let body = json!({ "query": "SELECT count(*) AS n, sum(v) AS s FROM m", "db": "db" }).to_string();
            let headers = [("content-type", "application/json"), ("authorization", &bearer())];
            let answer = querier.client().post("/query", &headers, body).await.unwrap();
            let seen = rows(&answer)[0].clone();
            let after = sent.load(Ordering::SeqCst);
            assert_eq!(seen["n"], seen["s"]);
            let seen: u64 = seen["n"].as_str().unwrap().parse().unwrap();
            assert!(before <= seen && seen <= after, "{seen} rows seen, {before} to {after} were written");
            questions += 1;
        }
        questions
    };
    let write_all = async {
        futures::future::join_all(writing).await;
        done.store(true, Ordering::SeqCst);
    };
    let ((), questions) = tokio::join!(write_all, asking);
    assert!(questions > 10, "only {questions} questions were asked meanwhile");
    assert_eq!(count(&querier.client(), "tail").await, json!((2 * REQUESTS + 1).to_string()));
}
