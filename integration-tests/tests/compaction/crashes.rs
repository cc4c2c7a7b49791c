//! The process ends at every named place of the merge service, and the next one finishes the work: the same answers, the
//! same rows in the files, and no damage.

use std::path::Path;

use gigapi_compactor::CRASH_POINTS;
use integration_tests::{Client, Embedded, Server, ServerOptions};
use serde_json::{Value, json};

use super::*;

/// Flushes of each table; more than one merge takes where few are many.
const FLUSHES: i64 = 9;

/// Rows of one flush.
const ROWS: i64 = 20;

/// What is written to both tables before anything merges: `appended` grows, `keyed` has the same keys in every flush,
/// with a column that only some of them write.
async fn fill(client: &Client, from: i64) {
    for flush_number in 0..FLUSHES {
        let (mut appended, mut keyed) = (String::new(), String::new());
        for row in 0..ROWS {
            let value = flush_number * ROWS + row;
            appended.push_str(&format!("appended,host=h{row} v={value}i {}\n", from + value * 1_000));
            let also = if flush_number % 3 == 0 { format!(",w={value}i") } else { String::new() };
            keyed.push_str(&format!("keyed,host=h{row} v={value}i{also} {}\n", from + row * SECOND));
        }
        flush(client, "&key=none", appended).await;
        flush(client, "", keyed).await;
    }
}

/// The answers to [`fill`].
async fn assert_filled(client: &Client) {
    let rows = ROWS * FLUSHES;
    let appended = client.rows("db", "SELECT count(*) c, sum(v) s, min(v) l, max(v) m FROM appended").await.unwrap();
    let text = |number: i64| number.to_string();
    let sum = rows * (rows - 1) / 2;
    let expected = json!({ "c": text(rows), "s": text(sum), "l": "0", "m": text(rows - 1) });
    assert_eq!(appended, [expected]);
    let of_last = |flush_number: i64| (0..ROWS).map(|row| flush_number * ROWS + row).sum::<i64>();
    let keyed = client.rows("db", "SELECT count(*) c, sum(v) s, sum(w) w FROM keyed").await.unwrap();
    let last_with_w = (0..FLUSHES).rev().find(|number| number % 3 == 0).unwrap();
    let expected = json!({ "c": text(ROWS), "s": text(of_last(FLUSHES - 1)), "w": text(of_last(last_with_w)) });
    assert_eq!(keyed, [expected]);
}

/// A server that ends at that place, and the one that comes after it.
async fn crashed(options: &ServerOptions, place: &str, count: u32, disturb: impl AsyncFnOnce(Client)) -> Server {
    let mut server = options.clone().set("GIGAPI_CRASH_POINT", format!("{place}:{count}")).spawn().unwrap();
    disturb(server.client()).await;
    let status = tokio::time::timeout(PATIENCE, server.until_ended()).await;
    let status = status.unwrap_or_else(|_| panic!("{place}:{count} was not reached:\n{}", options.log())).unwrap();
    assert!(!status.success(), "the server did not die at {place}");
    assert!(options.log().contains(&format!("crash point {place} reached")), "{}", options.log());
    options.start().await.unwrap()
}

/// Both tables in one file each, with the same rows over SQL and in the files, before and after the loss of the catalog.
async fn assert_whole(server: Server, root: &Path, catalog: &dyn Fn(&Path) -> Embedded) {
    let options = server.options().clone();
    {
        let catalog = catalog(root);
        until_rest(&server, &catalog, &[("appended", 1), ("keyed", 1)]).await;
        assert_filled(&server.client()).await;
        assert_eq!(raw_rows(&catalog, "appended").await, (ROWS * FLUSHES) as u64);
        assert_eq!(raw_rows(&catalog, "keyed").await, ROWS as u64);
    }
    assert_sound(&options);
    assert!(server.stop().await.unwrap().success());
    std::fs::remove_dir_all(root.join("_gigapi/catalog")).unwrap();
    let server = options.start().await.unwrap();
    assert_filled(&server.client()).await;
    assert!(server.stop().await.unwrap().success());
}

fn places(kind: &str) -> impl Iterator<Item = &'static str> {
    CRASH_POINTS.into_iter().filter(move |place| place.starts_with(kind))
}

#[test]
fn every_named_place_belongs_to_a_kind_that_is_visited() {
    let known = ["merge:", "relocate:", "expire:", "delete:"];
    assert!(CRASH_POINTS.iter().all(|place| known.iter().any(|kind| place.starts_with(kind))));
    assert!(known.iter().all(|kind| places(kind).count() > 0));
}

async fn merges_and_deletions(kind: &str) {
    for place in places(kind) {
        // A merge of each table, and one batch of deletions.
        for count in if kind == "merge:" { 1..=2 } else { 1..=1 } {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("data");
            let server = still(&root).start().await.unwrap();
            fill(&server.client(), START).await;
            assert!(server.stop().await.unwrap().success());
            let server = crashed(&fast(&root), place, count, async |_| {}).await;
            assert_whole(server, &root, &|root| Embedded::open(root).unwrap()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_every_place_of_a_merge_changes_no_row() {
    merges_and_deletions("merge:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_every_place_of_a_deletion_changes_no_row() {
    merges_and_deletions("delete:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_every_place_of_a_relocation_changes_no_row() {
    for place in places("relocate:") {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let server = on_two_layers(still(&root), &root, "0", "0").start().await.unwrap();
        fill(&server.client(), START).await;
        assert!(server.stop().await.unwrap().success());
        let server = crashed(&on_two_layers(fast(&root), &root, "1w", "0"), place, 1, async |_| {}).await;
        let catalog = catalog_of_two_layers(&root);
        until_rest(&server, &catalog, &[("appended", 1), ("keyed", 1)]).await;
        for table in ["appended", "keyed"] {
            let files = catalog.live_files("db", table).await.unwrap();
            assert!(files.iter().all(|live| live.file.layer.as_str() == "cold"), "{place}: {files:?}");
        }
        drop(catalog);
        assert_whole(server, &root, &catalog_of_two_layers).await;
    }
}

/// Rows of now beside the old ones, which are all that is left.
async fn fill_with_new(client: &Client) {
    fill(client, START).await;
    let now = now();
    for table in ["appended", "keyed"] {
        let lines: String = (0..ROWS).map(|row| format!("{table},host=new{row} v={row}i {}\n", now + row)).collect();
        flush(client, "", lines).await;
    }
}

fn now() -> i64 {
    SystemClock.now().nanos()
}

async fn set_ttl(client: &Client, table: &str) -> anyhow::Result<()> {
    let body: Value = json!({ "db": "db", "table": table, "retention_period": "1d" });
    let answer = client.put("/api/v3/configure/table", body.to_string()).await?;
    anyhow::ensure!(answer.status == 200, "{}", answer.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_every_place_of_an_expiry_ends_old_rows_and_no_others() {
    for place in places("expire:") {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let server = still(&root).start().await.unwrap();
        fill_with_new(&server.client()).await;
        assert!(server.stop().await.unwrap().success());
        let options = fast(&root);
        let server = crashed(&options, place, 1, async |client| {
            let ready = async || Ok(client.get("/ready").await.is_ok_and(|answer| answer.status == 200));
            until("a server that is ready", PATIENCE, ready).await.unwrap();
            // The server may end before it answers.
            let _ = set_ttl(&client, "appended").await;
        })
        .await;
        set_ttl(&server.client(), "keyed").await.unwrap();
        let catalog = Embedded::open(&root).unwrap();
        until_rest(&server, &catalog, &[("appended", 1), ("keyed", 1)]).await;
        for table in ["appended", "keyed"] {
            let sql = format!("SELECT count(*) c, sum(v) s, count(DISTINCT host) h FROM {table}");
            let expected = json!({ "c": "20", "s": "190", "h": "20" });
            assert_eq!(server.client().rows("db", &sql).await.unwrap(), [expected], "{place}");
            let old = format!("SELECT count(*) FROM {table} WHERE time < '2026-02-01'");
            assert_eq!(server.client().number("db", &old).await.unwrap(), 0.0);
            assert_eq!(raw_rows(&catalog, table).await, ROWS as u64);
        }
        assert_sound(&options);
        assert!(server.stop().await.unwrap().success());
    }
}
