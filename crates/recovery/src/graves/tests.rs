use std::time::Duration;

use super::*;
use crate::testing::World;
use crate::{Checkpointer, Policy, tombstone};

#[tokio::test]
async fn a_grave_waits_for_grace_and_for_a_checkpoint_after_it() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1]]).await.remove(0).file;
    let mut checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    checkpointer.pass(true).await.unwrap();
    world.remove(&table, &log, (2, 2), file.id).await;
    let deletable = || deletable_graves(world.catalog.as_ref(), &world.layers);
    checkpointer.pass(true).await.unwrap();
    assert!(deletable().await.unwrap().is_empty(), "the grace is not over");
    world.clock.advance(Duration::from_secs(420));
    assert_eq!(deletable().await.unwrap().iter().map(|grave| grave.file).collect::<Vec<_>>(), [file.id]);
    let [grave] = world.catalog.graves().await.unwrap().try_into().unwrap();
    let newest = |version| HashMap::from([(table.id, version)]);
    assert!(!is_deletable(&grave, &newest(grave.version - 1), &HashSet::new()));
    assert!(is_deletable(&grave, &newest(grave.version), &HashSet::new()));
}

#[tokio::test]
async fn a_dropped_tables_graves_wait_for_its_tombstone() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    world.catalog.drop_table(table.id).await.unwrap();
    world.clock.advance(Duration::from_secs(420));
    assert!(deletable_graves(world.catalog.as_ref(), &world.layers).await.unwrap().is_empty());
    tombstone(&world.layers, &table, crate::testing::START).await.unwrap();
    assert_eq!(deletable_graves(world.catalog.as_ref(), &world.layers).await.unwrap().len(), 1);
}
