use gigapi_model::{DatabaseName, TableKey, TableName};
use object_store::ObjectStoreExt;
use uuid::Uuid;

use super::*;
use crate::testing::World;

fn table(revision: u64) -> TableDef {
    let id = TableId::from_uuid(Uuid::from_u128(7));
    let (database, name) = (DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap());
    TableDef { revision, ..TableDef::new(id, database, name, TableKey::Tags).unwrap() }
}

async fn epochs(world: &World, epoch: u64) -> Epochs {
    Epochs { epoch, ..world.catalog.epochs().await.unwrap() }
}

#[tokio::test]
async fn the_latest_epoch_and_revision_counts_and_damage_is_passed_over() {
    let world = World::new().await;
    let layer = world.layers.first();
    for (epoch, revision) in [(1, 9), (2, 3), (2, 4)] {
        write_definition(layer, &epochs(&world, epoch).await, &table(revision)).await.unwrap();
    }
    let owner = world.catalog.epochs().await.unwrap().catalog;
    let newest = async || newest_definitions(&world.layers, owner).await.unwrap().remove(&table(1).id);
    assert_eq!(newest().await, Some((2, Arc::new(table(4)))));
    let latest = DefinitionName { table: table(1).id, epoch: 2, revision: 4 };
    layer.store.put(&latest.path(), "{\"v\":1}\nxxh3:00\n".into()).await.unwrap();
    assert_eq!(newest().await, Some((2, Arc::new(table(3)))));
    remove_definition(layer, latest).await.unwrap();
    remove_definition(layer, latest).await.unwrap();
    let mut names = definition_names(layer).await.unwrap();
    names.sort_unstable();
    let known: Vec<_> = names.iter().map(|name| (name.epoch, name.revision)).collect();
    assert_eq!(known, [(1, 9), (2, 3)]);
    // Nobody else's count.
    let stranger = CatalogId::from_uuid(Uuid::from_u128(1));
    assert!(newest_definitions(&world.layers, stranger).await.unwrap().is_empty());
}
