use std::sync::Mutex;
use std::time::Duration;

use gigapi_storage::faulty::{Action, Fault, Faults, FaultyStore, Operation};
use gigapi_storage::own_path;
use object_store::ObjectStoreExt;

use super::*;
use crate::testing::{Log, World};
use crate::{NO_PROBE, tombstone};

const GRACE: Duration = Duration::from_secs(420);

struct Buried {
    world: World,
    log: Log,
    table: std::sync::Arc<gigapi_model::TableDef>,
    files: Vec<gigapi_model::DataFile>,
}

/// A table of which so many files, each in an hour of its own, were removed and are due.
async fn buried(count: u64) -> Buried {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let mut files = Vec::new();
    for seq in 1..=count {
        let hour = i64::try_from(seq).unwrap() * 3_600;
        files.push(world.flush(&table, &log, (seq, seq), &[&[hour]]).await.remove(0).file);
    }
    for (seq, file) in (count + 1..).zip(&files) {
        world.remove(&table, &log, (seq, seq), file.id).await;
    }
    world.clock.advance(GRACE);
    Buried { world, log, table, files }
}

impl Buried {
    async fn delete(&self) -> Deleted {
        self.delete_over(&self.world.layers, &DeleteOptions::default()).await
    }

    async fn delete_over(&self, layers: &Layers, options: &DeleteOptions) -> Deleted {
        delete_graves(self.world.catalog.as_ref(), layers, options, NO_PROBE).await.unwrap()
    }

    async fn checkpoint(&self) -> usize {
        checkpoint_buried(self.world.catalog.as_ref(), &self.world.layers).await.unwrap()
    }

    async fn is_there(&self, index: usize) -> bool {
        let path = FilePath::of(&self.table, &self.files[index]).object_path();
        self.world.layers.first().store.head(&path).await.is_ok()
    }

    /// The layers with a first one whose store follows these faults.
    fn faulty(&self, faults: &std::sync::Arc<Faults>) -> Layers {
        let over = |(index, layer): (usize, &std::sync::Arc<Layer>)| match index {
            0 => Layer {
                store: std::sync::Arc::new(FaultyStore::new(layer.store.clone(), faults.clone())),
                ..Layer::clone(layer)
            },
            _ => Layer::clone(layer),
        };
        Layers::new(self.world.layers.iter().enumerate().map(over).collect()).unwrap()
    }
}

#[tokio::test]
async fn a_buried_file_goes_after_a_checkpoint_and_is_forgotten() {
    let buried = buried(2).await;
    let deleted = buried.delete().await;
    assert_eq!((deleted.objects, deleted.waiting), (0, 2));
    assert!(buried.is_there(0).await, "no checkpoint names what took its place");
    assert_eq!(buried.checkpoint().await, 1);
    assert_eq!(buried.checkpoint().await, 0, "one is enough");
    let deleted = buried.delete().await;
    assert_eq!((deleted.objects, deleted.waiting, deleted.left), (2, 0, 0));
    assert_eq!(deleted.bytes, buried.files.iter().map(|file| file.bytes).sum::<u64>());
    assert!(!buried.is_there(0).await && !buried.is_there(1).await);
    assert_eq!(buried.world.catalog.graveyard().await.unwrap(), []);
    assert_eq!(buried.delete().await, Deleted::default());
}

#[tokio::test]
async fn nothing_goes_before_its_grace_is_over() {
    let mut buried = buried(1).await;
    let young = buried.world.flush(&buried.table, &buried.log, (3, 3), &[&[9]]).await.remove(0).file;
    buried.world.remove(&buried.table, &buried.log, (4, 4), young.id).await;
    buried.checkpoint().await;
    assert_eq!(buried.delete().await.objects, 1);
    let path = FilePath::of(&buried.table, &young).object_path();
    buried.world.layers.first().store.head(&path).await.unwrap();
}

#[tokio::test]
async fn where_a_rebuild_has_begun_nothing_goes_and_the_catalog_is_told() {
    let buried = buried(1).await;
    buried.checkpoint().await;
    buried.world.layers.first().store.put(&own_path(["epochs", "2.json"]), "taken".into()).await.unwrap();
    let deleted = buried.delete().await;
    assert!(deleted.interrupted.unwrap().contains("epoch 2"));
    assert_eq!((deleted.objects, deleted.left), (0, 1));
    assert!(buried.is_there(0).await);
    assert!(buried.world.catalog.epochs().await.is_err(), "the catalog was not told");
}

#[tokio::test]
async fn the_marker_is_looked_for_before_each_batch() {
    let count = BATCH_OBJECTS_MAX + 20;
    let buried = buried(count as u64).await;
    buried.checkpoint().await;
    let marker = buried.world.layers.first().local.as_ref().unwrap().root().join("_gigapi/epochs/2.json");
    let probe = move |point: &'static str| {
        if point == "delete:before-forget" {
            std::fs::create_dir_all(marker.parent().unwrap()).unwrap();
            std::fs::write(&marker, "taken").unwrap();
        }
    };
    let catalog = buried.world.catalog.as_ref();
    let deleted = delete_graves(catalog, &buried.world.layers, &DeleteOptions::default(), &probe).await.unwrap();
    assert!(deleted.interrupted.is_some());
    assert_eq!((deleted.objects, deleted.left), (BATCH_OBJECTS_MAX, 0));
    assert!(buried.is_there(count - 1).await);
}

#[tokio::test]
async fn a_file_that_is_no_longer_buried_at_the_last_look_stays() {
    let buried = buried(1).await;
    buried.checkpoint().await;
    let graves = buried.world.catalog.graves().await.unwrap();
    let catalog = buried.world.catalog.as_ref();
    let epochs = catalog.epochs().await.unwrap();
    let covered = covered(&buried.world.layers, epochs.epoch).await.unwrap();
    let run = Run { catalog, layers: &buried.world.layers, epochs, covered, probe: NO_PROBE };
    assert_eq!(run.still_buried(&graves).await.unwrap().len(), 1);
    catalog.forget_graves(&graves).await.unwrap();
    let mut deleted = Deleted::default();
    run.delete(buried.world.layers.first(), &graves, &mut deleted).await.unwrap();
    assert_eq!(deleted, Deleted::default());
    assert!(buried.is_there(0).await);
}

#[tokio::test]
async fn a_file_that_was_relocated_back_stays_where_it_lives() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1]]).await.remove(0).file;
    let cold = world.relocate(&table, &file, "cold").await;
    let back = world.relocate(&table, &cold, "hot").await;
    world.clock.advance(GRACE);
    let catalog = world.catalog.as_ref();
    checkpoint_buried(catalog, &world.layers).await.unwrap();
    let options = DeleteOptions::default();
    let deleted = delete_graves(catalog, &world.layers, &options, NO_PROBE).await.unwrap();
    assert_eq!(deleted.objects, 1, "the copy on the other layer");
    assert_eq!(world.live_rows(table.id).await, [1]);
    // Even a grave that should not be there any more takes nothing that is live.
    let epochs = catalog.epochs().await.unwrap();
    let covered = covered(&world.layers, epochs.epoch).await.unwrap();
    let run = Run { catalog, layers: &world.layers, epochs, covered, probe: NO_PROBE };
    let path = FilePath::of(&table, &back).object_path().to_string();
    let layer = back.layer.clone();
    let (table_id, file_id) = (table.id, back.id);
    let stale =
        Grave { table: table_id, layer, path, file: file_id, version: 1, delete_after: catalog.now().await.unwrap() };
    assert!(run.without_live(&[&stale]).await.unwrap().is_empty());
    let elsewhere = Grave { layer: gigapi_model::LayerName::new("cold").unwrap(), ..stale };
    assert_eq!(run.without_live(&[&elsewhere]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_fails_stays_buried_and_stops_nothing_else() {
    let buried = buried(3).await;
    buried.checkpoint().await;
    let faults = Faults::new();
    let layers = buried.faulty(&faults);
    let broken = buried.files[1].id.to_string();
    faults.add(Fault::always(Operation::Delete, Action::ErrorBefore).on(&broken));
    let deleted = buried.delete_over(&layers, &DeleteOptions::default()).await;
    assert_eq!(deleted.objects, 2);
    assert_eq!(deleted.failed.len(), 1);
    assert!(deleted.failed[0].what.contains(&broken), "{deleted:?}");
    let left = buried.world.catalog.graves().await.unwrap();
    assert_eq!(left.iter().map(|grave| grave.file).collect::<Vec<_>>(), [buried.files[1].id]);
    // An object that went although its answer was lost counts the next time.
    faults.clear();
    faults.add(Fault::next(Operation::Delete, Action::ErrorAfter));
    assert_eq!(buried.delete_over(&layers, &DeleteOptions::default()).await.failed.len(), 1);
    assert!(!buried.is_there(1).await);
    assert_eq!(buried.delete_over(&layers, &DeleteOptions::default()).await.objects, 1);
}

#[tokio::test]
async fn a_dropped_tables_files_wait_for_its_tombstone() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    world.catalog.drop_table(table.id).await.unwrap();
    world.clock.advance(GRACE);
    let catalog = world.catalog.as_ref();
    assert_eq!(checkpoint_buried(catalog, &world.layers).await.unwrap(), 0);
    let delete = || delete_graves(catalog, &world.layers, &DeleteOptions { objects_max: 10 }, NO_PROBE);
    assert_eq!(delete().await.unwrap().waiting, 1);
    tombstone(&world.layers, &table, crate::testing::START).await.unwrap();
    let deleted = delete().await.unwrap();
    assert_eq!((deleted.objects, deleted.folders), (1, 4), "hour, date, table and database go with the last file");
}

#[tokio::test]
async fn one_call_does_so_much_and_no_more() {
    let buried = buried(5).await;
    buried.checkpoint().await;
    let some = DeleteOptions { objects_max: 2 };
    let deleted = buried.delete_over(&buried.world.layers, &some).await;
    assert_eq!((deleted.objects, deleted.left), (2, 3));
    assert!(!buried.is_there(0).await && buried.is_there(2).await, "the oldest go first");
}

#[tokio::test]
async fn crash_points_come_in_the_order_of_the_work() {
    let buried = buried(1).await;
    buried.checkpoint().await;
    let seen = Mutex::new(Vec::new());
    let probe = |point: &'static str| seen.lock().unwrap().push(point);
    let catalog = buried.world.catalog.as_ref();
    delete_graves(catalog, &buried.world.layers, &DeleteOptions::default(), &probe).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["delete:before-object", "delete:after-object", "delete:before-forget"]);
}

#[tokio::test]
async fn a_buckets_folder_goes_with_its_last_file_and_its_document() {
    let mut buried = buried(2).await;
    let root = buried.world.layers.first().local.as_ref().unwrap().root().to_owned();
    let folder = |file: &gigapi_model::DataFile| {
        let path = FilePath::of(&buried.table, file).object_path();
        root.join(path.as_ref()).parent().unwrap().to_owned()
    };
    let [first, second] = [folder(&buried.files[0]), folder(&buried.files[1])];
    // A live file in the first hour, a document in both.
    buried.world.flush(&buried.table, &buried.log, (5, 5), &[&[3_601]]).await;
    for folder in [&first, &second] {
        std::fs::write(folder.join("metadata.json"), "{}").unwrap();
    }
    buried.checkpoint().await;
    let deleted = buried.delete().await;
    assert_eq!((deleted.objects, deleted.folders), (2, 1));
    assert!(first.join("metadata.json").exists() && !second.exists());
}

#[tokio::test]
async fn a_grave_whose_path_is_not_its_files_deletes_nothing() {
    let buried = buried(1).await;
    let grave = buried.world.catalog.graves().await.unwrap().remove(0);
    assert!(place(&grave).is_some());
    for path in
        ["_gigapi/catalog.json".to_owned(), grave.path.replace(&grave.file.to_string(), &buried.table.id.to_string())]
    {
        assert!(place(&Grave { path, ..grave.clone() }).is_none());
    }
}
