use uuid::Uuid;

use super::*;
use crate::{DatabaseName, TableId, TableKey, TableName};

fn table() -> TableDef {
    let (database, name) = (DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap());
    TableDef::new(TableId::from_uuid(Uuid::from_u128(7)), database, name, TableKey::Tags).unwrap()
}

fn set(settings: &[(&str, Option<&str>)]) -> TableSettings {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)));
    TableSettings { ttl: Edit::Keep, settings: settings.collect() }
}

#[test]
fn every_setting_has_its_typed_view() {
    let change = set(&[
        ("merge.enabled", Some("FALSE")),
        ("merge.level1.interval", Some("500ms")),
        ("merge.level2.interval", Some(" 10m ")),
        ("merge.level3.interval", Some("1d12h")),
        ("merge.level1.bytes_max", Some("100MiB")),
        ("merge.level2.bytes_max", Some("1048576")),
        ("merge.level3.bytes_max", Some("4GB")),
    ]);
    assert_eq!(change.settings.len(), setting_keys().count());
    let changed = table().configured(&change).unwrap();
    let expected = MergeOverrides {
        intervals: [500, 600_000, 129_600_000].map(|millis| Some(Duration::from_millis(millis))),
        bytes_max: [100 << 20, 1 << 20, 4_000_000_000].map(Some),
        enabled: Some(false),
    };
    assert_eq!(MergeOverrides::of(&changed), expected);
    assert_eq!(MergeOverrides::of(&table()), MergeOverrides::default());
}

#[test]
fn a_change_makes_the_next_revision_and_no_change_makes_none() {
    let ttl = Duration::from_secs(604_800);
    let change = TableSettings { ttl: Edit::Set(ttl), ..set(&[("merge.enabled", Some("true"))]) };
    let changed = table().configured(&change).unwrap();
    assert_eq!((changed.revision, changed.ttl, changed.settings.len()), (2, Some(ttl), 1));
    assert_eq!(changed.configured(&change).unwrap(), changed);
    assert_eq!(changed.configured(&TableSettings::default()).unwrap(), changed);
    let cleared =
        TableSettings { ttl: Edit::Clear, ..set(&[("merge.enabled", None), ("merge.level1.interval", None)]) };
    let cleared = changed.configured(&cleared).unwrap();
    assert_eq!(cleared, TableDef { revision: 3, ..table() });
    let zero = TableSettings { ttl: Edit::Set(Duration::ZERO), ..TableSettings::default() };
    assert_eq!(changed.configured(&zero).unwrap().ttl, None);
}

#[test]
fn what_is_wrong_names_key_value_and_what_is_allowed() {
    let told = |key: &str, value: &str| table().configured(&set(&[(key, Some(value))])).unwrap_err().to_string();
    let unknown = told("merge.level4.interval", "1s");
    assert!(unknown.contains("\"merge.level4.interval\"") && unknown.contains("merge.level3.bytes_max"), "{unknown}");
    for (key, value, takes) in [
        ("merge.level1.interval", "0", "10m"),
        ("merge.level1.interval", "5", "10m"),
        ("merge.level2.bytes_max", "much", "100MiB"),
        ("merge.level2.bytes_max", "0", "100MiB"),
        ("merge.enabled", "perhaps", "true or false"),
    ] {
        let told = told(key, value);
        assert!(told.contains(key) && told.contains(&format!("{value:?}")) && told.contains(takes), "{told}");
    }
    let refused = table().configured(&set(&[("colour", None)])).unwrap_err();
    assert_eq!(refused, SettingError::Unknown { key: "colour".to_owned() });
}

#[test]
fn a_setting_of_a_newer_program_counts_as_not_set_and_can_be_taken_away() {
    let newer = [("merge.level1.interval", "whenever"), ("colour", "blue")];
    let settings = newer.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
    let table = TableDef { settings, ..table() };
    assert_eq!(MergeOverrides::of(&table), MergeOverrides::default());
    let changed = table.configured(&set(&[("colour", None)])).unwrap();
    assert_eq!((changed.revision, changed.settings.len()), (2, 1));
}

#[test]
fn the_shorter_ttl_of_table_and_database_counts() {
    let [short, long] = [1, 2].map(|days| Some(Duration::from_secs(days * 86_400)));
    assert_eq!(effective_ttl(None, None), None);
    for (table, database, effective) in
        [(short, None, short), (None, long, long), (short, long, short), (long, short, short)]
    {
        assert_eq!(effective_ttl(table, database), effective);
    }
}

#[test]
fn a_ttl_is_a_second_or_longer_or_for_ever() {
    assert_eq!(parse_ttl("7d"), Ok(Some(Duration::from_secs(604_800))));
    for never in ["0", "none", "NONE", "0d"] {
        assert_eq!(parse_ttl(never), Ok(None), "{never}");
    }
    for wrong in ["", "7", "999ms", "-1d", "soon"] {
        assert!(parse_ttl(wrong).is_err(), "{wrong}");
    }
}
