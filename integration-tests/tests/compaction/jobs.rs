//! The compactor as a job that ends: what it prints, how it exits, and what it leaves alone.

use std::process::Output;

use integration_tests::Embedded;

use super::*;

/// A folder with files of a table that are due, and no server.
async fn due(root: &Path) -> Embedded {
    let server = still(root).start().await.unwrap();
    for number in 0..6 {
        let lines = format!("m,host=a v={number}i {}\nother v={number}i {START}", START + number);
        flush(&server.client(), "&key=none", lines).await;
    }
    assert!(server.stop().await.unwrap().success());
    Embedded::open(root).unwrap()
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

async fn files(catalog: &Embedded) -> (usize, usize) {
    let count = async |table| catalog.live_files("db", table).await.unwrap().len();
    (count("m").await, count("other").await)
}

/// Every file below a folder, with its content.
fn everything(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet" || extension == "json") {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_does_what_is_due_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let catalog = due(&root).await;
    let output = fast(&root).run_program("gigapi-compactor", &["--once"]).unwrap();
    let (out, errors) = told(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{errors}");
    let summary: Vec<&str> = out.lines().filter(|line| line.starts_with("merged 12 files of ")).collect();
    assert!(summary.len() == 1 && summary[0].ends_with("; 0 failures"), "{out}");
    assert_eq!(files(&catalog).await, (1, 1));
    // Nothing more is due.
    let output = fast(&root).run_program("gigapi-compactor", &["--once"]).unwrap();
    assert!(output.status.success() && told(&output).0.contains("merged 0 files"), "{:?}", told(&output));
    let server = fast(&root).start().await.unwrap();
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 15.0);
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_replaced_while_nothing_ran_is_published_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let catalog = due(&root).await;
    let paths = |document: &serde_json::Value, list: &str| -> std::collections::BTreeSet<String> {
        let entries = document[list].as_array().unwrap().iter();
        entries.map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
    };
    let place = root.join("db/m/date=2026-01-01/hour=00/metadata.json");
    let document = || serde_json::from_slice::<serde_json::Value>(&std::fs::read(&place).unwrap()).unwrap();
    let before = paths(&document(), "files");
    assert_eq!((before.len(), paths(&document(), "drop_queue").len()), (6, 0));
    let keeping = |options: ServerOptions| options.set("GIGAPI_DELETE_GRACE_S", "3600");
    assert!(keeping(fast(&root)).run_program("gigapi-compactor", &["--once"]).unwrap().status.success());
    assert_eq!(files(&catalog).await, (1, 1));
    assert_eq!(paths(&document(), "files"), before, "a job has no writer that publishes");
    let server = keeping(still(&root)).start().await.unwrap();
    until("the newest document", PATIENCE, async || Ok(paths(&document(), "drop_queue") == before)).await.unwrap();
    let document = document();
    assert_eq!(document["files"].as_array().unwrap().len(), 1);
    assert!(paths(&document, "files").is_disjoint(&before));
    assert_eq!(document["row_count"], 6);
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_names_a_damaged_file_and_exits_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let catalog = due(&root).await;
    let damaged = catalog.live_files("db", "m").await.unwrap()[0].clone();
    let mut bytes = std::fs::read(&damaged.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged.path, bytes).unwrap();
    for program in ["gigapi-compactor", "gigapi"] {
        let arguments: &[&str] = if program == "gigapi" { &["compact"] } else { &["--once"] };
        let output = fast(&root).run_program(program, arguments).unwrap();
        let (out, errors) = told(&output);
        assert_eq!(output.status.code(), Some(1), "{out}{errors}");
        assert!(errors.contains(&damaged.file.id.to_string()), "{errors}");
        assert!(out.contains(" failures"), "{out}");
    }
    assert_eq!(files(&catalog).await, (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_shown_as_a_table_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let catalog = due(&root).await;
    let before = everything(&root);
    let output = fast(&root).run(&["compact", "db.m", "--dry-run"]).unwrap();
    let (out, errors) = told(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{errors}");
    let header = out.lines().next().unwrap();
    assert!(
        ["table", "job", "where", "files", "rows", "bytes", "why"].iter().all(|name| header.contains(name)),
        "{out}"
    );
    let row = out.lines().find(|line| line.contains("db.m")).unwrap();
    assert!(row.contains("merge") && row.contains(" 6 ") && row.contains("level"), "{out}");
    assert!(!out.contains("db.other") && out.contains("1 jobs are due, on 6 files of "), "{out}");
    assert_eq!(files(&catalog).await, (6, 6));
    assert_eq!(everything(&root), before);
    // One table alone is done.
    let output = fast(&root).run(&["compact", "db.m"]).unwrap();
    assert!(output.status.success() && told(&output).0.contains("merged 6 files"), "{:?}", told(&output));
    assert_eq!(files(&catalog).await, (1, 6));
    let output = fast(&root).run(&["compact", "db.nothing", "--dry-run"]).unwrap();
    assert!(told(&output).0.contains("0 jobs are due"), "{:?}", told(&output));
    let output = fast(&root).run(&["compact", "db.m.x", "--dry-run"]).unwrap();
    assert!(!output.status.success() || told(&output).0.contains("0 jobs are due"), "{:?}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_merging_removed_files_are_deleted_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = still(&root).start().await.unwrap();
    let client = server.client();
    for number in 0..8 {
        flush(&client, "", format!("m v={number}i {}\ndropped v=1i {START}", START + number)).await;
    }
    let objects = || everything(&root).into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "parquet"));
    assert_eq!(objects().count(), 16);
    assert_eq!(client.delete("/api/v3/configure/table?db=db&table=dropped").await.unwrap().status, 200);
    let deleted = async || Ok(objects().count() == 8);
    until("the dropped table's files are deleted", PATIENCE, deleted).await.unwrap();
    let catalog = Embedded::open(&root).unwrap();
    assert_eq!(catalog.live_files("db", "m").await.unwrap().len(), 8);
    assert!(client.metric("gigapi_compactor_jobs_total{job=\"merge\"}").await.is_err());
    assert!(server.stop().await.unwrap().success());
}
