use std::sync::Arc;

use gigapi_catalog::TableState;
use object_store::ObjectStoreExt;

use super::*;
use crate::testing::{START, World};
use crate::{Condition, Evidence, Guardian, condition};

async fn look(world: &World) -> Condition {
    condition(world.catalog.as_ref(), &world.layers).await.unwrap()
}

#[tokio::test]
async fn a_drop_that_was_begun_is_finished_at_the_next_start_without_a_rebuild() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let other = world.table("mem").await;
    tombstone(&world.layers, &table, START).await.unwrap();
    assert_eq!(look(&world).await, Condition::Healthy, "nobody forgot anything");
    let epoch = world.catalog.epochs().await.unwrap().epoch;
    let guardian = |rebuilds| Guardian::new(world.catalog.clone(), Arc::new(world.layers.clone()), rebuilds);
    // One that only reads changes nothing.
    guardian(false).settle().await.unwrap();
    assert_eq!(world.catalog.table_state(table.id).await.unwrap(), TableState::Live(table.clone()));
    assert_eq!(guardian(true).settle().await.unwrap().epoch, epoch);
    assert_eq!(world.catalog.table_state(table.id).await.unwrap(), TableState::Dropped);
    assert_eq!(world.catalog.table_state(other.id).await.unwrap(), TableState::Live(other));
    assert!(!is_begun(&world.layers, table.id).await.unwrap());
    assert_eq!(finish_drops(world.catalog.as_ref(), &world.layers).await.unwrap(), 0);
}

#[tokio::test]
async fn a_drop_that_was_done_and_is_forgotten_tells_of_a_rollback() {
    let mut world = World::new().await;
    let table = world.table("cpu").await;
    let copy = world.copy_catalog();
    tombstone(&world.layers, &table, START).await.unwrap();
    world.catalog.drop_table(table.id).await.unwrap();
    tombstone_done(&world.layers, &table, START).await.unwrap();
    assert_eq!(look(&world).await, Condition::Healthy);
    world.use_catalog(copy);
    let rolled_back = Condition::RolledBack(Evidence::Tombstone { table: table.id });
    assert_eq!(look(&world).await, rolled_back);
    // So does one that does not say, or cannot be read.
    let plain = br#"{"v":1,"table":"x"}"#.to_vec();
    for bytes in [plain, b"damaged".to_vec()] {
        world.layers.first().store.put(&path(table.id), bytes.into()).await.unwrap();
        assert_eq!(look(&world).await, rolled_back);
    }
}
