use uuid::Uuid;

use super::*;

fn table() -> TableDef {
    let id = TableId::from_uuid(Uuid::from_u128(7));
    TableDef::new(id, DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap(), TableKey::Tags).unwrap()
}

fn wants(name: &str, column_type: ColumnType, role: ColumnRole) -> NewColumn {
    NewColumn { name: ColumnName::new(name).unwrap(), column_type, role }
}

#[test]
fn columns_get_ascending_field_ids_and_keep_them() {
    let host = wants("host", ColumnType::String, ColumnRole::Tag);
    let usage = wants("usage", ColumnType::Float, ColumnRole::Field);
    let first = table().with_columns(std::slice::from_ref(&host), 10).unwrap();
    let second = first.with_columns(&[host, usage], 10).unwrap();
    let ids: Vec<_> = second.columns.iter().map(|c| (c.field_id, c.name.as_str().to_owned())).collect();
    assert_eq!(ids, [(1, "time".to_owned()), (2, "host".to_owned()), (3, "usage".to_owned())]);
    assert_eq!((first.revision, second.revision), (2, 3));
}

#[test]
fn an_extension_without_news_is_the_same_definition() {
    let host = wants("host", ColumnType::String, ColumnRole::Tag);
    let first = table().with_columns(std::slice::from_ref(&host), 10).unwrap();
    assert_eq!(first.with_columns(&[host], 10).unwrap(), first);
}

#[test]
fn a_name_has_one_type_and_one_role() {
    let first = table().with_columns(&[wants("a", ColumnType::String, ColumnRole::Tag)], 10).unwrap();
    let error = first.with_columns(&[wants("a", ColumnType::Float, ColumnRole::Field)], 10).unwrap_err();
    assert!(matches!(error, DefinitionError::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("column a is a float field here but a string tag"), "{error}");
}

#[test]
fn time_is_taken_and_tags_are_strings() {
    for refused in [
        wants("time", ColumnType::Integer, ColumnRole::Field),
        wants("t", ColumnType::Time, ColumnRole::Time),
        wants("host", ColumnType::Float, ColumnRole::Tag),
    ] {
        assert!(matches!(table().with_columns(&[refused], 10), Err(DefinitionError::Forbidden { .. })));
    }
}

#[test]
fn the_column_limit_holds() {
    let many: Vec<_> = (0..10).map(|i| wants(&format!("f{i}"), ColumnType::Float, ColumnRole::Field)).collect();
    assert_eq!(table().with_columns(&many, 10), Err(DefinitionError::TooMany { wanted: 11, limit: 10 }));
}

#[test]
fn the_persisted_form_is_stable() {
    let host = wants("host", ColumnType::String, ColumnRole::Tag);
    let json = serde_json::to_string(&table().with_columns(&[host], 10).unwrap()).unwrap();
    assert_eq!(
        json,
        r#"{"id":"00000000-0000-0000-0000-000000000007","database":"db","name":"cpu","columns":[{"field_id":1,"name":"time","column_type":"time","role":"time"},{"field_id":2,"name":"host","column_type":"string","role":"tag"}],"revision":2,"sort":"tags-then-time","key":"tags","ttl":null}"#
    );
}
