//! How far a query has come, and its end before its time, against a server that tells of its queries.

use std::time::Duration;

use integration_tests::{Terminal, binary, until};
use serde_json::{Value, json};

use super::fake::{Fake, Fate};

fn running() -> Value {
    json!({
        "id": "x", "database": "db", "query": "SELECT", "state": "running", "elapsed_s": 1.5, "files_planned": 40,
        "files_opened": 12, "rows_scanned": 3_200_000, "bytes_scanned": 120_000_000_u64, "rows_returned": 0,
        "memory_bytes": 1,
    })
}

fn terminal(fake: &Fake, arguments: &[&str], home: &str) -> Terminal {
    let arguments = [&["query", "--host", &fake.url, "--db", "db"], arguments].concat();
    Terminal::start(&binary().unwrap(), &arguments, &[("HOME", home), ("NO_COLOR", "1")], 100).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_query_shows_how_far_it_has_come() {
    let fake = Fake::start(Some(running())).await;
    let mut terminal = terminal(&fake, &["SELECT 42"], "/nonexistent");
    let shown = terminal.until("12 of 40 files · 3,200,000 rows · 120.00 MB read").unwrap();
    assert!(shown.contains('━'), "no bar in {shown}");
    fake.release();
    let answer = terminal.until("1 row in ").unwrap();
    assert!(answer.contains(" n\n────\n 42\n"), "{answer}");
    assert!(terminal.until_ended().unwrap().success());
    assert!(fake.asked() > 0);
    assert_eq!(fake.told_to_end(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_tells_nothing_leaves_the_time() {
    let fake = Fake::start(None).await;
    let mut terminal = terminal(&fake, &["SELECT 42"], "/nonexistent");
    // Milliseconds first, then seconds.
    terminal.until(" s").unwrap();
    fake.release();
    let answer = terminal.until("1 row in ").unwrap();
    assert!(!answer.contains("files"), "{answer}");
    assert!(terminal.until_ended().unwrap().success());
    // It is not asked for ever.
    assert!((1..=4).contains(&fake.asked()), "{}", fake.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_query_is_ended_on_the_server_and_the_shell_goes_on() {
    let fake = Fake::start(Some(running())).await;
    let home = tempfile::tempdir().unwrap();
    let mut terminal = terminal(&fake, &[], home.path().to_str().unwrap());
    terminal.until("db> ").unwrap();
    terminal.press("SELECT 42;\r").unwrap();
    terminal.until("12 of 40 files").unwrap();
    terminal.press("\x03").unwrap();
    terminal.until("cancelled\n").unwrap();
    terminal.until("db> ").unwrap();
    let fate = || fake.fates().first().cloned().unwrap();
    until("the request is dropped", Duration::from_secs(30), async || Ok(fate().1 == Fate::Dropped)).await.unwrap();
    assert_eq!(fake.told_to_end(), [fate().0]);
    fake.release();
    terminal.press("SELECT 42;\r").unwrap();
    terminal.until("1 row in ").unwrap();
    terminal.until("db> ").unwrap();
    terminal.press("\x04").unwrap();
    assert!(terminal.until_ended().unwrap().success());
    assert_eq!(fake.fates().len(), 2, "each query has an id of its own");
}
