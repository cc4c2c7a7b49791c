//! Against a real server: what the shared suite does not ask.

mod loss;
mod names;
pub(crate) mod server;
mod trips;

use gigapi_model::{ManualClock, SystemIds, TableId};
use uuid::Uuid;

use super::*;
use crate::conformance::{self, Rig};
use server::{TestCluster, TestServer};

/// The rule of the Redis Cluster specification: CRC16 (XMODEM) of what the first braces hold, modulo 16384.
fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % 16_384
}

#[test]
fn all_keys_of_a_script_lie_in_one_slot() {
    let slot = |key: &&str| slot_of(key);
    for number in 0..100 {
        let keys = TableKeys::new("some:prefix", TableId::from_uuid(Uuid::from_u128(number << 64 | 7)));
        let slots: BTreeSet<u16> = keys.all().iter().map(slot).collect();
        assert_eq!(slots.len(), 1, "{keys:?}");
    }
    let registry = RegistryKeys::new("some:prefix");
    assert_eq!(registry.all().iter().map(slot).collect::<BTreeSet<u16>>().len(), 1);
}

#[tokio::test]
async fn a_server_that_may_forget_is_refused_with_what_to_set() {
    let server = TestServer::start(&["--appendonly", "no"]);
    let open = |options: RedisOptions| {
        let url = server.url();
        async move { RedisCatalog::open(&url, &options, Arc::new(SystemIds), Limits::default()).await }
    };
    let refused = open(RedisOptions::default()).await.unwrap_err().to_string();
    assert!(refused.contains("CONFIG SET appendonly yes"), "{refused}");
    assert!(open(RedisOptions { accept_unsafe: true, ..RedisOptions::default() }).await.is_ok());
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_told_them_again() {
    let server = TestServer::start(&[]);
    let catalog = server.catalog(Limits::default(), None).await;
    let mut flush = redis::cmd("SCRIPT");
    flush.arg("FLUSH");
    let _: redis::Value = catalog.0.connection.run(&flush).await.unwrap();
    assert_eq!(catalog.epochs().await.unwrap().epoch, 1);
}

#[tokio::test]
async fn a_name_whose_maker_died_is_made_by_the_next_one() {
    let server = TestServer::start(&[]);
    let catalog = server.catalog(Limits::default(), None).await;
    let definition = crate::conformance::definition("db", "cpu", &[]);
    let mut command = redis::cmd("HSET");
    let id = TableId::from_uuid(Uuid::from_u128(5));
    let name = registry::field(&definition.database, &definition.table);
    command.arg(&catalog.0.registry.names).arg(name).arg(id.to_string());
    let _: usize = catalog.0.connection.run(&command).await.unwrap();
    assert!(catalog.live_tables().await.unwrap().is_empty(), "a name without a table is no table");
    assert_eq!(catalog.table(&definition.database, &definition.table).await.unwrap(), None);
    let made = catalog.define(definition.clone()).await.unwrap();
    assert_eq!(made.id, id);
    assert_eq!(catalog.define(definition).await.unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_refuses_is_told_from_one_that_is_away() {
    let cluster = TestCluster::start();
    let open = async |url: String| {
        let options =
            RedisOptions { connection_timeout: std::time::Duration::from_millis(500), ..RedisOptions::default() };
        RedisCatalog::open(&url, &options, Arc::new(SystemIds), Limits::default()).await
    };
    cluster.require("right");
    let with = |credentials: &str| cluster.url().replace("redis://", &format!("redis://{credentials}@"));
    for wrong in [cluster.url(), with(":wrong")] {
        let refused = open(wrong).await.unwrap_err();
        assert!(matches!(&refused, Error::Unusable { reason } if reason.contains("user or password")), "{refused}");
        assert!(!refused.to_string().contains("wrong@"), "{refused}");
    }
    assert!(open(with(":right")).await.is_ok());
    let url = with(":right");
    drop(cluster);
    let away = open(url).await.unwrap_err();
    assert!(matches!(away, Error::Unavailable { .. }), "{away}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    let cluster = TestCluster::start();
    let url = cluster.url();
    conformance::all(|| async {
        let clock = Arc::new(ManualClock::new(conformance::START));
        // A catalog of its own for each scenario, in other slots.
        let options = RedisOptions { prefix: SystemIds.random().to_string(), ..RedisOptions::default() };
        let catalog = server::open(&url, &options, conformance::limits(), Some(clock.clone())).await;
        catalog.found().await.unwrap();
        Rig { catalog: Arc::new(catalog), clock, _folder: None, _server: None }
    })
    .await;
}
