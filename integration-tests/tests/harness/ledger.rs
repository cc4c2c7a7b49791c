//! The ledger finds what it is there to find.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use integration_tests::{Client, Flaw, Ledger, Server, ServerOptions, Verdict};

const PATIENCE: Duration = Duration::from_secs(60);

async fn server(folder: &Path) -> Server {
    ServerOptions::new(&folder.join("data")).set("GIGAPI_SAVE_TIMEOUT_S", "0.05").start().await.unwrap()
}

/// A ledger with some rows of two clients, over three hours.
async fn written(folder: &Path, client: Client) -> Ledger {
    let ledger = Ledger::new(&folder.join("notes")).unwrap().clients(2).over_hours(3);
    let mut writing = ledger.start(&[client]).unwrap();
    writing.until_acknowledged(5, PATIENCE).await.unwrap();
    writing.stop(PATIENCE).await.unwrap();
    ledger
}

/// Adds to what client 0 noted: rows that it never sent, and believes to be acknowledged. Their first number.
fn note_more(folder: &Path, ledger: &Ledger, count: u64) -> u64 {
    let first = ledger.requests().unwrap()[0].last().map_or(0, |last| last.first + last.count);
    let mut notes = std::fs::File::options().append(true).open(folder.join("notes/ledger-0")).unwrap();
    write!(notes, "sent {first} {count} \nacknowledged {first} {count} \n").unwrap();
    first
}

async fn write_row(client: &Client, name: &str, seq: u64) {
    let line = format!("ledger,client={name} seq={seq}i,hash=0i 1767225600000000000");
    let answer = client.post("/write?db=ledger&durability=commit", &[], line).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The flaws over SQL and, after a stop that leaves nothing in the log, in the files; these have to agree.
async fn verdicts(folder: &Path, ledger: &Ledger, server: Server) -> Vec<Flaw> {
    let sql = ledger.verify(&server.client()).await.unwrap();
    assert!(server.stop().await.unwrap().success());
    let published: Verdict = ledger.verify_published(&folder.join("data")).unwrap();
    assert_eq!(sql, published);
    let mut files = Vec::new();
    parquet(&folder.join("data/ledger"), &mut files);
    assert!(files.len() >= 3, "the rows of three hours lie in {files:?}");
    assert_eq!(ledger.verify_files(&files).unwrap(), sql);
    sql.flaws
}

fn parquet(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            parquet(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_ledger_is_found_sound_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let ledger = written(folder.path(), server.client()).await;
    let before = ledger.acknowledged().unwrap();
    let mut writing = ledger.start(&[server.client()]).unwrap();
    writing.until_acknowledged(2, PATIENCE).await.unwrap();
    // While clients write, nothing looks wrong that is not.
    for _ in 0..3 {
        ledger.verify(&server.client()).await.unwrap().sound().unwrap();
    }
    writing.break_off().await;
    let after = ledger.acknowledged().unwrap();
    assert!(after.iter().zip(&before).all(|(after, before)| after > before), "{before:?} {after:?}");
    assert_eq!(verdicts(folder.path(), &ledger, server).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_rows_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let ledger = written(folder.path(), server.client()).await;
    let first = note_more(folder.path(), &ledger, 2);
    let error = ledger.until_sound(&server.client(), Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(error.contains("not within 300ms") && error.contains("Lost"), "{error}");
    let lost = Flaw::Lost { client: 0, first, count: 2 };
    assert_eq!(verdicts(folder.path(), &ledger, server).await, [lost]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_there_in_part_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let ledger = written(folder.path(), server.client()).await;
    let first = note_more(folder.path(), &ledger, 3);
    write_row(&server.client(), "c0", first + 1).await;
    let error = ledger.until_sound(&server.client(), PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("Torn") && !error.contains("not within"), "{error}");
    // The row has a hash that is not its own.
    let changed = Flaw::Changed { client: 0, seq: first + 1 };
    let torn = Flaw::Torn { client: 0, seq: first };
    assert_eq!(verdicts(folder.path(), &ledger, server).await, [changed, torn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_and_unsent_rows_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let ledger = written(folder.path(), server.client()).await;
    write_row(&server.client(), "c1", 0).await;
    write_row(&server.client(), "c1", 1_000_000).await;
    write_row(&server.client(), "stranger", 0).await;
    let flaws = verdicts(folder.path(), &ledger, server).await;
    assert_eq!(flaws.len(), 4, "{flaws:?}");
    assert!(flaws.contains(&Flaw::Changed { client: 1, seq: 0 }));
    assert!(flaws.contains(&Flaw::Doubled { client: 1, seq: 0, times: 2 }));
    assert!(flaws.contains(&Flaw::Unsent { client: "c1".to_owned(), seq: 1_000_000 }));
    assert!(flaws.contains(&Flaw::Unsent { client: "stranger".to_owned(), seq: 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_one_and_one_without_its_key_is_two() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let ledger = written(folder.path(), server.client()).await;
    // The notes of a client that has forgotten the answer to its last request.
    let path = folder.path().join("notes/ledger-0");
    let notes = std::fs::read_to_string(&path).unwrap();
    let forgotten = notes.rfind("sent ").unwrap();
    std::fs::write(&path, &notes[..forgotten]).unwrap();
    let mut writing = ledger.start(&[server.client()]).unwrap();
    writing.until_acknowledged(1, PATIENCE).await.unwrap();
    writing.stop(PATIENCE).await.unwrap();
    ledger.verify(&server.client()).await.unwrap().sound().unwrap();
    // A restarted ledger of another name has other keys: the same rows come twice.
    let doubled = Ledger::new(&folder.path().join("other-notes")).unwrap().clients(2).over_hours(3).keyed("other");
    let mut writing = doubled.start(&[server.client()]).unwrap();
    writing.until_acknowledged(1, PATIENCE).await.unwrap();
    writing.stop(PATIENCE).await.unwrap();
    let flaws = ledger.verify(&server.client()).await.unwrap().flaws;
    assert!(flaws.contains(&Flaw::Doubled { client: 0, seq: 0, times: 2 }), "{flaws:?}");
    assert!(flaws.iter().all(|flaw| matches!(flaw, Flaw::Doubled { .. })), "{flaws:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_no_ledger_may_get_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let ledger = Ledger::new(&folder.path().join("notes")).unwrap();
    server.client().must_write("ledger", "ledger,client=c0 seq=\"text\"").await.unwrap();
    let mut writing = ledger.start(&[server.client()]).unwrap();
    let error = writing.until_acknowledged(1, PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("answered 400"), "{error}");
}
