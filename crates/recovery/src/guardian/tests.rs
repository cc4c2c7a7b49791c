use object_store::ObjectStoreExt;

use super::*;
use crate::testing::World;

fn guardian(world: &World, rebuilds: bool) -> Guardian {
    Guardian::new(world.catalog.clone(), Arc::new(world.layers.clone()), rebuilds)
}

#[tokio::test(start_paused = true)]
async fn a_lost_catalog_is_rebuilt_while_the_process_runs() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    world.lose_catalog();
    let guardian = guardian(&world, true);
    guardian.settle().await.unwrap();
    assert_eq!(*guardian.health().borrow(), Health::Serving);
    assert_eq!(world.live_rows(table.id).await, [1]);
    // Once more: nothing is the matter.
    let epoch = world.catalog.epochs().await.unwrap().epoch;
    guardian.settle().await.unwrap();
    assert_eq!(world.catalog.epochs().await.unwrap().epoch, epoch);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_died_is_taken_over_after_its_silence() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    world.catalog.begin_restore(7).await.unwrap();
    let guardian = guardian(&world, true);
    let mut health = guardian.health();
    let settled = tokio::spawn(async move { guardian.settle().await });
    health.wait_for(|health| matches!(health, Health::Recovering { .. })).await.unwrap();
    assert!(matches!(world.catalog.epochs().await, Err(gigapi_catalog::Error::Recovering { .. })));
    world.clock.advance(SILENCE_MAX);
    settled.await.unwrap().unwrap();
    assert_eq!(world.catalog.epochs().await.unwrap().epoch, 8);
    assert_eq!(world.live_rows(table.id).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_until_somebody_has_rebuilt() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    world.lose_catalog();
    let reader = guardian(&world, false);
    let mut health = reader.health();
    let settled = tokio::spawn(async move { reader.settle().await });
    health.wait_for(|health| matches!(health, Health::Recovering { .. })).await.unwrap();
    guardian(&world, true).settle().await.unwrap();
    settled.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_stops_a_rebuild_is_told_until_it_is_tried_again() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1]]).await.remove(0).file;
    let store = Arc::clone(&world.layers.first().store);
    let path = gigapi_storage::FilePath::of(&table, &file).object_path();
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    let mut damaged = bytes.to_vec();
    damaged[10] ^= 1;
    store.put(&path, damaged.into()).await.unwrap();
    world.lose_catalog();
    let guardian = guardian(&world, true);
    let refused = guardian.settle().await.unwrap_err();
    assert!(matches!(refused, Error::DamagedFiles { .. }), "{refused}");
    let mut health = guardian.health();
    let settled = tokio::spawn(async move { guardian.settle().await });
    let told = |health: &Health| health.reason() == refused.to_string();
    health.wait_for(told).await.unwrap();
    store.put(&path, bytes.into()).await.unwrap();
    world.clock.advance(SILENCE_MAX);
    settled.await.unwrap().unwrap();
    assert_eq!(*health.borrow(), Health::Serving);
    assert_eq!(world.live_rows(table.id).await, [1]);
}
