use gigapi_model::{DatabaseName, TableKey, TableName};
use gigapi_storage::checksum;
use object_store::ObjectStoreExt;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::testing::World;

fn export() -> TableExport {
    let id = TableId::from_uuid(Uuid::from_u128(7));
    let table = TableDef::new(id, DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap(), TableKey::Tags);
    let writer = WriterId::from_uuid(Uuid::from_u128(1));
    TableExport {
        epoch: 3,
        table: Arc::new(table.unwrap()),
        version: 12,
        files: Vec::new(),
        watermarks: HashMap::from([(writer, u64::MAX)]),
    }
}

fn owner() -> CatalogId {
    CatalogId::from_uuid(Uuid::from_u128(42))
}

#[test]
fn a_checkpoint_of_version_1_is_this_text() {
    let golden = concat!(
        r#"{"v":1,"catalog":"00000000-0000-0000-0000-00000000002a","epoch":3,"version":12,"#,
        r#""table":{"id":"00000000-0000-0000-0000-000000000007","database":"db","name":"cpu","#,
        r#""columns":[{"field_id":1,"name":"time","column_type":"time","role":"time"}],"#,
        r#""revision":1,"sort":"tags-then-time","key":"tags","ttl":null},"#,
        r#""watermarks":{"00000000-0000-0000-0000-000000000001":18446744073709551615},"files":[]}"#,
    );
    let bytes = encode(owner(), &export()).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert_eq!(text.lines().next(), Some(golden));
    assert_eq!(text.lines().nth(1), Some(format!("xxh3:{:016x}", checksum(golden.as_bytes())).as_str()));
    assert_eq!(decode(&bytes), Ok((owner(), export())));
}

#[test]
fn a_newer_checkpoint_is_refused_by_its_version() {
    let record = r#"{"v":2,"something":"else"}"#;
    let text = format!("{record}\nxxh3:{:016x}\n", checksum(record.as_bytes()));
    assert!(decode(text.as_bytes()).unwrap_err().contains("version 2"));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = encode(owner(), &export()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn foreign_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
    }
}

#[tokio::test]
async fn the_newest_readable_checkpoint_is_found_and_the_oldest_go() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let owner = world.catalog.epochs().await.unwrap().catalog;
    let layer = world.layers.first().clone();
    let mut exports = Vec::new();
    for seq in 1..=4 {
        world.flush(&table, &log, (seq, seq), &[&[1, 2]]).await;
        let export = world.catalog.export(table.id).await.unwrap();
        write_checkpoints(&layer, owner, vec![export.clone()]).await.unwrap();
        exports.push(export);
    }
    let mut kept = names(&layer).await.unwrap();
    kept.sort_unstable();
    assert_eq!(kept, exports[1..].iter().map(CheckpointName::of).collect::<Vec<_>>());
    let newest = newest_checkpoints(&world.layers, owner).await.unwrap();
    assert_eq!(newest[&table.id], exports[3]);

    let path = CheckpointName::of(&exports[3]).path();
    let mut bytes = own::read(&layer, &path).await.unwrap();
    bytes[20] ^= 1;
    layer.store.put(&path, bytes.into()).await.unwrap();
    let newest = newest_checkpoints(&world.layers, owner).await.unwrap();
    assert_eq!(newest[&table.id], exports[2], "the damaged one is passed over");
    let stranger = CatalogId::from_uuid(Uuid::from_u128(1));
    assert!(newest_checkpoints(&world.layers, stranger).await.unwrap().is_empty());
}
