//! Scenarios about export and restore.

use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{CatalogId, ColumnRole, ColumnType, TableId, TimeRange};
use uuid::Uuid;

use super::{Rig, definition, memory_rig};
use crate::{ClaimRequest, Error, Freshness, Restore, Standing, TableExport, TableState};

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
    rig.restore(restore.clone()).await;
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

pub(super) async fn a_restore_replaces_what_was_there(rig: &Rig) {
    let (restore, export) = lived().await;
    let (writer, gone, dropped) = (rig.open(7).await, rig.table("gone").await, rig.table("dropped").await);
    // A table that is in the restored state too, at a later version than there.
    let known = rig.catalog.adopt(&export.table).await.unwrap();
    for seq in 1..=9 {
        rig.flush(&writer, known.id, seq, rig.file(0, 1)).await;
    }
    rig.flush(&writer, gone.id, 1, rig.file(0, 1)).await;
    rig.catalog.drop_table(dropped.id).await.unwrap();
    assert!(rig.catalog.version(known.id).await.unwrap() > export.version);
    rig.restore(restore).await;
    let found = rig.catalog.export(export.table.id).await.unwrap();
    assert_eq!(found, TableExport { epoch: 9, ..export.clone() });
    for unknown in [gone.id, dropped.id] {
        assert_eq!(rig.catalog.table_state(unknown).await.unwrap(), TableState::Unknown);
    }
    assert_eq!(rig.catalog.live_tables().await.unwrap().len(), 2);
    rig.advance(10_000);
    assert!(rig.catalog.graves().await.unwrap().is_empty(), "what was buried is left to the sweep");
    // What a session from before still wants to commit is refused, and its files may come again.
    let stale = writer.flush(export.table.id, 10, 10, vec![rig.file(0, 1)]);
    assert!(matches!(rig.commit(stale).await, Err(Error::StaleEpoch { current: 9, known: 1 })));
    let again = rig.open(7).await;
    assert!(again.session.epoch > writer.session.epoch && again.session.watermarks.is_empty());
    rig.flush(&again, export.table.id, 1, rig.file(0, 1)).await;
}

pub(super) async fn nothing_changes_while_the_catalog_is_rebuilt(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let request = ClaimRequest { table: table.id, inputs: vec![file.id], lease: Duration::from_secs(60) };
    let claim = rig.catalog.claim(request.clone()).await.unwrap();
    rig.catalog.begin_restore(5).await.unwrap();
    rig.advance(7);
    let standing = rig.catalog.standing().await.unwrap();
    assert_eq!(standing, Standing::Rebuilding { epoch: 5, silent: Duration::from_secs(7) });
    rig.catalog.begin_restore(5).await.unwrap();
    let standing = rig.catalog.standing().await.unwrap();
    assert_eq!(standing, Standing::Rebuilding { epoch: 5, silent: Duration::ZERO });

    let refused = |error: Error| assert!(matches!(error, Error::Recovering { .. }), "{error:?}");
    refused(rig.catalog.epochs().await.unwrap_err());
    refused(rig.commit(writer.flush(table.id, 2, 2, vec![rig.file(2, 3)])).await.unwrap_err());
    refused(rig.commit(rig.replace(table.id, claim, &[&file], vec![])).await.unwrap_err());
    refused(rig.catalog.claim(request).await.unwrap_err());
    refused(rig.catalog.define(definition("db", "new", &[])).await.unwrap_err());
    refused(rig.catalog.define(definition("db", "cpu", &[HOST])).await.unwrap_err());
    refused(rig.catalog.drop_table(table.id).await.unwrap_err());
    refused(rig.catalog.open_writer(writer.id).await.unwrap_err());
    refused(rig.catalog.adopt(&table).await.unwrap_err());
}

pub(super) async fn a_later_rebuild_supersedes_an_earlier_one(rig: &Rig) {
    let (restore, _) = lived().await;
    let at = |epoch| Restore { epoch, ..restore.clone() };
    let refused = rig.catalog.restore(at(9)).await.unwrap_err();
    assert!(matches!(refused, Error::Superseded { epoch: 9 }), "{refused:?}");
    let refused = rig.catalog.begin_restore(1).await.unwrap_err();
    assert!(matches!(refused, Error::StaleEpoch { current: 1, known: 1 }), "{refused:?}");
    rig.catalog.begin_restore(9).await.unwrap();
    rig.catalog.begin_restore(11).await.unwrap();
    let refused = rig.catalog.restore(at(9)).await.unwrap_err();
    assert!(matches!(refused, Error::Superseded { epoch: 9 }), "{refused:?}");
    let refused = rig.catalog.begin_restore(10).await.unwrap_err();
    assert!(matches!(refused, Error::StaleEpoch { current: 10, known: 10 }), "{refused:?}");
    rig.catalog.restore(at(11)).await.unwrap();
    let epochs = rig.catalog.epochs().await.unwrap();
    assert_eq!(epochs.epoch, 11);
    assert_eq!(rig.catalog.standing().await.unwrap(), Standing::Serving(epochs));
    assert_eq!(rig.catalog.found().await.unwrap(), epochs, "founding a founded catalog changes nothing");
}

pub(super) async fn an_overtaken_catalog_is_closed_until_a_later_epoch(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let export = rig.catalog.export(table.id).await.unwrap();
    let epochs = rig.catalog.epochs().await.unwrap();
    rig.catalog.overtaken(epochs.epoch).await.unwrap();
    assert_eq!(rig.catalog.standing().await.unwrap(), Standing::Serving(epochs));
    rig.catalog.overtaken(5).await.unwrap();
    rig.catalog.overtaken(5).await.unwrap();
    assert!(!matches!(rig.catalog.standing().await.unwrap(), Standing::Serving(_)));
    let refused = rig.commit(writer.flush(table.id, 2, 2, vec![rig.file(2, 3)])).await.unwrap_err();
    assert!(matches!(refused, Error::Recovering { .. }), "{refused:?}");
    // Whoever has taken the epoch goes on, or another one begins a later one.
    rig.catalog.begin_restore(6).await.unwrap();
    let export = TableExport { epoch: 6, ..export };
    let restore = Restore { catalog: epochs.catalog, epoch: 6, tables: vec![export], dropped: vec![] };
    rig.catalog.restore(restore).await.unwrap();
    rig.catalog.overtaken(5).await.unwrap();
    assert_eq!(rig.catalog.epochs().await.unwrap().epoch, 6);
    let snapshot = rig.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!(snapshot.files.iter().map(|file| file.id).collect::<Vec<_>>(), [file.id]);
}

pub(super) async fn a_query_reads_through_a_reader(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let reader = || Arc::clone(&rig.catalog).reader(Freshness::default());
    let one = reader();
    assert_eq!(one.databases().await.unwrap(), std::slice::from_ref(&table.database));
    assert_eq!(one.tables(&table.database).await.unwrap(), std::slice::from_ref(&table));
    assert_eq!(one.table(&table.database, &table.name).await.unwrap(), Some(table.clone()));
    let missing = gigapi_model::TableName::new("missing").unwrap();
    assert_eq!(one.table(&table.database, &missing).await.unwrap(), None);
    let snapshot = one.snapshot(table.id, &[]).await.unwrap();
    assert_eq!(snapshot.files.iter().map(|file| file.id).collect::<Vec<_>>(), [file.id]);
    assert_eq!(one.statistics(table.id, &[file.id]).await.unwrap()[&file.id].as_ref(), file.id.uuid().as_bytes());
    // The next query sees what was committed before it began; one under way reaches the floor that it names.
    rig.flush(&writer, table.id, 2, rig.file(2, 3)).await;
    assert_eq!(reader().snapshot(table.id, &[]).await.unwrap().files.len(), 2);
    assert_eq!(one.snapshot(table.id, &[(writer.id, 2)]).await.unwrap().files.len(), 2);
    rig.catalog.define(definition("db", "cpu", &[HOST])).await.unwrap();
    assert_eq!(reader().table(&table.database, &table.name).await.unwrap().unwrap().columns.len(), 2);
    assert_eq!(reader().snapshot(table.id, &[]).await.unwrap().table.columns.len(), 2);
    rig.catalog.drop_table(table.id).await.unwrap();
    assert_eq!(reader().table(&table.database, &table.name).await.unwrap(), None);
    assert!(matches!(reader().snapshot(table.id, &[]).await, Err(Error::Dropped { .. })));
    let again = rig.table("cpu").await;
    assert_eq!(reader().table(&table.database, &table.name).await.unwrap().unwrap().id, again.id);
    assert_eq!(reader().stale(), None);
}

pub(super) async fn a_contradictory_state_is_refused_and_leaves_nothing(rig: &Rig) {
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
    rig.catalog.begin_restore(restore.epoch).await.unwrap();
    for state in [twice, same_name, shared_file] {
        let refused = rig.catalog.restore(state).await.unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused:?}");
    }
    rig.catalog.restore(restore).await.unwrap();
    assert_eq!(rig.catalog.live_tables().await.unwrap().len(), 2);
}

pub(super) async fn writers_and_claims_start_above_what_was_given_before(rig: &Rig) {
    let (restore, export) = lived().await;
    rig.restore(restore).await;
    let (known, new) = (rig.open(1).await, rig.open(2).await);
    assert!(known.session.epoch > 8 << 32 && new.session.epoch > 8 << 32);
    let inputs = vec![export.files[0].file.id];
    let request = ClaimRequest { table: export.table.id, inputs, lease: Duration::from_secs(60) };
    assert!(rig.catalog.claim(request).await.unwrap().token > 8 << 32);
}
