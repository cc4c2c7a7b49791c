//! Scenarios about what is set for a table.

use std::collections::BTreeMap;
use std::time::Duration;

use gigapi_model::{
    CatalogId, ColumnRole, ColumnType, Edit, MergeOverrides, SettingError, TableDef, TableId, TableSettings, TimeRange,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Rig, definition};
use crate::{Error, Freshness, Restore, TableState};

const DAY: Duration = Duration::from_secs(86_400);

fn set(key: &str, value: &str) -> TableSettings {
    let settings = BTreeMap::from([(key.to_owned(), Some(value.to_owned()))]);
    TableSettings { ttl: Edit::Keep, settings }
}

fn ttl(ttl: Duration) -> TableSettings {
    TableSettings { ttl: Edit::Set(ttl), ..TableSettings::default() }
}

pub(super) async fn what_is_set_is_seen_by_everybody_under_a_new_version(rig: &Rig) {
    let catalog = &rig.catalog;
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    // Whoever held the table before sees the change, by whichever way they look.
    let reader = || catalog.clone().reader(Freshness { age_max: Duration::ZERO });
    assert_eq!(reader().snapshot(table.id, &[]).await.unwrap().table, table);
    let before = catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    let change = TableSettings { ttl: Edit::Set(DAY), ..set("merge.level2.bytes_max", "1GiB") };
    let changed = catalog.configure(table.id, &change).await.unwrap();
    assert_eq!((changed.id, changed.revision, changed.ttl), (table.id, 2, Some(DAY)));
    assert_eq!(MergeOverrides::of(&changed).bytes_max, [None, Some(1 << 30), None]);
    assert_eq!(catalog.version(table.id).await.unwrap(), before.version + 1);
    let after = catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!((after.version, &after.table, after.files.len()), (before.version + 1, &changed, 1));
    assert_eq!(after.watermarks, before.watermarks);
    assert_eq!(reader().snapshot(table.id, &[]).await.unwrap().table, changed);
    assert_eq!(catalog.table(&changed.database, &changed.name).await.unwrap(), Some(changed.clone()));
    assert_eq!(catalog.tables(&changed.database).await.unwrap(), std::slice::from_ref(&changed));
    assert_eq!(catalog.table_state(table.id).await.unwrap(), TableState::Live(changed));
    assert_eq!(rig.live(table.id).await, [file]);
    let next = rig.flush(&writer, table.id, 2, rig.file(2, 3)).await;
    assert_eq!(next.sequence.lo, after.version + 1);
}

pub(super) async fn a_setting_that_is_so_already_changes_nothing(rig: &Rig) {
    let table = rig.table("cpu").await;
    let nothing = TableSettings::default();
    assert_eq!(rig.catalog.configure(table.id, &nothing).await.unwrap(), table);
    let changed = rig.catalog.configure(table.id, &ttl(DAY)).await.unwrap();
    for repeated in [ttl(DAY), nothing] {
        assert_eq!(rig.catalog.configure(table.id, &repeated).await.unwrap(), changed);
    }
    assert_eq!((changed.revision, rig.catalog.version(table.id).await.unwrap()), (2, 2));
    let cleared = TableSettings { ttl: Edit::Clear, ..TableSettings::default() };
    let cleared = rig.catalog.configure(table.id, &cleared).await.unwrap();
    assert_eq!(*cleared, TableDef { revision: 3, ..table.as_ref().clone() });
}

pub(super) async fn a_wrong_setting_is_refused_and_changes_nothing(rig: &Rig) {
    let table = rig.table("cpu").await;
    let mut change = ttl(DAY);
    change.settings = set("merge.level9.interval", "1s").settings;
    let refused = rig.catalog.configure(table.id, &change).await.unwrap_err();
    assert!(matches!(refused, Error::Setting(SettingError::Unknown { .. })), "{refused:?}");
    let refused = rig.catalog.configure(table.id, &set("merge.enabled", "perhaps")).await.unwrap_err();
    assert!(matches!(refused, Error::Setting(SettingError::Value { key: "merge.enabled", .. })), "{refused:?}");
    assert_eq!(rig.catalog.table_state(table.id).await.unwrap(), TableState::Live(table.clone()));
    assert_eq!(rig.catalog.version(table.id).await.unwrap(), 1);
}

pub(super) async fn settings_of_a_table_that_is_gone_are_refused(rig: &Rig) {
    let table = rig.table("cpu").await;
    rig.catalog.configure(table.id, &ttl(DAY)).await.unwrap();
    rig.catalog.drop_table(table.id).await.unwrap();
    let refused = rig.catalog.configure(table.id, &ttl(DAY)).await.unwrap_err();
    assert!(matches!(refused, Error::Dropped { table: id } if id == table.id), "{refused:?}");
    let nobody = TableId::from_uuid(Uuid::from_u128(77));
    let refused = rig.catalog.configure(nobody, &ttl(DAY)).await.unwrap_err();
    assert!(matches!(refused, Error::UnknownTable { table } if table == nobody), "{refused:?}");
    // Nothing of what was set comes back with the name.
    assert_eq!(rig.table("cpu").await.ttl, None);
    rig.catalog.begin_restore(2).await.unwrap();
    let again = rig.catalog.configure(table.id, &ttl(DAY)).await.unwrap_err();
    assert!(matches!(again, Error::Recovering { .. } | Error::Dropped { .. }), "{again:?}");
}

pub(super) async fn settings_stay_through_extensions_exports_and_adoptions(rig: &Rig) {
    let catalog = &rig.catalog;
    let table = rig.table("cpu").await;
    let changed = catalog.configure(table.id, &ttl(DAY)).await.unwrap();
    // A log remembers the definition from before.
    assert_eq!(catalog.adopt(&table).await.unwrap(), changed);
    let load = ("load", ColumnType::Float, ColumnRole::Field);
    let extended = catalog.define(definition("db", "cpu", &[load])).await.unwrap();
    assert_eq!((extended.revision, extended.ttl, extended.columns.len()), (3, Some(DAY), 2));
    let export = catalog.export(table.id).await.unwrap();
    assert_eq!(export.table, extended);
    let older = crate::TableExport { table: changed.clone(), ..export };
    let catalog_id = CatalogId::from_uuid(Uuid::from_u128(42));
    rig.restore(Restore { catalog: catalog_id, epoch: 9, tables: vec![older], dropped: Vec::new() }).await;
    assert_eq!(catalog.table_state(table.id).await.unwrap(), TableState::Live(changed));
    // And one from after, whose settings come with it.
    let newer = extended.configured(&set("merge.enabled", "false")).unwrap();
    assert_eq!(*catalog.adopt(&newer).await.unwrap(), newer);
    assert_eq!(catalog.snapshot(table.id, TimeRange::ALL).await.unwrap().table.settings, newer.settings);
}

pub(super) async fn settings_and_columns_that_race_are_both_kept(rig: &Rig) {
    let table = rig.table("cpu").await;
    let keys = ["merge.level1.interval", "merge.level2.interval", "merge.level3.interval"];
    let mut racers = JoinSet::new();
    for (round, key) in keys.into_iter().enumerate() {
        let (catalog, id) = (rig.catalog.clone(), table.id);
        racers.spawn(async move { catalog.configure(id, &set(key, "7s")).await.map(drop) });
        let catalog = rig.catalog.clone();
        let column = definition("db", "cpu", &[(&format!("c{round}"), ColumnType::Float, ColumnRole::Field)]);
        racers.spawn(async move { catalog.define(column).await.map(drop) });
    }
    assert!(racers.join_all().await.iter().all(Result::is_ok));
    let TableState::Live(after) = rig.catalog.table_state(table.id).await.unwrap() else { panic!("it is gone") };
    assert_eq!((after.revision, after.columns.len()), (7, 4));
    assert_eq!(MergeOverrides::of(&after).intervals, [Some(Duration::from_secs(7)); 3]);
    assert_eq!(rig.catalog.version(table.id).await.unwrap(), 7);
}
