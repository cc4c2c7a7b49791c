use gigapi_catalog::TableState;
use gigapi_model::{NewFile, SequenceRange};
use gigapi_storage::{FilePath, MergeSource, Origin};
use object_store::ObjectStoreExt;

use super::*;
use crate::testing::World;
use crate::{Checkpointer, Condition, Policy, condition, overtaking, tombstone};

async fn checkpoint(world: &World) {
    let mut checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    checkpointer.pass(true).await.unwrap();
}

#[tokio::test]
async fn a_lost_catalog_is_rebuilt_from_checkpoint_and_footers() {
    let mut world = World::new().await;
    let owner = world.catalog.epochs().await.unwrap().catalog;
    assert_eq!(condition(world.catalog.as_ref(), &world.layers).await.unwrap(), Condition::Healthy);
    let (log, table) = (world.open_log(1).await, world.table("cpu/load 1").await);
    world.flush(&table, &log, (1, 6), &[&[1, 2], &[4000]]).await;
    checkpoint(&world).await;
    world.flush(&table, &log, (7, 7), &[&[3]]).await;
    let later = world.table("made later").await;
    world.flush(&later, &log, (1, 9), &[&[10, 11]]).await;
    // Uploaded and never committed: in part, and behind a gap.
    let torn = world
        .upload(
            &table,
            Origin::Flush { writer: log.writer, writer_epoch: log.epoch, lo: 8, hi: 9, part: 0, parts: 2 },
            &[77],
        )
        .await;
    let ahead = world.upload_flush(&table, &log, (10, 12), &[&[78]]).await;
    let before = world.catalog.export(table.id).await.unwrap();

    world.lose_catalog();
    let lost = condition(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!(lost, Condition::Recovering { catalog: owner });
    let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!((report.catalog, report.epoch, report.tables), (owner, 2, 2));
    assert_eq!((report.files, report.rows, report.orphans, report.foreign), (4, 6, 2, 0));
    assert_eq!(condition(world.catalog.as_ref(), &world.layers).await.unwrap(), Condition::Healthy);

    assert_eq!(world.live_rows(table.id).await, [1, 2, 3, 4000]);
    assert_eq!(world.live_rows(later.id).await, [10, 11]);
    let after = world.catalog.export(table.id).await.unwrap();
    assert_eq!((&after.table, &after.watermarks), (&before.table, &before.watermarks));
    assert!(after.version >= before.version);
    let bare = |export: &TableExport| {
        export.files.iter().map(|new| (new.file.id, new.file.checksum, new.statistics.clone())).collect::<Vec<_>>()
    };
    assert_eq!(bare(&after), bare(&before), "files, checksums or statistics differ");
    assert!(after.files.iter().all(|new| new.file.id != torn.file.id && new.file.id != ahead[0].file.id));
    // Work goes on where it stopped.
    let log = world.open_log(1).await;
    assert_eq!(log.watermarks[&table.id], 7);
    world.flush(&table, &log, (8, 8), &[&[5]]).await;
    assert_eq!(world.live_rows(table.id).await, [1, 2, 3, 5, 4000]);
}

#[tokio::test]
async fn without_any_checkpoint_footers_suffice_again_and_again() {
    let mut world = World::new().await;
    let table = world.table("cpu").await;
    for round in 1..=3 {
        let log = world.open_log(1).await;
        let second = i64::try_from(round).unwrap();
        world.flush(&table, &log, (round, round), &[&[second]]).await;
        world.lose_catalog();
        let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
        assert_eq!((report.epoch, report.rows), (round + 1, round));
    }
    assert_eq!(world.live_rows(table.id).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_late_output_of_a_lost_epoch_is_an_orphan() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let old = world.catalog.clone();
    world.lose_catalog();
    rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    // A process that has not noticed finishes its upload under the epoch that it knows.
    let new = std::mem::replace(&mut world.catalog, old);
    world.upload_flush(&table, &log, (2, 2), &[&[99]]).await;
    drop(new);
    world.lose_catalog();
    let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!((report.epoch, report.orphans), (3, 1));
    assert_eq!(world.live_rows(table.id).await, [1]);
}

#[tokio::test]
async fn merged_and_relocated_files_are_found_where_they_are() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let one = world.flush(&table, &log, (1, 1), &[&[1]]).await.remove(0);
    let two = world.flush(&table, &log, (2, 2), &[&[2]]).await.remove(0);
    let three = world.flush(&table, &log, (3, 3), &[&[3]]).await.remove(0);
    checkpoint(&world).await;
    let source = |new: &NewFile, seq| MergeSource { file: new.file.id, sequence: SequenceRange { lo: seq, hi: seq } };
    let sources = vec![source(&one, 2), source(&two, 3)];
    let origin = Origin::Merge { sequence: SequenceRange { lo: 2, hi: 3 }, sources };
    let merged = world.upload(&table, origin, &[1, 2]).await;
    let [hot, cold] = [world.layers.first().clone(), world.layers.iter().nth(1).unwrap().clone()];
    // The merge's inputs are deleted; the third file moved to the other layer.
    for gone in [&one, &two] {
        hot.store.delete(&FilePath::of(&table, &gone.file).object_path()).await.unwrap();
    }
    let path = FilePath::of(&table, &three.file).object_path();
    let bytes = hot.store.get(&path).await.unwrap().bytes().await.unwrap();
    cold.store.put(&path, bytes.into()).await.unwrap();
    hot.store.delete(&path).await.unwrap();
    world.lose_catalog();
    rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!(world.live_rows(table.id).await, [1, 2, 3]);
    let export = world.catalog.export(table.id).await.unwrap();
    let layer_of = |id| export.files.iter().find(|new| new.file.id == id).map(|new| new.file.layer.as_str());
    assert_eq!((layer_of(merged.file.id), layer_of(three.file.id)), (Some("hot"), Some("cold")));
}

#[tokio::test]
async fn a_dropped_table_does_not_come_back() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    checkpoint(&world).await;
    tombstone(&world.layers, &table, crate::testing::START).await.unwrap();
    world.catalog.drop_table(table.id).await.unwrap();
    let again = world.table("cpu").await;
    world.flush(&again, &log, (1, 2), &[&[2]]).await;
    world.lose_catalog();
    let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!((report.tables, report.orphans), (1, 1));
    assert_eq!(world.catalog.table_state(table.id).await.unwrap(), TableState::Dropped);
    assert_eq!(world.live_rows(again.id).await, [2]);
}

#[tokio::test]
async fn what_cannot_be_explained_stops_the_rebuild_and_keeps_the_catalog_closed() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1, 2, 3]]).await.remove(0).file;
    let path = FilePath::of(&table, &file).object_path();
    let hot = world.layers.first().clone();
    let bytes = hot.store.get(&path).await.unwrap().bytes().await.unwrap();
    let mut damaged = bytes.to_vec();
    damaged[10] ^= 1;
    hot.store.put(&path, damaged.into()).await.unwrap();
    world.lose_catalog();
    let error = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap_err();
    assert!(matches!(&error, Error::DamagedFiles { count: 1, first } if first.contains(path.as_ref())), "{error}");
    assert!(matches!(world.catalog.epochs().await, Err(gigapi_catalog::Error::Recovering { .. })));
    hot.store.put(&path, bytes.into()).await.unwrap();
    rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();

    // A checkpoint is there now; the file that it names is cut short.
    hot.store.put(&path, b"PAR1".as_slice().into()).await.unwrap();
    world.lose_catalog();
    let error = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap_err();
    assert!(matches!(error, Error::Plan(crate::PlanError::FileGone { file: gone, .. }) if gone == file.id), "{error}");
}

#[tokio::test]
async fn a_catalog_that_was_rolled_back_gets_the_rows_that_it_forgot() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let copy = world.copy_catalog();
    world.flush(&table, &log, (2, 2), &[&[2]]).await;
    let made_later = world.table("later").await;
    world.flush(&made_later, &log, (1, 3), &[&[3]]).await;
    checkpoint(&world).await;
    world.flush(&table, &log, (3, 4), &[&[4]]).await;
    world.use_catalog(copy);
    let behind = condition(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert!(matches!(behind, Condition::RolledBack(_)), "{behind:?}");
    rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!(world.live_rows(table.id).await, [1, 2, 4]);
    assert_eq!(world.live_rows(made_later.id).await, [3]);
    // Whoever committed before goes on under the new epoch, from the rebuilt watermark.
    let stale = world.try_flush(&table, &log, (5, 5), &[&[5]]).await.unwrap_err();
    assert!(matches!(stale, gigapi_catalog::Error::Fenced { .. }), "{stale}");
    let log = world.open_log(1).await;
    assert_eq!(log.watermarks[&table.id], 4);
}

#[tokio::test]
async fn a_rebuild_beside_a_running_one_supersedes_it() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let owner = world.catalog.epochs().await.unwrap().catalog;
    let first = begin(world.catalog.as_ref(), &world.layers, owner, 0).await.unwrap();
    let standing = condition(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!(standing, Condition::Rebuilding { silent: Duration::ZERO });
    let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert!(report.epoch > first);
    let late = restore(world.catalog.as_ref(), &world.layers, owner, first).await;
    assert!(!matches!(late, Ok(Done::Restored(_))), "the first one comes too late");
    assert_eq!(world.catalog.epochs().await.unwrap().epoch, report.epoch);
    assert_eq!(world.live_rows(table.id).await, [1]);
}

#[tokio::test]
async fn a_catalog_from_before_a_rebuild_closed_it_is_found_out() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    assert_eq!(overtaking(&world.layers, 1).await.unwrap(), None);
    let (owner, copy) = (world.catalog.epochs().await.unwrap().catalog, world.copy_catalog());
    let taken = begin(world.catalog.as_ref(), &world.layers, owner, 0).await.unwrap();
    world.use_catalog(copy);
    assert_eq!(overtaking(&world.layers, 1).await.unwrap(), Some(taken));
    let evidence = crate::Evidence::Epoch { taken, epoch: 1 };
    assert_eq!(condition(world.catalog.as_ref(), &world.layers).await.unwrap(), Condition::RolledBack(evidence));
    let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert!(report.epoch > taken);
    assert_eq!(overtaking(&world.layers, report.epoch).await.unwrap(), None);
    assert_eq!(condition(world.catalog.as_ref(), &world.layers).await.unwrap(), Condition::Healthy);
    assert_eq!(world.live_rows(table.id).await, [1]);
}

#[tokio::test]
async fn an_epoch_that_files_remember_does_not_begin_again() {
    let mut world = World::new().await;
    let table = world.table("cpu").await;
    let log = world.open_log(1).await;
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    world.lose_catalog();
    assert_eq!(rebuild(world.catalog.as_ref(), &world.layers).await.unwrap().epoch, 2);
    let log = world.open_log(1).await;
    world.flush(&table, &log, (2, 2), &[&[2]]).await;
    let marker = gigapi_storage::own_path(["epochs", "2.json"]);
    world.layers.first().store.delete(&marker).await.unwrap();
    world.lose_catalog();
    assert_eq!(rebuild(world.catalog.as_ref(), &world.layers).await.unwrap().epoch, 3);
    assert_eq!(world.live_rows(table.id).await, [1, 2]);
}

#[tokio::test]
async fn a_rebuild_gives_way_to_a_later_one_though_its_closing_was_lost() {
    let world = World::new().await;
    let owner = world.catalog.epochs().await.unwrap().catalog;
    let first = begin(world.catalog.as_ref(), &world.layers, owner, 0).await.unwrap();
    // Another one took the next epoch, and the catalog that it closed is not the one that is here now.
    let second = epoch::take(world.layers.first(), owner, first).await.unwrap();
    let done = restore(world.catalog.as_ref(), &world.layers, owner, first).await.unwrap();
    assert!(matches!(done, Done::Outdated { seen } if seen == second));
    // Nobody is at work under that one, so a still later one is begun.
    let report = finish(world.catalog.as_ref(), &world.layers, owner, first).await.unwrap();
    assert!(report.epoch > second);
}

#[tokio::test]
async fn a_rebuild_gives_way_to_a_later_one_that_is_at_work() {
    let world = World::new().await;
    let owner = world.catalog.epochs().await.unwrap().catalog;
    let sooner = begin(world.catalog.as_ref(), &world.layers, owner, 0).await.unwrap();
    let later = begin(world.catalog.as_ref(), &world.layers, owner, sooner).await.unwrap();
    let ended = finish(world.catalog.as_ref(), &world.layers, owner, sooner).await.unwrap_err();
    let superseded = gigapi_catalog::Error::Superseded { epoch: sooner };
    assert!(matches!(&ended, Error::Catalog(error) if error.to_string() == superseded.to_string()), "{ended}");
    assert!(matches!(world.catalog.standing().await.unwrap(), Standing::Rebuilding { epoch, .. } if epoch == later));
}

#[tokio::test]
async fn the_catalog_of_another_installation_is_not_replaced() {
    let (world, mut other) = (World::new().await, World::new().await);
    let rebuilt = rebuild(other.catalog.as_ref(), &world.layers).await;
    assert!(rebuilt.is_ok(), "one that was founded by mistake holds nothing");
    other = World::new().await;
    let (log, table) = (other.open_log(1).await, other.table("cpu").await);
    other.flush(&table, &log, (1, 1), &[&[1]]).await;
    let refused = rebuild(other.catalog.as_ref(), &world.layers).await.unwrap_err();
    assert!(matches!(refused, Error::ForeignLayer { .. }), "{refused}");
    assert_eq!(other.live_rows(table.id).await, [1]);
}

#[test]
fn a_catalog_that_tells_nothing_was_founded_before() {
    assert_eq!(known_epoch(&Standing::Unfounded), 1);
    assert_eq!(known_epoch(&Standing::Lost { reason: "it was emptied".to_owned() }), 1);
}

#[tokio::test]
async fn layers_without_a_marker_are_not_rebuilt_from() {
    let unmarked = World::new().await;
    let marker = gigapi_storage::own_path(["catalog.json"]);
    for layer in unmarked.layers.iter() {
        layer.store.delete(&marker).await.unwrap();
    }
    assert!(matches!(rebuild(unmarked.catalog.as_ref(), &unmarked.layers).await, Err(Error::NoMarker)));
}

#[tokio::test]
async fn objects_of_others_are_left_alone() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1]]).await.remove(0).file;
    let hot = world.layers.first().clone();
    let path = FilePath::of(&table, &file).object_path();
    let bytes = hot.store.get(&path).await.unwrap().bytes().await.unwrap();
    // A copy under another table's folder, and a file that is no Parquet of ours by its name.
    let astray = path.as_ref().replace("/cpu/", "/elsewhere/").replace(&file.id.to_string(), &log.writer.to_string());
    hot.store.put(&astray.as_str().into(), bytes.clone().into()).await.unwrap();
    hot.store.put(&"db/cpu/notes.parquet".into(), bytes.into()).await.unwrap();
    world.lose_catalog();
    let report = rebuild(world.catalog.as_ref(), &world.layers).await.unwrap();
    assert_eq!((report.files, report.foreign), (1, 1));
}
