use std::sync::Arc;

use gigapi_model::{DataFile, Ids, ManualClock, SystemClock, TableDef};
use gigapi_storage::{FilePath, Origin, own_path};
use object_store::ObjectStoreExt;

use super::*;
use crate::testing::{Log, START, World};
use crate::{Checkpointer, Policy, Quarantined, quarantine, tombstone};

const DAY: Duration = Duration::from_secs(24 * 3_600);

struct Rig {
    world: World,
    log: Log,
    table: Arc<TableDef>,
}

/// A table whose writer has come to 10, with much in it.
async fn rig() -> Rig {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let one: &[i64] = &[1];
    world.flush(&table, &log, (1, 10), &[one; 60]).await;
    Rig { world, log, table }
}

impl Rig {
    /// Uploads what a writer that died left behind, of rows that were committed otherwise.
    async fn orphan(&mut self) -> DataFile {
        let parts: &[&[i64]] = &[&[1]];
        self.world.upload_flush(&self.table, &self.log, (1, 10), parts).await.remove(0).file
    }

    /// Two days after everything that was written, by whatever clock.
    fn wait(&self) {
        use gigapi_model::Clock;
        let clock: &ManualClock = &self.world.clock;
        clock.set(SystemClock.now().plus(DAY * 2));
    }

    async fn sweep(&self) -> Swept {
        self.sweep_with(&SweepOptions::default()).await
    }

    async fn sweep_with(&self, options: &SweepOptions) -> Swept {
        sweep(self.world.catalog.as_ref(), &self.world.layers, options).await.unwrap()
    }

    async fn is_there(&self, file: &DataFile) -> bool {
        let path = FilePath::of(&self.table, file).object_path();
        self.world.layers.first().store.head(&path).await.is_ok()
    }
}

#[tokio::test]
async fn an_orphan_goes_and_what_lives_stays() {
    let mut rig = rig().await;
    let orphan = rig.orphan().await;
    rig.wait();
    let live = rig.world.live_rows(rig.table.id).await;
    let swept = rig.sweep().await;
    assert_eq!(swept.removed, Gone { objects: 1, bytes: orphan.bytes }, "{swept:?}");
    assert_eq!((swept.interrupted, swept.braked.len(), swept.kept.len()), (None, 0, 0));
    assert!(!rig.is_there(&orphan).await);
    assert_eq!(rig.world.live_rows(rig.table.id).await, live);
    assert_eq!(rig.sweep().await.removed, Gone::default());
}

#[tokio::test]
async fn young_objects_and_young_epochs_are_left_alone() {
    let mut rig = rig().await;
    let orphan = rig.orphan().await;
    let swept = rig.sweep().await;
    assert!(swept.interrupted.unwrap().contains("too young"));
    let options = SweepOptions { epoch_age_min: Duration::ZERO, ..SweepOptions::default() };
    rig.world.clock.advance(Duration::from_secs(1));
    let swept = rig.sweep_with(&options).await;
    assert_eq!((swept.removed, swept.kept), (Gone::default(), BTreeMap::from([(Kept::Young, 1)])));
    assert!(rig.is_there(&orphan).await);
}

#[tokio::test]
async fn nothing_goes_where_a_rebuild_has_begun_or_the_catalog_is_behind() {
    let mut rig = rig().await;
    let copy = rig.world.copy_catalog();
    rig.world.flush(&rig.table, &rig.log, (11, 11), &[&[5]]).await;
    let orphan = rig.orphan().await;
    let mut checkpointer = Checkpointer::new(rig.world.catalog.clone(), rig.world.layers.clone(), Policy::default());
    checkpointer.pass(true).await.unwrap();
    rig.wait();
    rig.world.use_catalog(copy);
    assert!(rig.sweep().await.interrupted.unwrap().contains("do not agree"));
    assert!(rig.is_there(&orphan).await);
    let mut rig = super::tests::rig().await;
    let orphan = rig.orphan().await;
    rig.wait();
    rig.world.layers.first().store.put(&own_path(["epochs", "2.json"]), "taken".into()).await.unwrap();
    assert!(rig.sweep().await.interrupted.is_some());
    assert!(rig.is_there(&orphan).await);
}

#[tokio::test]
async fn what_was_found_is_judged_again_before_it_goes() {
    let mut rig = rig().await;
    let orphan = rig.orphan().await;
    rig.wait();
    let options = SweepOptions::default();
    let catalog = rig.world.catalog.clone();
    let (epochs, now) = (catalog.epochs().await.unwrap(), catalog.now().await.unwrap());
    let run = Run {
        catalog: catalog.as_ref(),
        layers: &rig.world.layers,
        options: &options,
        epochs,
        now,
        dropped: HashSet::new(),
    };
    let found = run.look_at(&Path::from("db/cpu")).await.unwrap().unwrap();
    assert_eq!(plan_orphans(&options.policy(), &found.facts, &found.strays).remove, [0]);
    // A checkpoint comes to name it, as if the catalog had known it once.
    let mut export = catalog.export(rig.table.id).await.unwrap();
    export.files.push(gigapi_model::NewFile { file: orphan.clone(), statistics: Vec::new() });
    crate::write_checkpoints(rig.world.layers.first(), epochs.catalog, vec![export]).await.unwrap();
    let mut swept = Swept::default();
    run.remove(rig.world.layers.first(), &found, &[0], &mut swept).await.unwrap();
    assert_eq!(swept, Swept::default());
    assert!(rig.is_there(&orphan).await);
    // And a whole run finds that too.
    assert_eq!(rig.sweep().await.kept, BTreeMap::from([(Kept::Checkpointed, 1)]));
    // Between the list and the removal a rebuild begins.
    rig.world.layers.first().store.put(&own_path(["epochs", "2.json"]), "taken".into()).await.unwrap();
    run.remove(rig.world.layers.first(), &found, &[0], &mut swept).await.unwrap();
    assert!(swept.interrupted.is_some() && rig.is_there(&orphan).await);
}

#[tokio::test]
async fn flushes_that_the_catalog_does_not_have_and_buried_files_stay() {
    let mut rig = rig().await;
    let ahead = rig.world.upload_flush(&rig.table, &rig.log, (11, 12), &[&[1]]).await.remove(0).file;
    let buried = rig.world.flush(&rig.table, &rig.log, (11, 11), &[&[1]]).await.remove(0).file;
    rig.world.remove(&rig.table, &rig.log, (12, 12), buried.id).await;
    rig.wait();
    let swept = rig.sweep().await;
    // The flush was cut otherwise and lies below the watermark now, so it goes; what is buried does not.
    assert_eq!(swept.removed.objects, 1);
    assert_eq!(swept.kept, BTreeMap::from([(Kept::Buried, 1)]));
    assert!(rig.is_there(&buried).await && !rig.is_there(&ahead).await);
    let later = rig.world.upload_flush(&rig.table, &rig.log, (13, 13), &[&[1]]).await.remove(0).file;
    rig.world.clock.advance(DAY * 3);
    assert_eq!(rig.sweep().await.kept.get(&Kept::AboveWatermark), Some(&1));
    assert!(rig.is_there(&later).await);
}

#[tokio::test]
async fn the_brake_holds_a_table_until_it_is_confirmed() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let mut rig = Rig { world, log, table };
    let parts: &[&[i64]] = &[&[1]];
    let orphan = rig.world.upload_flush(&rig.table, &rig.log, (1, 1), parts).await.remove(0).file;
    rig.wait();
    let swept = rig.sweep().await;
    assert_eq!((swept.removed, swept.kept.get(&Kept::Braked)), (Gone::default(), Some(&1)));
    assert_eq!(swept.braked["db.cpu"].objects, 1);
    assert!(swept.advice().unwrap().contains("confirmation"));
    assert!(rig.is_there(&orphan).await);
    let confirmed = SweepOptions { confirm: true, ..SweepOptions::default() };
    assert_eq!(rig.sweep_with(&confirmed).await.removed.objects, 1);
}

#[tokio::test]
async fn what_a_dropped_table_left_goes_only_with_its_tombstone() {
    let mut rig = rig().await;
    let orphan = rig.orphan().await;
    rig.world.catalog.drop_table(rig.table.id).await.unwrap();
    rig.wait();
    let swept = rig.sweep().await;
    assert_eq!(swept.removed_of_dropped, Gone::default());
    assert_eq!(swept.kept, BTreeMap::from([(Kept::Buried, 60), (Kept::TableUnclear, 1)]));
    tombstone(&rig.world.layers, &rig.table, START).await.unwrap();
    let swept = rig.sweep().await;
    assert_eq!((swept.removed_of_dropped.objects, swept.removed), (1, Gone::default()));
    assert!(!rig.is_there(&orphan).await);
}

#[tokio::test]
async fn objects_of_others_are_told_and_left_alone() {
    let mut rig = rig().await;
    let orphan = rig.orphan().await;
    let store = &rig.world.layers.first().store;
    let path = FilePath::of(&rig.table, &orphan).object_path();
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    store.delete(&path).await.unwrap();
    // The same file under another table's path, and garbage under a name of ours.
    let moved: Path = path.as_ref().replace("db/cpu", "db/mem").into();
    store.put(&moved, bytes.into()).await.unwrap();
    let name = path.as_ref().replace(&orphan.id.to_string(), &gigapi_model::SystemIds.file_id(START).to_string());
    store.put(&Path::from(name), "PAR1 garbage PAR1".into()).await.unwrap();
    store.put(&Path::from("db/cpu/notes.txt"), "x".into()).await.unwrap();
    rig.wait();
    let swept = rig.sweep().await;
    assert_eq!(swept.removed, Gone::default());
    assert_eq!(swept.kept, BTreeMap::from([(Kept::Foreign, 1), (Kept::Damaged, 1)]));
    assert_eq!(swept.left_alone.len(), 2, "{:?}", swept.left_alone);
    assert!(store.head(&moved).await.is_ok());
}

#[tokio::test]
async fn inputs_of_a_merge_that_was_not_committed_go_after_its_output() {
    let mut rig = rig().await;
    let input = rig.orphan().await;
    let sequence = input.sequence;
    let origin = Origin::Merge { sequence, sources: vec![gigapi_storage::MergeSource { file: input.id, sequence }] };
    let output = rig.world.upload_at(&rig.table, origin, &[1], 2).await.file;
    rig.wait();
    let swept = rig.sweep().await;
    assert_eq!((swept.removed.objects, swept.kept.get(&Kept::ReadByMerge)), (1, Some(&1)));
    assert!(rig.is_there(&input).await && !rig.is_there(&output).await);
    assert_eq!(rig.sweep().await.removed.objects, 1);
}

#[tokio::test]
async fn one_run_removes_so_much_and_marks_of_dead_files() {
    let mut rig = rig().await;
    let orphans = [rig.orphan().await, rig.orphan().await];
    let live = rig.world.catalog.snapshot(rig.table.id, TimeRange::ALL).await.unwrap().files;
    for file in [live.iter().next().unwrap().as_ref(), &orphans[0]] {
        let mark = Quarantined::new(&rig.table, file, "torn".to_owned(), "test", START);
        quarantine(&rig.world.layers, &mark).await.unwrap();
    }
    rig.wait();
    let swept = rig.sweep_with(&SweepOptions { objects_max: 1, ..SweepOptions::default() }).await;
    assert_eq!((swept.removed.objects, swept.is_full, swept.marks), (1, true, 1));
    let marked = quarantined_files(&rig.world.layers).await.unwrap();
    assert_eq!(marked, HashSet::from([live.iter().next().unwrap().id]));
    assert_eq!(rig.sweep().await.removed.objects, 1);
}
