//! Scenarios about definitions and drops.

use gigapi_model::{ColumnRole, ColumnType, DatabaseName, DefinitionError, TableId, TableKey, TableName, TimeRange};
use uuid::Uuid;

use super::{Rig, definition};
use crate::{Definition, Error, TableState};

const HOST: (&str, ColumnType, ColumnRole) = ("host", ColumnType::String, ColumnRole::Tag);
const LOAD: (&str, ColumnType, ColumnRole) = ("load", ColumnType::Float, ColumnRole::Field);

pub(super) async fn a_definition_makes_a_table_and_its_database(rig: &Rig) {
    let catalog = &rig.catalog;
    assert!(catalog.databases().await.unwrap().is_empty());
    let wanted = Definition { key: TableKey::None, ..definition("a/b"[..1].as_ref(), "cpu/load 1", &[HOST, LOAD]) };
    let table = catalog.define(wanted).await.unwrap();
    assert_eq!((table.revision, table.key), (1, TableKey::None));
    assert_eq!(table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["time", "host", "load"]);
    let (database, name) = (DatabaseName::new("a").unwrap(), TableName::new("cpu/load 1").unwrap());
    assert_eq!(catalog.databases().await.unwrap(), std::slice::from_ref(&database));
    assert_eq!(catalog.table(&database, &name).await.unwrap(), Some(table.clone()));
    assert_eq!(catalog.tables(&database).await.unwrap(), std::slice::from_ref(&table));
    assert_eq!(catalog.live_tables().await.unwrap(), std::slice::from_ref(&table));
    assert_eq!(catalog.table_state(table.id).await.unwrap(), TableState::Live(table.clone()));
    assert_eq!(catalog.version(table.id).await.unwrap(), 1);
    let snapshot = catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!((snapshot.version, snapshot.files.len(), snapshot.table), (1, 0, table));
}

pub(super) async fn a_definition_extends_a_table_once(rig: &Rig) {
    let catalog = &rig.catalog;
    let made = catalog.define(definition("db", "cpu", &[HOST])).await.unwrap();
    let extended = catalog.define(definition("db", "cpu", &[LOAD])).await.unwrap();
    assert_eq!((extended.id, extended.revision, extended.columns.len()), (made.id, 2, 3));
    assert_eq!(catalog.version(made.id).await.unwrap(), 2);
    let again = catalog.define(Definition { key: TableKey::None, ..definition("db", "cpu", &[HOST, LOAD]) }).await;
    assert_eq!(again.unwrap(), extended);
    assert_eq!(catalog.version(made.id).await.unwrap(), 2);
    assert_eq!(catalog.snapshot(made.id, TimeRange::ALL).await.unwrap().table, extended);
}

pub(super) async fn a_conflicting_definition_names_the_column_and_changes_nothing(rig: &Rig) {
    let made = rig.catalog.define(definition("db", "cpu", &[LOAD])).await.unwrap();
    let clash = ("load", ColumnType::String, ColumnRole::Field);
    let refused = rig.catalog.define(definition("db", "cpu", &[HOST, clash])).await.unwrap_err();
    match refused {
        Error::Definition(DefinitionError::Conflict { name, .. }) => assert_eq!(name.as_str(), "load"),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.catalog.table_state(made.id).await.unwrap(), TableState::Live(made));
}

pub(super) async fn limits_refuse_columns_tables_and_databases(rig: &Rig) {
    let catalog = &rig.catalog;
    let names = ["a", "b", "c", "d", "e", "f"];
    let columns = names.map(|name| (name, ColumnType::Float, ColumnRole::Field));
    let refused = catalog.define(definition("db", "wide", &columns)).await.unwrap_err();
    assert!(matches!(refused, Error::Definition(DefinitionError::TooMany { wanted: 7, limit: 6 })), "{refused:?}");
    assert!(catalog.databases().await.unwrap().is_empty(), "a refused definition leaves a database behind");
    for name in &names[..4] {
        rig.table(name).await;
    }
    let refused = catalog.define(definition("db", "one more", &[])).await.unwrap_err();
    assert!(matches!(refused, Error::LimitReached { limit: 4, .. }), "{refused:?}");
    for name in ["db2", "db3"] {
        catalog.define(definition(name, "t", &[])).await.unwrap();
    }
    let refused = catalog.define(definition("db4", "t", &[])).await.unwrap_err();
    assert!(matches!(refused, Error::LimitReached { limit: 3, .. }), "{refused:?}");
}

pub(super) async fn a_dropped_table_answers_dropped_and_its_name_is_free(rig: &Rig) {
    let catalog = &rig.catalog;
    let writer = rig.open(1).await;
    let first = rig.table("cpu").await;
    rig.flush(&writer, first.id, 1, rig.file(0, 1)).await;
    catalog.drop_table(first.id).await.unwrap();
    catalog.drop_table(first.id).await.unwrap();
    assert_eq!(catalog.table_state(first.id).await.unwrap(), TableState::Dropped);
    assert!(catalog.databases().await.unwrap().is_empty());
    let dropped = |error: Error| matches!(error, Error::Dropped { table } if table == first.id);
    assert!(dropped(catalog.snapshot(first.id, TimeRange::ALL).await.unwrap_err()));
    assert!(dropped(catalog.version(first.id).await.unwrap_err()));
    assert!(dropped(catalog.export(first.id).await.unwrap_err()));
    assert!(dropped(rig.commit(writer.flush(first.id, 2, 2, vec![rig.file(2, 3)])).await.unwrap_err()));
    let second = rig.table("cpu").await;
    assert_ne!(first.id, second.id);
    assert!(rig.live(second.id).await.is_empty());
    assert!(rig.open(1).await.session.watermarks.is_empty());
    assert_eq!(catalog.table(&second.database, &second.name).await.unwrap(), Some(second));
}

pub(super) async fn what_was_never_there_is_unknown(rig: &Rig) {
    let catalog = &rig.catalog;
    let writer = rig.open(1).await;
    let nobody = TableId::from_uuid(Uuid::from_u128(77));
    assert_eq!(catalog.table_state(nobody).await.unwrap(), TableState::Unknown);
    let unknown = |error: Error| matches!(error, Error::UnknownTable { table } if table == nobody);
    assert!(unknown(catalog.version(nobody).await.unwrap_err()));
    assert!(unknown(catalog.drop_table(nobody).await.unwrap_err()));
    assert!(unknown(catalog.statistics(nobody, &[]).await.unwrap_err()));
    assert!(unknown(rig.commit(writer.flush(nobody, 1, 1, vec![])).await.unwrap_err()));
    let database = DatabaseName::new("nowhere").unwrap();
    assert!(catalog.tables(&database).await.unwrap().is_empty());
    assert_eq!(catalog.table(&database, &TableName::new("t").unwrap()).await.unwrap(), None);
}

pub(super) async fn a_lost_definition_is_adopted_under_its_own_id(rig: &Rig) {
    let catalog = &rig.catalog;
    let other = catalog.define(definition("db", "other", &[HOST])).await.unwrap();
    let lost = gigapi_model::TableDef { id: TableId::from_uuid(Uuid::from_u128(99)), ..other.as_ref().clone() };
    let refused = catalog.adopt(&lost).await.unwrap_err();
    assert!(matches!(refused, Error::NameTaken { .. }), "{refused:?}");
    let lost = gigapi_model::TableDef { name: TableName::new("lost").unwrap(), ..lost };
    assert_eq!(*catalog.adopt(&lost).await.unwrap(), lost);
    assert_eq!(catalog.table(&lost.database, &lost.name).await.unwrap().as_deref(), Some(&lost));
    let newer = lost.with_columns(&definition("db", "lost", &[LOAD]).columns, 10).unwrap();
    assert_eq!(*catalog.adopt(&newer).await.unwrap(), newer);
    assert_eq!(*catalog.adopt(&lost).await.unwrap(), newer, "an older revision changes nothing");
    catalog.drop_table(lost.id).await.unwrap();
    assert!(matches!(catalog.adopt(&newer).await, Err(Error::Dropped { .. })));
}

pub(super) async fn writers_are_remembered(rig: &Rig) {
    assert!(rig.catalog.writers().await.unwrap().is_empty());
    let writer = gigapi_model::WriterId::from_uuid(Uuid::from_u128(5));
    rig.catalog.open_writer(writer).await.unwrap();
    rig.catalog.open_writer(writer).await.unwrap();
    assert_eq!(rig.catalog.writers().await.unwrap(), [writer]);
    assert_eq!(rig.catalog.writer_at("pod-0").await.unwrap(), None);
    let other = gigapi_model::WriterId::from_uuid(Uuid::from_u128(6));
    for at_place in [other, writer, writer] {
        rig.catalog.place_writer(at_place, "pod-0").await.unwrap();
        assert_eq!(rig.catalog.writer_at("pod-0").await.unwrap(), Some(at_place));
    }
    assert_eq!(rig.catalog.writer_at("pod-1").await.unwrap(), None);
}

pub(super) async fn writers_are_registered_until_they_are_withdrawn(rig: &Rig) {
    let id = |number| gigapi_model::WriterId::from_uuid(Uuid::from_u128(number));
    let (one, other) = (id(5), id(6));
    let registered = async || rig.catalog.registered_writers().await.unwrap().into_iter().collect::<Vec<_>>();
    assert!(registered().await.is_empty());
    rig.catalog.open_writer(one).await.unwrap();
    rig.catalog.register_writer(one, "one:1").await.unwrap();
    rig.catalog.register_writer(other, "other:1").await.unwrap();
    rig.catalog.register_writer(one, "one:2").await.unwrap();
    assert_eq!(registered().await, [(one, "one:2".to_owned()), (other, "other:1".to_owned())]);
    rig.catalog.withdraw_writer(other).await.unwrap();
    rig.catalog.withdraw_writer(other).await.unwrap();
    assert_eq!(registered().await, [(one, "one:2".to_owned())]);
}
