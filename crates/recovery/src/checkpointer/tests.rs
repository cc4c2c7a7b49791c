use super::*;
use crate::checkpoint::{CheckpointName, names};
use crate::testing::World;

fn at(seconds: u64) -> Timestamp {
    crate::testing::START.plus(Duration::from_secs(seconds))
}

#[test]
fn a_checkpoint_is_due_by_age_or_by_count() {
    let policy = Policy::default();
    let written = |version, changed: Option<u64>| Written { version, changed_at: changed.map(at) };
    assert!(!due(&policy, at(1000), written(5, None), 5), "nothing changed");
    assert!(!due(&policy, at(59), written(5, Some(0)), 6));
    assert!(due(&policy, at(60), written(5, Some(0)), 6));
    assert!(!due(&policy, at(0), written(5, Some(0)), 1004));
    assert!(due(&policy, at(0), written(5, Some(0)), 1005));
    assert!(!due(&policy, at(100), written(7, Some(0)), 5), "the checkpoint is ahead of a catalog of the past");
}

async fn written(world: &World) -> Vec<CheckpointName> {
    let mut names = names(world.layers.first()).await.unwrap();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn changed_tables_are_written_once_their_time_has_come() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let mut checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    assert_eq!(checkpointer.pass(false).await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(checkpointer.pass(false).await.unwrap(), 1);
    assert_eq!(checkpointer.pass(false).await.unwrap(), 0);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    assert_eq!(checkpointer.pass(false).await.unwrap(), 0);
    assert_eq!(checkpointer.pass(true).await.unwrap(), 1);
    assert_eq!(written(&world).await.iter().map(|name| name.version).collect::<Vec<_>>(), [1, 2]);
    // Another process finds what is written and does not write it again.
    let mut other = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    assert_eq!(other.pass(true).await.unwrap(), 0);
    world.catalog.drop_table(table.id).await.unwrap();
    assert_eq!(other.pass(true).await.unwrap(), 0);
}

#[tokio::test]
async fn a_clean_shutdown_leaves_a_checkpoint_of_everything() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 3), &[&[1, 2, 3]]).await;
    world.table("mem").await;
    let checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    checkpointer.run(std::future::ready(())).await;
    assert_eq!(written(&world).await.len(), 2);
}

#[tokio::test]
async fn the_disk_syncs_of_a_pass_do_not_grow_with_the_tables() {
    let world = World::new().await;
    let mut checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    let mut syncs_of_passes = Vec::new();
    for pass in 0_usize..6 {
        // Ten tables at first, a hundred more each time; from the fourth pass on old checkpoints go.
        for table in 0..10 + 100 * pass {
            world.table_of(&format!("t{table}"), &format!("c{pass}")).await;
        }
        let before = world.layers.disk_syncs();
        assert_eq!(checkpointer.pass(true).await.unwrap(), 10 + 100 * pass);
        syncs_of_passes.push(world.layers.disk_syncs() - before);
    }
    assert!(syncs_of_passes.iter().all(|syncs| *syncs <= 4), "{syncs_of_passes:?}");
}
