//! Flushes against a catalog in memory and a store that fails when told to.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use gigapi_catalog::{Catalog, Restore, Standing, TableState};
use gigapi_model::{DatabaseName, SystemIds, TableKey, TableName, TimeRange};
use gigapi_service::Shutdown;
use gigapi_service::settings::Durability;
use gigapi_storage::faulty::{Action, Fault, Operation};

use object_store::ObjectStoreExt;

use crate::world::{World, request, run_to_the_end, write};
use crate::{OpenError, WriteRequest};

#[tokio::test(flavor = "multi_thread")]
async fn rows_end_in_files_that_the_catalog_knows() {
    let world = World::new();
    let writer = world.writer().await;
    let outcome = write(&writer, "m,h=a v=1i 1\nm,h=b v=2i 2\nn v=1 1").await.unwrap();
    assert_eq!(outcome.accepted, 3);
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, world.committed_rows("n").await), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_waited_for_where_it_was_asked_for() {
    let world = World::new();
    let writer = world.writer().await;
    let ingest = Arc::clone(&writer.ingest);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    for row in 1..=5 {
        ingest.write(request(&format!("m v={row}i {row}"), Durability::Commit)).await.unwrap();
        assert_eq!(world.committed_rows("m").await, row);
    }
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upload_is_tried_again_and_doubles_nothing() {
    let world = World::new();
    // Once the object is not there, once it is although the store says no.
    world.faults.add(Fault::next(Operation::Put, Action::ErrorBefore).on("parquet"));
    world.faults.add(Fault::next(Operation::Put, Action::ErrorAfter).on("parquet"));
    let writer = world.writer().await;
    let ingest = Arc::clone(&writer.ingest);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    ingest.write(request("m v=1i 1", Durability::Commit)).await.unwrap();
    assert_eq!(world.committed_rows("m").await, 1);
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_flushed_is_read_back_from_the_log() {
    let world = World::new();
    world.faults.add(Fault::always(Operation::Put, Action::DiskFull).on("parquet"));
    let writer = world.writer().await;
    write(&writer, "m,h=a v=1i 1\nm,h=b v=2i 2").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 0);
    world.faults.clear();
    let writer = world.writer().await;
    let view = writer.buffer().view(world.table("m").await.id);
    assert_eq!(view.chunks.iter().flat_map(|chunk| &chunk.parts).map(|part| part.rows()).sum::<usize>(), 2);
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 2);
    let writer = world.writer().await;
    assert!(writer.buffer().is_empty(), "committed rows came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_is_made_again_is_the_same_flush() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    write(&writer, "n v=1i 1").await.unwrap();
    run_to_the_end(writer).await;
    let [m, n] = world.flushes().await.try_into().unwrap();
    // The catalog was rolled back to before the commits, which the log does not know to have been made.
    let world = world.forgetful();
    let writer = world.writer().await;
    write(&writer, "m v=2i 2\nn v=2i 2").await.unwrap();
    run_to_the_end(writer).await;
    let flushes = world.flushes().await;
    assert_eq!(flushes.iter().filter(|flush| **flush == m || **flush == n).count(), 4, "{flushes:?}");
    assert!(flushes.iter().all(|(lo, _)| *lo == 1 || *lo == m.1 + 1), "{flushes:?}");
    assert_eq!((world.committed_rows("m").await, world.committed_rows("n").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_takes_no_more_holds_up_no_flush_and_is_counted() {
    let world = World::new();
    let writer = world.writer().await;
    let unnoted = writer.metrics.unnoted.clone();
    write(&writer, "m v=1i 1\nn v=1i 1").await.unwrap();
    writer.ingest.log.close();
    assert!(write(&writer, "m v=2i 2").await.is_err());
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, world.committed_rows("n").await, unnoted.get()), (1, 1, 2));
    // What was committed without a note is not read back.
    let writer = world.writer().await;
    assert!(writer.buffer().is_empty(), "committed rows came back");
    let unnoted = writer.metrics.unnoted.clone();
    write(&writer, "m v=2i 2").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, unnoted.get()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_has_forgotten_commits_is_refused() {
    let world = World::new();
    for value in 1..=2 {
        let writer = world.writer().await;
        write(&writer, &format!("m v={value}i {value}")).await.unwrap();
        run_to_the_end(writer).await;
    }
    let [first, _] = world.flushes().await.try_into().unwrap();
    let table = world.table("m").await.id;
    let mut world = world.forgetful();
    let refused = world.try_writer().await.unwrap_err();
    // That the first flush was committed shows in where the second one began.
    let is_told = |known, found| (known, found) == (first.1, 0);
    assert!(
        matches!(refused, OpenError::CatalogBehind { table: of, known, found } if of == table && is_told(known, found)),
        "{refused}"
    );
    // Accepted once, it is no matter of the next start.
    world.accepts_loss = true;
    drop(world.writer().await);
    world.accepts_loss = false;
    drop(world.writer().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_dropped_table_go_and_a_new_one_of_its_name_has_none_of_them() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    let dropped = world.table("m").await.id;
    world.catalog.drop_table(dropped).await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.catalog.table_state(dropped).await.unwrap(), TableState::Dropped);
    let writer = world.writer().await;
    write(&writer, "m v=\"now a text\" 1").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_catalog_gets_the_tables_of_the_log_back() {
    let world = World::new();
    world.faults.add(Fault::always(Operation::Put, Action::DiskFull).on("parquet"));
    let writer = world.writer().await;
    write(&writer, "m,h=a v=1i 1").await.unwrap();
    let before = world.table("m").await;
    run_to_the_end(writer).await;
    let emptied = World { folder: world.folder, ..World::new() };
    let writer = emptied.writer().await;
    assert_eq!(emptied.table("m").await, before);
    run_to_the_end(writer).await;
    assert_eq!(emptied.committed_rows("m").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn years_of_daily_readings_end_in_a_handful_of_files() {
    let world = World::new();
    let writer = world.writer().await;
    const DAY: i64 = 86_400_000_000_000;
    let lines: String = (0..365 * 8).map(|day| format!("m v={day}i {}\n", day * DAY)).collect();
    write(&writer, &lines).await.unwrap();
    run_to_the_end(writer).await;
    let table = world.table("m").await;
    let snapshot = world.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!(snapshot.files.len(), 8);
    assert!(snapshot.files.iter().all(|file| file.bucket.range().contains(file.time.min)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_writer_stops_and_commits_nothing() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    // Another process opens the same log, as after a failover that the first one slept through.
    world.catalog.open_writer(writer.id()).await.unwrap();
    let outcome = writer.run(Shutdown::new()).await;
    assert!(outcome.is_err(), "a fenced writer went on");
    assert_eq!(world.committed_rows("m").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_on_one_folder_is_refused() {
    let world = World::new();
    let _first = world.writer().await;
    let second = crate::wal::Folder::open(Path::new(&world.folder.path().join("wal")), &SystemIds);
    assert!(matches!(second, Err(crate::wal::FolderError::Locked(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_are_named_and_good_ones_kept() {
    let world = World::new();
    let writer = world.writer().await;
    let outcome = write(&writer, "m v=1i 1\n\nm v=\"x\" 2\nm v= 3\nm v=4i 4").await.unwrap();
    let lines: Vec<u64> = outcome.refused.iter().map(|line| line.line_number).collect();
    assert_eq!((outcome.accepted, outcome.refused_count, lines), (2, 2, vec![3, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_all_or_nothing_defines_nothing_when_refused() {
    let world = World::new();
    let writer = world.writer().await;
    let all = WriteRequest { accept_partial: false, ..request("new v=1i 1\nnew v= 2", Durability::Wal) };
    let refused = writer.write(all).await.unwrap_err();
    assert_eq!(refused.refused.map(|outcome| outcome.refused_count), Some(1));
    let database = DatabaseName::new("db").unwrap();
    assert_eq!(world.catalog.table(&database, &TableName::new("new").unwrap()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_table_keeps_equal_rows() {
    let world = World::new();
    let writer = world.writer().await;
    let append = WriteRequest { key: Some(TableKey::None), ..request("m v=1i 1\nm v=1i 1", Durability::Wal) };
    writer.write(append).await.unwrap();
    write(&writer, "keyed v=1i 1\nkeyed v=1i 1").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, world.committed_rows("keyed").await), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_relies_on_a_definition_that_lies_nowhere() {
    let world = World::new();
    let writer = world.writer().await;
    world.faults.add(Fault::next(Operation::Put, Action::ErrorBefore).on("definitions"));
    // The catalog has it by now, and still no row is taken for it.
    assert!(write(&writer, "m v=1i 1").await.is_err());
    let names = async || gigapi_recovery::definition_names(world.layers.first()).await.unwrap();
    assert_eq!((world.table("m").await.revision, names().await), (1, Vec::new()));
    assert!(writer.buffer().is_empty());
    write(&writer, "m v=1i 1").await.unwrap();
    let revisions = async || names().await.iter().map(|name| name.revision).collect::<Vec<_>>();
    assert_eq!(revisions().await, [world.table("m").await.revision]);
    // A later revision takes the earlier one's place.
    write(&writer, "m v=1i,w=2i 2").await.unwrap();
    assert_eq!(revisions().await, [world.table("m").await.revision]);
    // What another writer defined is made sure of before it is used, and only once.
    let other = World { folder: tempfile::tempdir().unwrap(), place: Some("b".to_owned()), ..world };
    let second = other.writer().await;
    other.faults.take_calls();
    write(&second, "m v=3i 3").await.unwrap();
    let puts = other.faults.take_calls().into_iter().filter(|(operation, _)| *operation == Operation::Put);
    assert_eq!(puts.count(), 0, "it lay there when the writer was opened");
    write(&writer, "n v=1i 1").await.unwrap();
    write(&second, "n v=2i 2").await.unwrap();
    write(&second, "n v=3i 3").await.unwrap();
    let puts = other.faults.take_calls().into_iter().filter(|(operation, _)| *operation == Operation::Put);
    assert_eq!(puts.count(), 2, "once by each writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_catalog_is_told_every_key_even_if_the_first_flush_was_committed_before() {
    let world = World::new();
    let mut writer = world.writer().await;
    let keyed = |key: &str| WriteRequest {
        idempotency_key: Some(key.to_owned()),
        ..request(&format!("m v=1i {key}"), Durability::Wal)
    };
    writer.ingest.write(keyed("1")).await.unwrap();
    // The rebuild has found a file with the rows (their definition took a sequence too), and knows nothing of the key that came with them.
    let table = world.table("m").await;
    let mut export = world.catalog.export(table.id).await.unwrap();
    (export.epoch, export.watermarks) = (2, HashMap::from([(writer.id(), 2)]));
    let catalog = world.catalog.epochs().await.unwrap().catalog;
    world.catalog.begin_restore(2).await.unwrap();
    world.catalog.restore(Restore { catalog, epoch: 2, tables: vec![export], dropped: vec![] }).await.unwrap();
    let known = async || {
        let records = world.catalog.idempotency_records().await.unwrap();
        records.into_iter().map(|record| record.key).collect::<BTreeSet<_>>()
    };
    // Nor does an emptied catalog know where the writer is reached.
    world.catalog.withdraw_writer(writer.id()).await.unwrap();
    writer.flusher.round().await;
    assert!(writer.buffer().is_empty());
    assert_eq!(world.catalog.registered_writers().await.unwrap(), [(writer.id(), "writer:1".to_owned())].into());
    assert!(known().await.is_empty(), "nothing was committed that could have brought it");
    writer.ingest.write(keyed("2")).await.unwrap();
    writer.flusher.round().await;
    assert_eq!(known().await, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_catalog_is_told_many_keys_over_several_commits() {
    const KEYS: usize = 2_500;
    let world = World::new();
    let mut writer = world.writer().await;
    let keyed = |key: usize, durability| WriteRequest {
        idempotency_key: Some(key.to_string()),
        ..request(&format!("m v=1i {key}"), durability)
    };
    for key in 1..KEYS {
        writer.ingest.write(keyed(key, Durability::Memory)).await.unwrap();
    }
    writer.ingest.write(keyed(KEYS, Durability::Wal)).await.unwrap();
    writer.flusher.round().await;
    // The same tables, and no key.
    let table = world.table("m").await;
    let export = gigapi_catalog::TableExport { epoch: 2, ..world.catalog.export(table.id).await.unwrap() };
    let catalog = world.catalog.epochs().await.unwrap().catalog;
    world.catalog.begin_restore(2).await.unwrap();
    world.catalog.restore(Restore { catalog, epoch: 2, tables: vec![export], dropped: vec![] }).await.unwrap();
    let mut known = Vec::new();
    for row in 0..4 {
        write(&writer, &format!("m v=2i {row}")).await.unwrap();
        writer.flusher.round().await;
        known.push(world.catalog.idempotency_records().await.unwrap().len());
    }
    assert_eq!(known, [1_000, 2_000, KEYS, KEYS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_stays_gone_until_that_is_accepted() {
    let mut world = World::new();
    for place in [None, Some("here".to_owned())] {
        world.place = place;
        run_to_the_end(world.writer().await).await;
        // The volume is lost, whatever was asked in between.
        world.folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let refused = world.try_writer().await.unwrap_err();
            assert!(matches!(refused, OpenError::WalLost(_)), "{refused}");
        }
        // A start that was cut short after it had made an identity.
        drop(crate::wal::Folder::open(&world.folder.path().join("wal"), &SystemIds).unwrap());
        assert!(matches!(world.try_writer().await, Err(OpenError::WalLost(_))));
        world.folder = tempfile::tempdir().unwrap();
        world.catalog = World::new().catalog;
    }
}

async fn take_epoch(world: &World, epoch: u64) {
    let marker = gigapi_storage::own_path(["epochs", &format!("{epoch}.json")]);
    world.layers.first().store.put(&marker, "taken".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_does_not_count_where_a_rebuild_has_taken_a_later_epoch() {
    let world = World::new();
    let mut writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    let table = world.table("m").await;
    // What a rebuild sees that looks before the flush.
    let export = gigapi_catalog::TableExport { epoch: 2, ..world.catalog.export(table.id).await.unwrap() };
    let catalog = world.catalog.epochs().await.unwrap().catalog;
    take_epoch(&world, 2).await;
    writer.flusher.round().await;
    assert_eq!((world.committed_rows("m").await, writer.buffer().rows()), (1, 1));
    // Nobody else's commit counts either.
    assert!(!matches!(world.catalog.standing().await.unwrap(), Standing::Serving(_)));
    drop(writer);
    assert!(world.try_writer().await.is_err());
    world.catalog.begin_restore(2).await.unwrap();
    world.catalog.restore(Restore { catalog, epoch: 2, tables: vec![export], dropped: vec![] }).await.unwrap();
    run_to_the_end(world.writer().await).await;
    assert_eq!(world.committed_rows("m").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn watermarks_are_not_relied_upon_where_a_rebuild_has_taken_a_later_epoch() {
    let world = World::new();
    run_to_the_end(world.writer().await).await;
    take_epoch(&world, 2).await;
    let refused = world.try_writer().await.unwrap_err();
    assert!(matches!(&refused, OpenError::Catalog(gigapi_catalog::Error::Recovering { .. })), "{refused}");
    assert!(!matches!(world.catalog.standing().await.unwrap(), Standing::Serving(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_while_nobody_knows_whether_their_commit_counts() {
    let world = World::new();
    let mut writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    world.faults.add(Fault::next(Operation::Get, Action::ErrorBefore).on("epochs/"));
    writer.flusher.round().await;
    assert_eq!((world.committed_rows("m").await, writer.buffer().rows()), (1, 1));
    writer.flusher.round().await;
    assert_eq!((world.committed_rows("m").await, writer.buffer().rows()), (1, 0));
}
