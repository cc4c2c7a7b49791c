//! What databases, tables and columns there are, as tables.
//!
//! Our own instead of the engine's, which also lists settings, and which would need every table's snapshot to
//! list its columns. The request's database appears a second time as `iox`, because Grafana asks for that name.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use gigapi_catalog::Reader;
use gigapi_model::TableDef;

use super::catalog::CATALOG;
use crate::Result;

/// Its name as a database.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// The name under which Grafana asks for the current database.
pub(crate) const IOX: &str = "iox";

/// Its tables, in the order in which [`tables`] makes them.
pub(super) const TABLES: [&str; 3] = ["schemata", "tables", "columns"];

struct Listed {
    schema: String,
    tables: Vec<Arc<TableDef>>,
}

/// Makes the tables, with `database` shown as `iox` too.
pub(super) async fn tables(
    catalog: &dyn Reader,
    database: &str,
) -> Result<Vec<(&'static str, Arc<dyn TableProvider>)>> {
    let mut listed = Vec::new();
    for name in catalog.databases().await? {
        let tables = catalog.tables(&name).await?;
        listed.push(Listed { schema: name.as_str().to_owned(), tables });
    }
    let current = listed.iter().find(|listed| listed.schema == database).map(|listed| listed.tables.clone());
    if !listed.iter().any(|listed| listed.schema == IOX) {
        listed.push(Listed { schema: IOX.to_owned(), tables: current.unwrap_or_default() });
    }
    let batches = [schemata(&listed)?, table_rows(&listed)?, column_rows(&listed)?];
    let made = TABLES.into_iter().zip(batches).map(|(name, batch)| {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        Ok((name, Arc::new(table) as Arc<dyn TableProvider>))
    });
    made.collect()
}

/// The columns of each of the tables.
pub(crate) fn columns() -> Result<Vec<(&'static str, SchemaRef)>> {
    let empty = [schemata(&[])?, table_rows(&[])?, column_rows(&[])?];
    Ok(TABLES.into_iter().zip(empty.map(|batch| batch.schema())).collect())
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(schema, columns).map_err(datafusion::error::DataFusionError::from)?)
}

fn schemata(listed: &[Listed]) -> Result<RecordBatch> {
    batch(vec![
        ("catalog_name", texts(listed.iter().map(|_| CATALOG))),
        ("schema_name", texts(listed.iter().map(|listed| listed.schema.as_str()))),
    ])
}

fn table_rows(listed: &[Listed]) -> Result<RecordBatch> {
    let views = TABLES.into_iter().map(|name| (INFORMATION_SCHEMA, name, "VIEW"));
    let stored = listed.iter().flat_map(|listed| {
        listed.tables.iter().map(|table| (listed.schema.as_str(), table.name.as_str(), "BASE TABLE"))
    });
    let rows: Vec<_> = stored.chain(views).collect();
    batch(vec![
        ("table_catalog", texts(rows.iter().map(|_| CATALOG))),
        ("table_schema", texts(rows.iter().map(|row| row.0))),
        ("table_name", texts(rows.iter().map(|row| row.1))),
        ("table_type", texts(rows.iter().map(|row| row.2))),
    ])
}

fn column_rows(listed: &[Listed]) -> Result<RecordBatch> {
    let mut schemas = Vec::new();
    let mut tables = Vec::new();
    let mut names = Vec::new();
    let mut positions = Vec::new();
    let mut nullable = Vec::new();
    let mut types = Vec::new();
    for listed in listed {
        for table in &listed.tables {
            for (position, field) in gigapi_rows::table_schema(table).fields().iter().enumerate() {
                schemas.push(listed.schema.as_str());
                tables.push(table.name.as_str());
                names.push(field.name().clone());
                positions.push(position as u64);
                nullable.push(if field.is_nullable() { "YES" } else { "NO" });
                types.push(shown_type(field.data_type()));
            }
        }
    }
    batch(vec![
        ("table_catalog", texts(schemas.iter().map(|_| CATALOG))),
        ("table_schema", texts(schemas.iter().copied())),
        ("table_name", texts(tables.iter().copied())),
        ("column_name", texts(names.iter().map(String::as_str))),
        ("ordinal_position", Arc::new(UInt64Array::from(positions))),
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
