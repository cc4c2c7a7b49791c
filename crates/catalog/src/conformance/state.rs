//! Scenarios about export and restore.

use std::time::Duration;

use gigapi_model::{CatalogId, ColumnRole, ColumnType, TableId, TimeRange};
use uuid::Uuid;

use super::{Rig, definition, memory_rig};
use crate::{ClaimRequest, Error, Restore, TableExport, TableState};

const HOST: (&str, ColumnType, ColumnRole) = ("host", ColumnType::String, ColumnRole::Tag);

/// The state of a catalog that has lived.
async fn lived() -> (Restore, TableExport) {
    let rig = memory_rig().await;
    let writer = rig.open(1).await;
    let table = rig.catalog.define(definition("db", "cpu", &[HOST])).await.unwrap();
    rig.flush(&writer, table.id, 1, rig.file(10, 20)).await;
    rig.flush(&writer, table.id, 2, rig.file(0, 5)).await;
    let empty = rig.table("mem").await;
    let export = rig.catalog.export(table.id).await.unwrap();
    let restore = Restore {
        catalog: CatalogId::from_uuid(Uuid::from_u128(42)),
        epoch: 9,
        tables: vec![export.clone(), rig.catalog.export(empty.id).await.unwrap()],
        dropped: vec![TableId::from_uuid(Uuid::from_u128(8))],
    };
    (restore, export)
}

pub(super) async fn an_export_is_restored_as_it_was(rig: &Rig) {
    let (restore, export) = lived().await;
    assert_eq!(export.files.iter().map(|new| new.file.sequence.lo).collect::<Vec<_>>(), [3, 2]);
    assert!(export.files.iter().all(|new| new.statistics == new.file.id.uuid().as_bytes()));
    // Asked before, so that a reader who remembers the empty catalog has to notice.
    assert!(rig.catalog.live_tables().await.unwrap().is_empty());
    rig.advance(5);
    rig.catalog.restore(restore.clone()).await.unwrap();
    let epochs = rig.catalog.epochs().await.unwrap();
    assert_eq!((epochs.catalog, epochs.epoch, epochs.since), (restore.catalog, 9, rig.now()));
    assert_eq!(rig.catalog.live_tables().await.unwrap().len(), 2);
    assert_eq!(rig.catalog.table_state(restore.dropped[0]).await.unwrap(), TableState::Dropped);
    let found = rig.catalog.export(export.table.id).await.unwrap();
    assert_eq!(found, TableExport { epoch: 9, ..export.clone() });
    let snapshot = rig.catalog.snapshot(export.table.id, TimeRange::ALL).await.unwrap();
    assert_eq!((snapshot.version, snapshot.files.len()), (export.version, 2));
    // The writer is known and goes on where it was; the table grows on.
    let writer = rig.open(1).await;
    assert!(writer.session.known);
    assert_eq!(writer.session.watermarks[&export.table.id], 2);
    let file = rig.flush(&writer, export.table.id, 3, rig.file(30, 40)).await;
    assert_eq!(file.sequence.lo, export.version + 1);
    let load = ("load", ColumnType::Float, ColumnRole::Field);
    let extended = rig.catalog.define(definition("db", "cpu", &[load])).await.unwrap();
    assert_eq!((extended.id, extended.columns.len()), (export.table.id, 3));
}

pub(super) async fn only_an_empty_catalog_is_restored(rig: &Rig) {
    let (restore, _) = lived().await;
    let table = rig.table("cpu").await;
    let refused = rig.catalog.restore(restore.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::NotEmpty { tables: 1 }), "{refused:?}");
    rig.catalog.drop_table(table.id).await.unwrap();
    let refused = rig.catalog.restore(restore).await.unwrap_err();
    assert!(matches!(refused, Error::NotEmpty { tables: 1 }), "{refused:?}");
    assert_eq!(rig.catalog.epochs().await.unwrap().epoch, 1);
}

pub(super) async fn a_contradictory_state_is_refused_and_leaves_the_catalog_empty(rig: &Rig) {
    let (restore, export) = lived().await;
    let mut twice = restore.clone();
    twice.tables.push(export.clone());
    let mut same_name = restore.clone();
    same_name.tables[1].table = {
        let mut table = (*export.table).clone();
        table.id = same_name.tables[1].table.id;
        table.into()
    };
    let mut shared_file = restore.clone();
    shared_file.tables[1].files = export.files.clone();
    for state in [twice, same_name, shared_file] {
        let refused = rig.catalog.restore(state).await.unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused:?}");
        assert!(rig.catalog.live_tables().await.unwrap().is_empty());
    }
    rig.catalog.restore(restore).await.unwrap();
}

pub(super) async fn writers_and_claims_start_above_what_was_given_before(rig: &Rig) {
    let (restore, export) = lived().await;
    rig.catalog.restore(restore).await.unwrap();
    let (known, new) = (rig.open(1).await, rig.open(2).await);
    assert!(known.session.epoch > 8 << 32 && new.session.epoch > 8 << 32);
    let inputs = vec![export.files[0].file.id];
    let request = ClaimRequest { table: export.table.id, inputs, lease: Duration::from_secs(60) };
    assert!(rig.catalog.claim(request).await.unwrap().token > 8 << 32);
}
