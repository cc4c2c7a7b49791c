//! What only a stored catalog promises. What every catalog promises is in `conformance`.

use std::path::Path;

use gigapi_model::{ColumnRole, ColumnType, ManualClock, SystemIds, TimeRange};

use super::*;
use crate::conformance::{Rig, START, definition, limits};

fn open(folder: &Path, clock: &Arc<ManualClock>) -> Rig {
    let catalog = EmbeddedCatalog::open(folder, clock.clone(), Arc::new(SystemIds), limits()).unwrap();
    Rig { catalog: Arc::new(catalog), clock: clock.clone(), _folder: None, _server: None }
}

#[tokio::test]
async fn a_reopened_catalog_is_as_it_was() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let rig = open(folder.path(), &clock);
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let commit = writer.flush(table.id, 2, 2, vec![rig.file(2, 3)]);
    let outcome = rig.commit(commit.clone()).await.unwrap();
    let gone = rig.table("gone").await;
    rig.catalog.drop_table(gone.id).await.unwrap();
    let before = rig.catalog.export(table.id).await.unwrap();
    let epochs = rig.catalog.epochs().await.unwrap();
    drop(rig);

    let rig = open(folder.path(), &clock);
    assert_eq!(rig.catalog.epochs().await.unwrap(), epochs);
    assert_eq!(rig.catalog.export(table.id).await.unwrap(), before);
    assert_eq!(rig.commit(commit).await.unwrap(), outcome);
    assert_eq!(rig.catalog.table_state(gone.id).await.unwrap(), TableState::Dropped);
    assert_eq!(rig.live(table.id).await[0], file);
    let again = rig.open(1).await;
    assert!(again.session.known);
    assert_eq!(again.session.epoch, writer.session.epoch + 1);
    assert_eq!(again.session.watermarks[&table.id], 2);
}

#[tokio::test]
async fn two_handles_on_one_folder_see_each_others_changes() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let (one, two) = (open(folder.path(), &clock), open(folder.path(), &clock));
    let writer = one.open(1).await;
    assert!(two.catalog.live_tables().await.unwrap().is_empty());
    let table = one.table("cpu").await;
    assert_eq!(two.catalog.live_tables().await.unwrap(), std::slice::from_ref(&table));
    assert!(two.live(table.id).await.is_empty());
    let first = one.flush(&writer, table.id, 1, one.file(0, 1)).await;
    assert_eq!(two.live(table.id).await, std::slice::from_ref(&first));
    assert_eq!(two.catalog.version(table.id).await.unwrap(), 2);
    let load = ("load", ColumnType::Float, ColumnRole::Field);
    let extended = two.catalog.define(definition("db", "cpu", &[load])).await.unwrap();
    assert_eq!(one.catalog.table_state(table.id).await.unwrap(), TableState::Live(extended));
    let second = two.flush(&writer, table.id, 2, one.file(2, 3)).await;
    assert_eq!(one.live(table.id).await, [first.clone(), second.clone()]);
    let request = ClaimRequest { table: table.id, inputs: vec![first.id], lease: Duration::from_secs(60) };
    let claim = two.catalog.claim(request.clone()).await.unwrap();
    assert!(matches!(one.catalog.claim(request).await, Err(Error::Claimed { .. })));
    two.commit(two.replace(table.id, claim, &[&first], vec![])).await.unwrap();
    assert_eq!(one.live(table.id).await, [second]);
    one.catalog.drop_table(table.id).await.unwrap();
    assert!(matches!(two.catalog.snapshot(table.id, TimeRange::ALL).await, Err(Error::Dropped { .. })));
    let other = two.table("cpu").await;
    assert_ne!(one.catalog.live_tables().await.unwrap()[0].id, table.id);
    assert!(one.live(other.id).await.is_empty());
}

#[tokio::test]
async fn a_reader_that_fell_behind_the_log_reads_again() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let (one, two) = (open(folder.path(), &clock), open(folder.path(), &clock));
    let (writer, table) = (one.open(1).await, one.table("cpu").await);
    one.flush(&writer, table.id, 1, one.file(0, 1)).await;
    assert_eq!(two.live(table.id).await.len(), 1);
    for seq in 2..=5 {
        one.flush(&writer, table.id, seq, one.file(0, 1)).await;
    }
    let direct = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
    direct.execute("DELETE FROM log WHERE seq < (SELECT max(seq) FROM log)", []).unwrap();
    assert_eq!(two.live(table.id).await, one.live(table.id).await);
    assert_eq!(two.live(table.id).await.len(), 5);
}

#[tokio::test]
async fn a_failed_transaction_answers_every_commit_and_changes_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let rig = open(folder.path(), &clock);
    let (writer, cpu, mem) = (rig.open(1).await, rig.table("cpu").await, rig.table("mem").await);
    let direct = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON log WHEN NEW.table_key = 2 BEGIN SELECT RAISE(ABORT, 'disk'); END";
    direct.execute_batch(trap).unwrap();
    let commits =
        vec![writer.flush(cpu.id, 1, 1, vec![rig.file(0, 1)]), writer.flush(mem.id, 1, 1, vec![rig.file(0, 1)])];
    let answers = rig.catalog.commit(commits.clone()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Unavailable { .. }))), "{answers:?}");
    assert!(rig.live(cpu.id).await.is_empty());
    direct.execute_batch("DROP TRIGGER trap").unwrap();
    let answers = rig.catalog.commit(commits).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(CommitOutcome::Committed { version: 2 }))), "{answers:?}");
}

#[tokio::test]
async fn a_damaged_record_is_reported_as_damage() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let rig = open(folder.path(), &clock);
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let direct = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
    direct.execute("UPDATE files SET record = x'0102'", []).unwrap();
    let refused = rig.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
}

#[tokio::test]
async fn statements_are_compiled_once() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let rig = open(folder.path(), &clock);
    let compiled_again = |connection: &rusqlite::Connection| {
        let sql = "SELECT version FROM tables LEFT JOIN versions ON table_key = key WHERE id = ?1";
        let uses = (0..5_u8).map(|number| {
            let mut statement = connection.prepare_cached(sql).unwrap();
            assert!(!statement.exists([[number; 16]]).unwrap());
            statement.get_status(rusqlite::StatementStatus::RePrepare)
        });
        uses.last().unwrap()
    };
    assert_eq!(compiled_again(&super::schema::open_again(folder.path()).unwrap()), 0);
    let plain = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
    assert!(compiled_again(&plain) > 0, "the setting is not needed any more");
    drop(rig);
}

fn refused(folder: &Path) -> Error {
    let clock = Arc::new(ManualClock::new(START));
    EmbeddedCatalog::open(folder, clock, Arc::new(SystemIds), limits()).unwrap_err()
}

#[test]
fn what_is_no_catalog_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.sqlite");
    std::fs::write(&path, "this is not a database, however long it may be ".repeat(100)).unwrap();
    let error = refused(folder.path());
    assert!(matches!(&error, Error::Corrupt { reason } if reason.contains("catalog.sqlite")), "{error}");

    std::fs::remove_file(&path).unwrap();
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch("CREATE TABLE other(x)").unwrap();
    let error = refused(folder.path());
    assert!(matches!(&error, Error::Corrupt { reason } if reason.contains("another program")), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    drop(open(folder.path(), &clock));
    let direct = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
    direct.pragma_update(None, "user_version", 5).unwrap();
    let error = refused(folder.path());
    assert!(matches!(&error, Error::Corrupt { reason } if reason.contains("format 5")), "{error}");
}

#[tokio::test]
async fn files_of_earlier_formats_are_brought_up_to_this_one() {
    let of_third = "DROP TABLE addresses";
    let of_second = format!("{of_third}; ALTER TABLE meta DROP COLUMN rebuilding; ALTER TABLE meta DROP COLUMN heard");
    let of_first = format!("{of_second}; DROP TABLE places");
    for (format, lacks) in [(1, of_first.as_str()), (2, of_second.as_str()), (3, of_third)] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
        let rig = open(folder.path(), &clock);
        let epochs = rig.catalog.epochs().await.unwrap();
        drop(rig);
        let direct = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
        direct.execute_batch(&format!("{lacks}; PRAGMA user_version = {format}")).unwrap();
        drop(direct);
        let rig = open(folder.path(), &clock);
        assert_eq!(rig.catalog.epochs().await.unwrap(), epochs);
        assert_eq!(rig.catalog.writer_at("pod-0").await.unwrap(), None);
        assert!(rig.catalog.registered_writers().await.unwrap().is_empty());
        rig.catalog.begin_restore(2).await.unwrap();
    }
}

#[test]
fn a_path_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("catalog.sqlite")).unwrap();
    let error = refused(folder.path());
    assert!(matches!(&error, Error::Unavailable { reason } if reason.contains("catalog.sqlite")), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file), Error::Unavailable { .. }));
}
