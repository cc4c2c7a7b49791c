//! What databases, tables and columns there are, in the form that SQL clients ask for.
//!
//! Our own instead of the engine's, which also lists settings, and which would need every table's snapshot to list its
//! columns. The request's database appears a second time as `iox`, because Grafana asks for that name.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use gigapi_model::{DatabaseName, TableDef};

use super::super::catalog::CATALOG;
use super::{Columns, Sources, Wanted};
use crate::Result;

/// Its name as a database.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// The name under which Grafana asks for the current database.
pub(crate) const IOX: &str = "iox";

pub(super) const TABLES: [&str; 7] =
    ["schemata", "tables", "columns", "views", "table_constraints", "key_column_usage", "referential_constraints"];

/// The columns that hold a database and those that hold a table.
pub(super) const KEYS: (&[&str], &[&str]) = (&["table_schema", "schema_name"], &["table_name"]);

const SCHEMATA: &[&str] = &["catalog_name", "schema_name", "schema_owner"];
const TABLE: &[&str] = &["table_catalog", "table_schema", "table_name", "table_type"];
const VIEW: &[&str] = &["table_catalog", "table_schema", "table_name", "view_definition"];
const CONSTRAINT: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "table_catalog",
    "table_schema",
    "table_name",
    "constraint_type",
];
const KEY: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
];
const REFERENCE: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "unique_constraint_catalog",
    "unique_constraint_schema",
    "unique_constraint_name",
];
const COLUMN: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
    "column_default",
    "is_nullable",
    "data_type",
];

fn columns_of(name: &str) -> &'static [&'static str] {
    match name {
        "schemata" => SCHEMATA,
        "tables" => TABLE,
        "columns" => COLUMN,
        "views" => VIEW,
        "table_constraints" => CONSTRAINT,
        "key_column_usage" => KEY,
        _ => REFERENCE,
    }
}

pub(super) fn schema(name: &str) -> SchemaRef {
    let field = |column: &&str| {
        let data_type = if *column == "ordinal_position" { DataType::UInt64 } else { DataType::Utf8 };
        Field::new(*column, data_type, true)
    };
    Arc::new(Schema::new(columns_of(name).iter().map(field).collect::<Vec<_>>()))
}

pub(super) async fn rows(name: &str, sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    match name {
        "schemata" => schemata(sources, wanted).await,
        "tables" => tables(sources, wanted).await,
        "columns" => columns(sources, wanted).await,
        // There are no views and no declared keys; clients ask for them nevertheless.
        other => Ok(columns_of(other).iter().map(|column| (*column, nothing(column))).collect()),
    }
}

fn nothing(column: &str) -> ArrayRef {
    match column {
        "ordinal_position" => Arc::new(UInt64Array::from(Vec::<u64>::new())),
        _ => Arc::new(StringArray::from(Vec::<Option<&str>>::new())),
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values.into_iter().collect::<Vec<_>>()))
}

fn absent(rows: usize) -> ArrayRef {
    Arc::new(StringArray::from(vec![None::<&str>; rows]))
}

/// Databases under the names of their schemas; the request's own under two.
async fn schemas(sources: &Sources, wanted: &Wanted) -> Result<Vec<(String, Option<DatabaseName>)>> {
    let all = sources.reader().databases().await?;
    let current = all.iter().find(|name| name.as_str() == sources.current).cloned();
    let has_iox = all.iter().any(|name| name.as_str() == IOX);
    let mut listed: Vec<_> = all.into_iter().map(|name| (name.as_str().to_owned(), Some(name))).collect();
    if !has_iox {
        listed.push((IOX.to_owned(), current));
    }
    listed.retain(|(schema, _)| wanted.has_database(schema));
    Ok(listed)
}

async fn schemata(sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    let mut names: Vec<String> = schemas(sources, wanted).await?.into_iter().map(|(schema, _)| schema).collect();
    names.extend(super::OWN_SCHEMAS.map(|(own, _)| own.to_owned()));
    Ok(vec![
        ("catalog_name", texts(names.iter().map(|_| CATALOG))),
        ("schema_name", texts(names.iter().map(String::as_str))),
        ("schema_owner", absent(names.len())),
    ])
}

/// Of tables, only the names are asked for.
async fn tables(sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    let mut rows: Vec<(String, String, &str)> = Vec::new();
    for (schema, database) in schemas(sources, wanted).await? {
        let Some(database) = database else { continue };
        for table in sources.reader().table_names(&database).await? {
            rows.push((schema.clone(), table.as_str().to_owned(), "BASE TABLE"));
        }
    }
    for (schema, kind) in super::OWN_SCHEMAS {
        rows.extend(super::names(schema).into_iter().map(|name| (schema.to_owned(), name.to_owned(), kind)));
    }
    Ok(vec![
        ("table_catalog", texts(rows.iter().map(|_| CATALOG))),
        ("table_schema", texts(rows.iter().map(|row| row.0.as_str()))),
        ("table_name", texts(rows.iter().map(|row| row.1.as_str()))),
        ("table_type", texts(rows.iter().map(|row| row.2))),
    ])
}

async fn columns(sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    let mut listed: Vec<(String, Vec<Arc<TableDef>>)> = Vec::new();
    for (schema, database) in schemas(sources, wanted).await? {
        if let Some(database) = database {
            listed.push((schema, sources.tables(&database, wanted).await?));
        }
    }
    let mut schemas = Vec::new();
    let mut tables = Vec::new();
    let mut names = Vec::new();
    let mut positions = Vec::new();
    let mut nullable = Vec::new();
    let mut types = Vec::new();
    for (schema, table) in listed.iter().flat_map(|(schema, tables)| tables.iter().map(move |table| (schema, table))) {
        for (position, field) in gigapi_rows::table_schema(table).fields().iter().enumerate() {
            schemas.push(schema.as_str());
            tables.push(table.name.as_str());
            names.push(field.name().clone());
            positions.push(position as u64);
            nullable.push(if field.is_nullable() { "YES" } else { "NO" });
            types.push(shown_type(field.data_type()));
        }
    }
    Ok(vec![
        ("table_catalog", texts(schemas.iter().map(|_| CATALOG))),
        ("table_schema", texts(schemas.iter().copied())),
        ("table_name", texts(tables.iter().copied())),
        ("column_name", texts(names.iter().map(String::as_str))),
        ("ordinal_position", Arc::new(UInt64Array::from(positions))),
        ("column_default", absent(names.len())),
        ("is_nullable", texts(nullable.iter().copied())),
        ("data_type", texts(types.iter().map(String::as_str))),
    ])
}

/// Strings are shown as they are sent, not as they are held.
fn shown_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8View => DataType::Utf8.to_string(),
        DataType::Timestamp(..) => "Timestamp(Nanosecond, None)".to_owned(),
        other => other.to_string(),
    }
}
