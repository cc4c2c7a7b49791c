//! Data that grows old: it moves to the next layer, ends on the last, and is neither missed nor asked for meanwhile. And a
//! table that is dropped and made again while its files are merged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const DAY: i64 = 86_400 * SECOND;

fn now() -> i64 {
    SystemClock.now().nanos()
}

/// Asks until it is told to stop; every answer has to be that number.
async fn always(client: Client, sql: &'static str, expected: f64, over: Arc<AtomicBool>) -> u64 {
    let mut asked = 0;
    while !over.load(Ordering::SeqCst) {
        assert_eq!(client.number("db", sql).await.unwrap(), expected, "{sql}");
        asked += 1;
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn data_older_than_a_week_moves_to_the_next_layer_while_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = on_two_layers(still(&root), &root, "0", "0").start().await.unwrap();
    let (client, now) = (server.client(), now());
    for number in 0..6 {
        let old = format!("m v={number}i {}\nm v=10i {}\n", now - 30 * DAY + number, now - 8 * DAY + number);
        let new = format!("m v=100i {}\nm v=1000i {}\n", now - 6 * DAY + number, now + number);
        flush(&client, "&key=none", old + &new).await;
    }
    assert!(server.stop().await.unwrap().success());
    // Inputs stay for as long as a question takes.
    let options = on_two_layers(fast(&root), &root, "1w", "0").set("GIGAPI_DELETE_GRACE_S", "5");
    let server = options.start().await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(always(server.client(), "SELECT sum(v) FROM m", 6675.0, Arc::clone(&over)));
    let counting = "SELECT count(*) FROM m WHERE time < now() - INTERVAL '7 days'";
    let counting = tokio::spawn(always(server.client(), counting, 12.0, Arc::clone(&over)));
    let catalog = catalog_of_two_layers(&root);
    let moved = async || {
        let files = catalog.live_files("db", "m").await?;
        let week = now - 7 * DAY;
        let right = |live: &LiveFile| (live.file.layer.as_str() == "cold") == (live.file.time.max.nanos() < week);
        Ok(files.iter().all(right) && files.len() <= 8 && catalog.graves().await? == 0)
    };
    if let Err(error) = until("old files on the other layer", PATIENCE, moved).await {
        let files = catalog.live_files("db", "m").await.unwrap();
        panic!("{error:#}: {files:?}\n{}", options.log());
    }
    over.store(true, Ordering::SeqCst);
    assert!(asking.await.unwrap() > 0 && counting.await.unwrap() > 0);
    assert_eq!(raw_rows(&catalog, "m").await, 24);
    assert_sound(&options);
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn data_older_than_the_last_layer_keeps_is_gone_without_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = on_two_layers(still(&root), &root, "0", "0").start().await.unwrap();
    let (client, now) = (server.client(), now());
    for number in 0..4 {
        flush(&client, "&key=none", format!("m v=1i {}\nold v=1i {}", now + number, now - 30 * DAY + number)).await;
        flush(&client, "&key=none", format!("m v=10i {}\nm v=100i {}", now - 3 * DAY, now - 30 * DAY)).await;
    }
    assert!(server.stop().await.unwrap().success());
    let options = on_two_layers(fast(&root), &root, "1d", "1w");
    let server = options.start().await.unwrap();
    let client = server.client();
    let catalog = catalog_of_two_layers(&root);
    let ended = async || {
        let left = client.number("db", "SELECT sum(v) FROM m").await?;
        assert!(left == 444.0 || left == 44.0, "{left} is no sum that there ever was");
        Ok(left == 44.0 && catalog.live_files("db", "old").await?.is_empty())
    };
    until("old rows that are gone", PATIENCE, ended).await.unwrap();
    // The range of what is gone, and a table that has nothing left, are empty answers.
    for (sql, expected) in [
        ("SELECT count(*) FROM m WHERE time < now() - INTERVAL '20 days'", 0.0),
        ("SELECT count(*) FROM m", 8.0),
        ("SELECT count(*) FROM old", 0.0),
    ] {
        assert_eq!(client.number("db", sql).await.unwrap(), expected, "{sql}");
    }
    for sql in ["SELECT * FROM m WHERE time < now() - INTERVAL '20 days'", "SELECT * FROM old", "SELECT v FROM old"] {
        assert_eq!(client.rows("db", sql).await.unwrap(), [0; 0], "{sql}");
    }
    let rested = async || Ok(catalog.graves().await? == 0);
    until("graves that are empty", PATIENCE, rested).await.unwrap();
    assert_eq!(raw_rows(&catalog, "m").await, 8);
    // The table takes rows again.
    flush(&client, "", format!("old v=7i {now}")).await;
    assert_eq!(client.number("db", "SELECT sum(v) FROM old").await.unwrap(), 7.0);
    assert_sound(&options);
    assert!(server.stop().await.unwrap().success());
}

/// Writes to a table until it is told to stop, whatever becomes of its rows.
async fn always_write(client: Client, over: Arc<AtomicBool>) -> u64 {
    let mut written = 0;
    while !over.load(Ordering::SeqCst) {
        let line = format!("m,host=h{} v={written}i {}", written % 3, START + written * 1_000);
        let answer = client.post("/write?db=db&durability=commit", &[], line).await.unwrap();
        // Rows of a drop that overtakes their commit are refused, and go with the table.
        assert!(answer.status == 204 || answer.status >= 500 || answer.body.contains("drop"), "{answer:?}");
        written += 1;
    }
    written as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_dropped_and_made_again_under_load_while_it_is_merged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let options = fast(&root).set("GIGAPI_SAVE_TIMEOUT_S", "0.02");
    let server = options.start().await.unwrap();
    let client = server.client();
    let over = Arc::new(AtomicBool::new(false));
    let writing: Vec<_> = (0..3).map(|_| tokio::spawn(always_write(server.client(), Arc::clone(&over)))).collect();
    let merges = async || client.metric("gigapi_compactor_jobs_total{job=\"merge\"}").await.unwrap_or(0.0);
    for _ in 0..8 {
        let before = merges().await;
        let more = async || Ok(merges().await >= before + 3.0);
        until("merges of the table", PATIENCE, more).await.unwrap();
        let answer = client.delete("/api/v3/configure/table?db=db&table=m").await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    over.store(true, Ordering::SeqCst);
    for task in writing {
        assert!(task.await.unwrap() > 0);
    }
    assert_eq!(client.delete("/api/v3/configure/table?db=db&table=m").await.unwrap().status, 200);
    for value in 1..=5 {
        flush(&client, "", format!("m v={value}.5 {}", START + value)).await;
    }
    let catalog = integration_tests::Embedded::open(&root).unwrap();
    until_rest(&server, &catalog, &[("m", 1)]).await;
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 17.5);
    assert_sound(&options);
    drop(catalog);
    assert!(server.stop().await.unwrap().success());
    // Neither log nor layers bring a dropped one back.
    std::fs::remove_dir_all(root.join("_gigapi/catalog")).unwrap();
    let server = options.start().await.unwrap();
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 17.5);
    assert!(server.stop().await.unwrap().success());
}
