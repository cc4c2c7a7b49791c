//! Databases and tables in FlightSQL's shape.
//!
//! A call that names a database sees the tables of that one, under its name, unless it filters by schema; one that names
//! none sees all. So a client that looks for a table by its name finds one table, not one of each database.
//! `iox` is the current database for clients that know no other name, and is listed only where it is asked for.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder};
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables};
use gigapi_catalog::Reader;
use gigapi_model::{DatabaseName, TableDef};

use super::caller::Caller;
use super::refusal::{Refusal, Result};
use super::wire;
use crate::querier::{COLUMN_TYPE, role};
use crate::session::{CATALOG, IOX, OWN_SCHEMAS, own_tables};
use crate::{Error, Querier};

/// What the type of a table is called.
const STORED: &str = "BASE TABLE";
/// What many tools call it; as a filter it means the same.
const STORED_ALSO: &str = "TABLE";

/// Which keys are asked for. There are none of either: a table's key may hold nulls, and no table refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Primary,
    Foreign,
}

/// The only catalog.
pub(super) fn catalogs() -> Result<RecordBatch> {
    let mut builder = GetCatalogsBuilder::new();
    builder.append(CATALOG);
    builder.build().map_err(unbuilt)
}

/// The databases.
pub(super) async fn schemas(querier: &Querier, caller: &Caller, command: CommandGetDbSchemas) -> Result<RecordBatch> {
    let reader = querier.reader();
    let names = schema_names(reader.as_ref(), caller, command.db_schema_filter_pattern.as_deref()).await?;
    let mut builder: GetDbSchemasBuilder = command.into_builder();
    names.iter().for_each(|name| builder.append(CATALOG, name));
    builder.build().map_err(unbuilt)
}

/// The kinds of tables.
pub(super) fn table_types() -> Result<RecordBatch> {
    let mut builder = CommandGetTableTypes {}.into_builder();
    builder.append(STORED);
    OWN_SCHEMAS.iter().for_each(|(_, kind)| builder.append(kind));
    builder.build().map_err(unbuilt)
}

/// The columns of a list of tables.
pub(super) fn tables_schema(command: CommandGetTables) -> SchemaRef {
    command.into_builder().schema()
}

/// The tables, with their columns if they are wanted.
pub(super) async fn tables(querier: &Querier, caller: &Caller, mut command: CommandGetTables) -> Result<RecordBatch> {
    let reader = querier.reader();
    let names = schema_names(reader.as_ref(), caller, command.db_schema_filter_pattern.as_deref()).await?;
    let current = caller.database(querier, None).await?;
    for wanted in &mut command.table_types {
        if wanted == STORED_ALSO {
            *wanted = STORED.to_owned();
        }
    }
    let mut builder = command.into_builder();
    for name in names {
        if let Some((own, kind)) = OWN_SCHEMAS.into_iter().find(|(own, _)| *own == name) {
            for (table, schema) in own_tables(own) {
                builder.append(CATALOG, &name, table, kind, &wire::wire_schema(&schema)).map_err(unbuilt)?;
            }
            continue;
        }
        let database = if name == IOX { &current } else { &name };
        // A name that cannot be one of a database has no tables.
        let Ok(database) = DatabaseName::new(database) else { continue };
        for table in reader.tables(&database).await.map_err(Error::from)? {
            builder.append(CATALOG, &name, table.name.as_str(), STORED, &columns(&table)).map_err(unbuilt)?;
        }
    }
    builder.build().map_err(unbuilt)
}

/// No keys, in the columns that such a list has.
pub(super) fn keys(keys: Keys) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str, data_type| Field::new(name, data_type, false);
    let fields = match keys {
        Keys::Primary => vec![
            text("catalog_name", true),
            text("db_schema_name", true),
            text("table_name", false),
            text("column_name", false),
            text("key_name", true),
            number("key_sequence", DataType::Int32),
        ],
        Keys::Foreign => vec![
            text("pk_catalog_name", true),
            text("pk_db_schema_name", true),
            text("pk_table_name", false),
            text("pk_column_name", false),
            text("fk_catalog_name", true),
            text("fk_db_schema_name", true),
            text("fk_table_name", false),
            text("fk_column_name", false),
            number("key_sequence", DataType::Int32),
            text("fk_key_name", true),
            text("pk_key_name", true),
            number("update_rule", DataType::UInt8),
            number("delete_rule", DataType::UInt8),
        ],
    };
    Arc::new(Schema::new(fields))
}

/// The schemas that a call may mean; the builders apply its filter.
async fn schema_names(reader: &dyn Reader, caller: &Caller, filter: Option<&str>) -> Result<Vec<String>> {
    let databases = reader.databases().await.map_err(Error::from)?;
    let all = databases.iter().map(|database| database.as_str().to_owned());
    let filter = filter.filter(|pattern| !pattern.is_empty() && *pattern != "%");
    let mut names: Vec<String> = match (&caller.database, filter) {
        (Some(current), None) => all.filter(|name| name.eq_ignore_ascii_case(current)).collect(),
        _ => all.collect(),
    };
    names.extend(OWN_SCHEMAS.map(|(own, _)| own.to_owned()));
    if filter == Some(IOX) && !names.iter().any(|name| name == IOX) {
        names.push(IOX.to_owned());
    }
    Ok(names)
}

/// A table's columns as its rows are sent.
fn columns(table: &TableDef) -> SchemaRef {
    let schema = gigapi_rows::table_schema(table);
    let fields = schema.fields().iter().map(|field| {
        let column = table.columns.iter().find(|column| column.name.as_str() == field.name());
        let role = column.map(|column| (COLUMN_TYPE.to_owned(), role(column).to_owned()));
        field.as_ref().clone().with_metadata(role.into_iter().collect())
    });
    wire::wire_schema(&Schema::new(fields.collect::<Vec<_>>()))
}

fn unbuilt(error: FlightError) -> Refusal {
    Refusal::from(Error::internal(format!("listing for Flight: {error}")))
}
