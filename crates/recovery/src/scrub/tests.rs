use gigapi_storage::faulty::{Action, Fault, Faults, FaultyStore, Operation};

use super::*;
use crate::testing::{Log, World};
use crate::{quarantined_files, release};

struct Rig {
    world: World,
    log: Log,
    table: Arc<TableDef>,
    files: Vec<DataFile>,
    faults: Arc<Faults>,
}

async fn rig(count: u64) -> Rig {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let mut files = Vec::new();
    for seq in 1..=count {
        files.push(world.flush(&table, &log, (seq, seq), &[&[1]]).await.remove(0).file);
    }
    world.clock.advance(Duration::from_secs(1));
    files.sort_by_key(|file| file.id);
    Rig { world, log, table, files, faults: Faults::new() }
}

impl Rig {
    fn scrubber(&self) -> Scrubber {
        let layers = self.world.layers.iter().map(|layer| Layer {
            store: Arc::new(FaultyStore::new(layer.store.clone(), self.faults.clone())),
            ..Layer::clone(layer)
        });
        let layers = Arc::new(Layers::new(layers.collect()).unwrap());
        Scrubber::new(self.world.catalog.clone(), layers, ScrubOptions::default())
    }

    fn path(&self, index: usize) -> Path {
        FilePath::of(&self.table, &self.files[index]).object_path()
    }

    async fn damage(&self, index: usize) {
        use object_store::ObjectStoreExt;
        let store = &self.world.layers.first().store;
        let mut bytes = store.get(&self.path(index)).await.unwrap().bytes().await.unwrap().to_vec();
        bytes[20] ^= 4;
        store.put(&self.path(index), bytes.into()).await.unwrap();
    }

    async fn delete(&self, index: usize) {
        use object_store::ObjectStoreExt;
        self.world.layers.first().store.delete(&self.path(index)).await.unwrap();
    }
}

#[tokio::test]
async fn sound_files_are_read_once_in_a_period() {
    let rig = rig(3).await;
    let mut scrubber = rig.scrubber();
    let scrubbed = scrubber.pass(u64::MAX).await.unwrap();
    assert_eq!((scrubbed.files, scrubbed.is_done), (3, true));
    assert_eq!(scrubbed.bytes, rig.files.iter().map(|file| file.bytes).sum::<u64>());
    assert_eq!((scrubbed.damaged.len(), scrubbed.unread.len()), (0, 0));
    assert_eq!(scrubber.pass(u64::MAX).await.unwrap().files, 0);
    assert_eq!(rig.scrubber().pass(u64::MAX).await.unwrap().files, 0, "another process knows");
    rig.world.clock.advance(ScrubOptions::default().period);
    assert_eq!(scrubber.pass(u64::MAX).await.unwrap().files, 3);
}

#[tokio::test]
async fn a_pass_keeps_to_its_budget_and_the_next_process_goes_on() {
    let rig = rig(3).await;
    let scrubbed = rig.scrubber().pass(1).await.unwrap();
    assert_eq!((scrubbed.files, scrubbed.is_done), (1, false));
    rig.damage(0).await;
    rig.damage(2).await;
    let scrubbed = rig.scrubber().pass(u64::MAX).await.unwrap();
    assert_eq!((scrubbed.files, scrubbed.is_done), (2, true));
    assert_eq!(scrubbed.damaged.iter().map(|mark| mark.file).collect::<Vec<_>>(), [rig.files[2].id]);
}

#[tokio::test]
async fn damaged_and_missing_files_are_marked_once() {
    let rig = rig(3).await;
    rig.damage(0).await;
    rig.delete(1).await;
    let scrubbed = rig.scrubber().pass(u64::MAX).await.unwrap();
    assert_eq!((scrubbed.damaged.len(), scrubbed.newly_damaged), (2, 2));
    assert!(scrubbed.damaged[0].reason.contains("checksum") && scrubbed.damaged[1].reason.contains("no object"));
    let marked = quarantined_files(&rig.world.layers).await.unwrap();
    assert_eq!(marked, rig.files[..2].iter().map(|file| file.id).collect());
    rig.world.clock.advance(ScrubOptions::default().period);
    let again = rig.scrubber().pass(u64::MAX).await.unwrap();
    assert_eq!((again.damaged.len(), again.newly_damaged), (2, 0));
    release(&rig.world.layers, &[rig.files[0].id]).await.unwrap();
}

#[tokio::test]
async fn what_comes_wrong_over_the_wire_once_is_not_accused() {
    let rig = rig(1).await;
    rig.faults.add(Fault::next(Operation::Get, Action::FlippedBit(30)).on("parquet"));
    rig.faults.add(Fault::next(Operation::Get, Action::ShortBody(9)).on("parquet").after(9));
    let scrubbed = rig.scrubber().pass(u64::MAX).await.unwrap();
    assert_eq!((scrubbed.files, scrubbed.damaged.len()), (1, 0));
}

#[tokio::test]
async fn a_file_that_was_removed_meanwhile_is_no_damage() {
    let rig = rig(1).await;
    let scrubber = rig.scrubber();
    rig.world.remove(&rig.table, &rig.log, (2, 2), rig.files[0].id).await;
    rig.delete(0).await;
    let mut scrubbed = Scrubbed::default();
    scrubber.scrub(&rig.table, &rig.files[0], &mut scrubbed).await.unwrap();
    assert_eq!(scrubbed, Scrubbed { vanished: 1, ..Scrubbed::default() });
    assert!(quarantined_files(&rig.world.layers).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_and_passed_over() {
    let rig = rig(3).await;
    let broken = rig.files[1].id.to_string();
    rig.faults.add(Fault::always(Operation::Get, Action::ErrorBefore).on(&broken));
    let scrubbed = rig.scrubber().pass(u64::MAX).await.unwrap();
    assert_eq!((scrubbed.files, scrubbed.damaged.len(), scrubbed.is_done), (2, 0, true));
    assert!(scrubbed.unread.len() == 1 && scrubbed.unread[0].0.contains(&broken));
}

#[tokio::test]
async fn a_layer_that_is_away_ends_the_pass_and_nothing_counts_as_read() {
    let rig = rig(5).await;
    let mut scrubber = rig.scrubber();
    assert_eq!(scrubber.pass(1).await.unwrap().files, 1);
    rig.faults.add(Fault::always(Operation::Get, Action::ErrorBefore).on("parquet"));
    let scrubbed = scrubber.pass(u64::MAX).await.unwrap();
    assert_eq!((scrubbed.files, scrubbed.unread.len(), scrubbed.is_done), (0, FAILURES_MAX, false));
    rig.faults.clear();
    assert_eq!(scrubber.pass(u64::MAX).await.unwrap().files, 4);
}
