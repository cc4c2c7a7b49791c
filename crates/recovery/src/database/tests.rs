use object_store::ObjectStoreExt;

use super::*;
use crate::testing::World;

fn name(text: &str) -> DatabaseName {
    DatabaseName::new(text).unwrap()
}

fn days(days: u64) -> DatabaseSettings {
    DatabaseSettings { ttl: Some(Duration::from_secs(days * 86_400)) }
}

#[tokio::test]
async fn what_is_set_is_listed_until_it_is_removed() {
    let world = World::new().await;
    let layers = &world.layers;
    assert!(database_settings(layers).await.unwrap().is_empty());
    for (database, settings) in [("a b{c}:%", days(7)), ("plain", DatabaseSettings::default()), ("plain", days(2))] {
        write_database_settings(layers, &name(database), settings).await.unwrap();
    }
    let listed = database_settings(layers).await.unwrap();
    assert_eq!(listed, BTreeMap::from([(name("a b{c}:%"), days(7)), (name("plain"), days(2))]));
    assert_eq!(read_database_settings(layers, &name("plain")).await.unwrap(), Some(days(2)));
    assert_eq!(read_database_settings(layers, &name("none")).await.unwrap(), None);
    for _ in 0..2 {
        remove_database_settings(layers, &name("plain")).await.unwrap();
    }
    assert_eq!(database_settings(layers).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_used_counts_as_nothing_and_is_written_over() {
    let world = World::new().await;
    let (layers, database) = (&world.layers, name("db"));
    write_database_settings(layers, &database, days(7)).await.unwrap();
    let bytes = own::read(layers.first(), &path(&database)).await.unwrap();
    let newer = own::sealed(br#"{"v":2,"whatever":true}"#.to_vec());
    let other = own::sealed(br#"{"v":1,"database":"other","revision":1,"ttl":null}"#.to_vec());
    for wrong in [bytes[..bytes.len() - 3].to_vec(), b"{}".to_vec(), newer, other] {
        layers.first().store.put(&path(&database), wrong.into()).await.unwrap();
        assert_eq!(read_database_settings(layers, &database).await.unwrap(), None);
        assert!(database_settings(layers).await.unwrap().is_empty());
    }
    write_database_settings(layers, &database, days(3)).await.unwrap();
    assert_eq!(read_database_settings(layers, &database).await.unwrap(), Some(days(3)));
}

#[tokio::test]
async fn another_order_of_layers_brings_nothing_old_back() {
    let world = World::new().await;
    let database = name("db");
    let [hot, cold] =
        ["hot", "cold"].map(|name| world.layers.iter().find(|layer| layer.name.as_str() == name).unwrap());
    let turned = Layers::new(vec![cold.as_ref().clone(), hot.as_ref().clone()]).unwrap();
    write_database_settings(&world.layers, &database, days(7)).await.unwrap();
    write_database_settings(&turned, &database, days(3)).await.unwrap();
    for layers in [&world.layers, &turned] {
        assert_eq!(read_database_settings(layers, &database).await.unwrap(), Some(days(3)));
        assert_eq!(database_settings(layers).await.unwrap()[&database], days(3));
    }
    remove_database_settings(&world.layers, &database).await.unwrap();
    assert!(database_settings(&turned).await.unwrap().is_empty());
}

#[test]
fn the_stored_form_stays_as_it_is() {
    let record = Record { v: VERSION, database: name("a b"), revision: 3, ttl: days(1).ttl };
    let golden = r#"{"v":1,"database":"a b","revision":3,"ttl":{"secs":86400,"nanos":0}}"#;
    assert_eq!(serde_json::to_string(&record).unwrap(), golden);
    assert_eq!(path(&name("a b")).as_ref(), "_gigapi/databases/a%20b.json");
}
