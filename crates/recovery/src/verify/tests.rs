use gigapi_storage::{FilePath, own_path};

use super::*;
use crate::testing::World;
use crate::{Checkpointer, Policy, Quarantined, quarantine, tombstone, tombstone_done, write_definition};

async fn look(world: &World, checksums: bool) -> Verified {
    verify(world.catalog.as_ref(), &world.layers, VerifyOptions { checksums }).await.unwrap()
}

fn only(verified: &Verified, severity: Severity, part: &str) {
    assert_eq!(verified.findings.len(), 1, "{verified:#?}");
    let finding = &verified.findings[0];
    assert!(finding.severity == severity && finding.why.contains(part), "{finding:?}");
}

#[tokio::test]
async fn a_sound_installation_has_no_findings() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1, 2]]).await;
    let verified = look(&world, true).await;
    assert_eq!((verified.tables, verified.files, verified.rows, verified.findings.len()), (1, 1, 2, 0));
}

#[tokio::test]
async fn missing_short_and_damaged_files_are_damage() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1, 2]]).await.remove(0).file;
    let (path, store) = (FilePath::of(&table, &file).object_path(), world.layers.first().store.clone());
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    let mut flipped = bytes.clone();
    flipped[20] ^= 4;
    store.put(&path, flipped.into()).await.unwrap();
    assert_eq!(look(&world, false).await.findings, []);
    only(&look(&world, true).await, Severity::Damage, "checksum");
    store.put(&path, bytes[..50].to_vec().into()).await.unwrap();
    only(&look(&world, false).await, Severity::Damage, "50 bytes");
    store.delete(&path).await.unwrap();
    let verified = look(&world, false).await;
    only(&verified, Severity::Damage, "no object");
    assert!(verified.has_damage());
}

#[tokio::test]
async fn what_no_table_needs_is_explained() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let store = world.layers.first().store.clone();
    // Never committed: young, then old.
    world.upload_flush(&table, &log, (1, 1), &[&[1]]).await;
    only(&look(&world, false).await, Severity::Explained, "not committed yet");
    world.clock.advance(UPLOAD_AGE_MAX * 2);
    only(&look(&world, false).await, Severity::Explained, "the catalog has forgotten it");
    world.flush(&table, &log, (1, 1), &[]).await;
    only(&look(&world, false).await, Severity::Explained, "other files hold its rows");
    world.lose_all_files().await;
    // Buried, within and after its grace.
    let file = world.flush(&table, &log, (2, 2), &[&[1]]).await.remove(0).file;
    world.remove(&table, &log, (3, 3), file.id).await;
    only(&look(&world, false).await, Severity::Explained, "still read it");
    world.clock.advance(UPLOAD_AGE_MAX);
    only(&look(&world, false).await, Severity::Explained, "waits to be deleted");
    world.lose_all_files().await;
    // Objects of others.
    store.put(&"db/cpu/notes.txt".into(), "x".into()).await.unwrap();
    only(&look(&world, false).await, Severity::Explained, "by its name");
    world.lose_all_files().await;
    let path = FilePath::of(&table, &file).object_path();
    store
        .put(&path.as_ref().replace(&file.id.to_string(), &world.table("x").await.id.to_string()).into(), "x".into())
        .await
        .unwrap();
    assert!(!look(&world, false).await.has_damage());
}

#[tokio::test]
async fn a_catalog_that_was_rolled_back_is_damage() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let copy = world.copy_catalog();
    world.flush(&table, &log, (2, 2), &[&[2]]).await;
    let unknown = world.table("later").await;
    let mut checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    checkpointer.pass(true).await.unwrap();
    world.use_catalog(copy);
    let verified = look(&world, false).await;
    let damage: Vec<&Finding> = verified.findings.iter().filter(|found| found.severity == Severity::Damage).collect();
    assert_eq!(damage.len(), 2, "{verified:#?}");
    assert!(damage.iter().any(|found| found.why.contains("does not know the table")));
    assert!(damage.iter().any(|found| found.why.contains("catalog rebuild --from-layers")));
    tombstone(&world.layers, &unknown, crate::testing::START).await.unwrap();
    let left = look(&world, false).await;
    assert_eq!(left.findings.iter().filter(|found| found.severity == Severity::Damage).count(), 1);
}

#[tokio::test]
async fn a_rollback_that_no_checkpoint_tells_is_damage() {
    let world = World::new().await;
    let table = world.table("cpu").await;
    let epochs = world.catalog.epochs().await.unwrap();
    let later = TableDef { revision: table.revision + 1, ..table.as_ref().clone() };
    write_definition(world.layers.first(), &epochs, &later).await.unwrap();
    only(&look(&world, false).await, Severity::Damage, "a definition is at revision");
    tombstone(&world.layers, &table, crate::testing::START).await.unwrap();
    only(&look(&world, false).await, Severity::Explained, "begun and not finished");
    tombstone_done(&world.layers, &table, crate::testing::START).await.unwrap();
    only(&look(&world, false).await, Severity::Damage, "which was dropped");
    let world = World::new().await;
    world.layers.first().store.put(&own_path(["epochs", "2.json"]), "taken".into()).await.unwrap();
    only(&look(&world, false).await, Severity::Damage, "a rebuild has taken epoch 2");
}

#[tokio::test]
async fn a_drop_without_tombstone_and_a_foreign_layer_are_damage() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    world.flush(&table, &log, (1, 1), &[&[1]]).await;
    let mut checkpointer = Checkpointer::new(world.catalog.clone(), world.layers.clone(), Policy::default());
    checkpointer.pass(true).await.unwrap();
    world.catalog.drop_table(table.id).await.unwrap();
    let verified = look(&world, false).await;
    assert!(verified.has_damage() && verified.findings[0].why.contains("no tombstone"), "{verified:#?}");
    let marker = own_path(["catalog.json"]);
    for layer in world.layers.iter() {
        layer.store.delete(&marker).await.unwrap();
    }
    let verified = look(&world, false).await;
    assert_eq!(verified.findings.iter().filter(|found| found.why.contains("no marker")).count(), 2, "{verified:#?}");
}

#[tokio::test]
async fn marked_files_are_damage_until_they_read_again_or_are_gone() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1, 2]]).await.remove(0).file;
    let mark = Quarantined::new(&table, &file, "torn".to_owned(), "a merge", crate::testing::START);
    quarantine(&world.layers, &mark).await.unwrap();
    only(&look(&world, false).await, Severity::Damage, "torn, found by a merge");
    only(&look(&world, true).await, Severity::Explained, "reads as it should");
    let path = FilePath::of(&table, &file).object_path();
    let store = world.layers.first().store.clone();
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    store.put(&path, bytes.slice(..50).into()).await.unwrap();
    assert!(look(&world, true).await.findings.iter().any(|found| found.why.contains("torn, found by")));
    store.put(&path, bytes.into()).await.unwrap();
    world.remove(&table, &log, (2, 2), file.id).await;
    let verified = look(&world, false).await;
    assert!(!verified.has_damage() && verified.findings.iter().any(|found| found.why.contains("the sweep removes it")));
}
