//! Tables and databases that end, and what is set for them: with real processes, killed where it hurts.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_tests::{Answer, Client, Redis, Server, ServerOptions, binary, until};
use serde_json::{Value, json};

use crate::shared::member;
use crate::writing::server;

/// How long another process may take to notice.
const PATIENCE: Duration = Duration::from_secs(30);

async fn drop_table(client: &Client, name: &str) -> Answer {
    client.delete(&format!("/api/v3/configure/table?db=db&table={name}")).await.unwrap()
}

async fn set_table(client: &Client, body: Value) -> Answer {
    client.put("/api/v3/configure/table", body.to_string()).await.unwrap()
}

async fn is_found(client: &Client, table: &str) -> bool {
    let answer = client.query("db", &format!("SELECT count(*) FROM {table}")).await.unwrap();
    assert!(matches!(answer.status, 200 | 400 | 404), "{}", answer.body);
    answer.status == 200
}

async fn sum(client: &Client, table: &str) -> f64 {
    client.number("db", &format!("SELECT sum(v) FROM {table}")).await.unwrap()
}

/// How often the catalog on that folder was rebuilt.
fn rebuilds(root: &Path) -> usize {
    std::fs::read_dir(root.join("_gigapi/epochs")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_is_gone_with_its_rows_in_log_and_files_and_its_name_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root).set("GIGAPI_SAVE_TIMEOUT_S", "3600");
    let server = options.start().await.unwrap();
    let client = server.client();
    let committed = client.post("/write?db=db&durability=commit", &[], "m v=1i 1\nother v=7i 1").await.unwrap();
    assert_eq!(committed.status, 204, "{}", committed.body);
    client.must_write("db", "m v=2i 2").await.unwrap();
    assert_eq!(sum(&client, "m").await, 3.0);
    assert_eq!(drop_table(&client, "m").await.status, 200);
    assert!(!is_found(&client, "m").await, "seen after its drop");
    assert_eq!(drop_table(&client, "m").await.status, 404);
    let are_gone = async || Ok(client.metric("gigapi_flush_rows_dropped_total").await? == 1.0);
    until("the rows are gone", PATIENCE, are_gone).await.unwrap();
    // The next table of the name is another one: its columns have other types.
    client.must_write("db", "m v=10.5 3").await.unwrap();
    assert_eq!((sum(&client, "m").await, sum(&client, "other").await), (10.5, 7.0));
    // Neither log nor files bring anything back.
    server.kill().unwrap();
    let server = options.start().await.unwrap();
    let client = server.client();
    assert_eq!((sum(&client, "m").await, sum(&client, "other").await), (10.5, 7.0));
    assert!(server.stop().await.unwrap().success());
    assert_eq!(rebuilds(&root), 0);
    // Nor does a rebuild, which finds the files of both.
    std::fs::remove_dir_all(root.join("_gigapi/catalog")).unwrap();
    let server = options.start().await.unwrap();
    let client = server.client();
    assert_eq!((sum(&client, "m").await, sum(&client, "other").await), (10.5, 7.0));
    assert_eq!(rebuilds(&root), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_that_is_killed_is_finished_by_the_next_start_or_by_its_repetition() {
    for (place, repeat) in
        [("drop:after-tombstone", false), ("drop:after-tombstone", true), ("drop:after-commit", false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let options = ServerOptions::new(&root).set("GIGAPI_SAVE_TIMEOUT_S", "3600");
        let mut server = options.clone().set("GIGAPI_CRASH_POINT", format!("{place}:1")).start().await.unwrap();
        let client = server.client();
        let committed = client.post("/write?db=db&durability=commit", &[], "m v=1i 1").await.unwrap();
        assert_eq!(committed.status, 204, "{}", committed.body);
        client.must_write("db", "m v=2i 2\nkept v=3i 1").await.unwrap();
        let path = "/api/v3/configure/table?db=db&table=m";
        assert!(client.delete(path).await.is_err(), "the server did not die at {place}");
        assert!(!server.until_ended().await.unwrap().success());
        let server = options.start().await.unwrap();
        let client = server.client();
        if repeat {
            // Whoever got no answer asks again, and learns that it is done.
            assert_eq!(drop_table(&client, "m").await.status, 404);
        }
        assert!(!is_found(&client, "m").await, "back after {place}");
        client.must_write("db", "m v=20i 5").await.unwrap();
        assert_eq!((sum(&client, "m").await, sum(&client, "kept").await), (20.0, 3.0));
        assert!(server.stop().await.unwrap().success());
        assert_eq!(rebuilds(&root), 0, "{place}: nothing was lost");
        let verified = options.run(&["catalog", "verify"]).unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_did_not_drop_the_table_notices_and_goes_on() {
    let (redis, folder) = (Redis::start().await.unwrap(), tempfile::tempdir().unwrap());
    let start = async |name: &str, mode: &str, interval: &str| -> Server {
        member(&redis, folder.path(), name, mode).set("GIGAPI_SAVE_TIMEOUT_S", interval).start().await.unwrap()
    };
    let first = start("writer-1", "aio", "0.1").await;
    let second = start("writer-2", "aio", "3600").await;
    let querier = start("querier", "readonly", "1").await;
    let (one, two, asks) = (first.client(), second.client(), querier.client());
    // Both know the table; the second has rows of it that are not flushed.
    let committed = one.post("/write?db=db&durability=commit", &[], "m v=1i 1").await.unwrap();
    assert_eq!(committed.status, 204, "{}", committed.body);
    two.must_write("db", "m v=2i 2").await.unwrap();
    assert_eq!(sum(&asks, "m").await, 1.0);
    let ttl = set_table(&two, json!({ "db": "db", "table": "m", "retention_period": "7d" })).await;
    assert_eq!(ttl.json().unwrap()["retention_period"], "7d", "{}", ttl.body);
    let listed = one.get("/api/v3/configure/table?db=db").await.unwrap().json().unwrap();
    assert_eq!(listed[0]["retention_period"], "7d", "{listed}");
    assert_eq!(drop_table(&one, "m").await.status, 200);
    for client in [&one, &two, &asks] {
        assert!(!is_found(client, "m").await, "seen after its drop");
    }
    // It may take rows of the dropped table for a second; then they are of a new one, of other types.
    let is_taken = async || Ok(two.write("db", "m v=10.5 3").await?.status == 204);
    until("the second writer notices", PATIENCE, is_taken).await.unwrap();
    let committed = two.post("/write?db=db&durability=commit", &[], "m v=20.0 4").await.unwrap();
    assert_eq!(committed.status, 204, "{}", committed.body);
    assert_eq!(two.metric("gigapi_flush_rows_dropped_total").await.unwrap(), 1.0);
    for client in [&one, &two, &asks] {
        assert_eq!(sum(client, "m").await, 30.5);
    }
    second.kill().unwrap();
    let second = start("writer-2", "aio", "0.1").await;
    assert_eq!(sum(&second.client(), "m").await, 30.5);
    assert!(second.stop().await.unwrap().success());
    assert!(first.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_survives_kill_and_the_loss_of_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = ServerOptions::new(&root).set("GIGAPI_SAVE_TIMEOUT_S", "3600");
    let server = options.start().await.unwrap();
    let client = server.client();
    client.must_write("db", "m v=1i 1").await.unwrap();
    let settings = json!({ "merge.level1.interval": "5s" });
    let set = json!({ "db": "db", "table": "m", "retention_period": "12h", "settings": settings });
    assert_eq!(set_table(&client, set).await.status, 200);
    let database = json!({ "db": "new one", "retention_period": "30d" }).to_string();
    assert_eq!(client.post("/api/v3/configure/database", &[], database).await.unwrap().status, 200);
    client.must_write("db", "m v=2i,w=1i 2").await.unwrap();
    server.kill().unwrap();
    for lost in [false, true] {
        if lost {
            std::fs::remove_dir_all(root.join("_gigapi/catalog")).unwrap();
        }
        let server = options.start().await.unwrap();
        let client = server.client();
        let table = client.get("/api/v3/configure/table?db=db").await.unwrap().json().unwrap();
        let found = (&table[0]["retention_period"], &table[0]["settings"], &table[0]["columns"]);
        assert_eq!(found, (&json!("12h"), &settings, &json!(3)), "the catalog was lost: {lost}");
        let databases = client.get("/api/v3/configure/database?format=json").await.unwrap().json().unwrap();
        assert_eq!(databases[1], json!({ "iox::database": "new one", "retention_period": "30d", "tables": 0 }));
        assert_eq!(sum(&client, "m").await, 3.0);
        server.kill().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_a_dropped_table_go_with_it() {
    let (folder, server) = server().await;
    let client = server.client();
    let commit = async |value: i64| {
        let answer = client.post("/write?db=db&durability=commit", &[], format!("m v={value}i 1")).await.unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
    };
    let document = folder.path().join("data/db/m/date=1970-01-01/hour=00/metadata.json");
    commit(1).await;
    until("a document", PATIENCE, async || Ok(document.is_file())).await.unwrap();
    assert_eq!(drop_table(&client, "m").await.status, 200);
    assert!(!document.exists());
    commit(2).await;
    until("another document", PATIENCE, async || Ok(document.is_file())).await.unwrap();
    let rows: Value = serde_json::from_slice(&std::fs::read(&document).unwrap()).unwrap();
    assert_eq!(rows["row_count"], 1, "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_sets_and_drops() {
    let (_folder, server) = server().await;
    server.client().must_write("db", "m v=1i 1\nn v=1i 1").await.unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary().unwrap());
        let output = command.args(arguments).env("GIGAPI_HOST", server.url()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (ok, told) = run(&["tables", "set", "db.m", "--ttl", "7d", "--set", "merge.enabled=false"]);
    assert!(ok && told.contains("7d") && told.contains("merge.enabled=false"), "{told}");
    let (ok, told) = run(&["tables", "set", "db.m", "--ttl", "0", "--unset", "merge.enabled"]);
    assert!(ok && told.contains("for ever") && !told.contains("merge"), "{told}");
    let (ok, told) = run(&["tables", "set", "db.m", "--set", "colour=blue"]);
    assert!(!ok && told.contains("colour"), "{told}");
    assert!(!run(&["tables", "set", "db.m"]).0);
    for listing in [&["tables"] as &[&str], &["tables", "list"], &["tables", "list", "db"]] {
        let (ok, told) = run(listing);
        assert!(ok && told.contains("db.m") && told.contains("db.n"), "{told}");
    }
    for database in ["db", "later"] {
        let (ok, told) = run(&["databases", "set", database, "--ttl", "30d"]);
        assert!(ok && told.contains("30d"), "{told}");
    }
    let (ok, told) = run(&["databases"]);
    assert!(ok && told.contains("later") && told.contains("30d"), "{told}");
    let (ok, told) = run(&["tables", "drop", "db.m"]);
    assert!(!ok && told.contains("--yes"), "{told}");
    assert!(is_found(&server.client(), "m").await);
    let (ok, told) = run(&["tables", "drop", "db.m", "--yes"]);
    assert!(ok && told.contains("db.m is dropped"), "{told}");
    assert!(!is_found(&server.client(), "m").await);
    let (ok, told) = run(&["databases", "drop", "db", "--yes"]);
    assert!(ok && told.contains("with 1 tables"), "{told}");
    let (ok, told) = run(&["databases", "drop", "db", "--yes"]);
    assert!(!ok && told.contains("404"), "{told}");
}
