//! Answers that come straight from the catalog: which databases, tables and columns there are.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::comparison::{ilike, like};
use arrow::datatypes::{DataType, Field, Schema};
use gigapi_model::{TableDef, TableName};

use super::{Answer, Querier, QueryRequest, answer};
use crate::dialect::{self, Like, duckdb_type};
use crate::session;
use crate::{Error, Result};

impl Querier {
    pub(super) async fn show_databases(&self, like: &Like) -> Result<Answer> {
        let reader = self.shared.reader(self.shared.freshness());
        let databases = reader.databases().await?;
        let names = StringArray::from_iter_values(databases.iter().map(|database| database.as_str()));
        Ok(one_column("database_name", names, like)?.aged(reader.stale()))
    }

    pub(super) async fn show_tables(
        &self,
        database: Option<String>,
        like: &Like,
        request: &QueryRequest,
    ) -> Result<Answer> {
        let reader = self.shared.reader(self.shared.freshness());
        let tables = session::tables_of(reader.as_ref(), database.as_deref(), &request.database).await?;
        let names = StringArray::from_iter_values(tables.iter().map(TableName::as_str));
        Ok(one_column("table_name", names, like)?.aged(reader.stale()))
    }

    /// Every table with its columns, as DuckDB shows them.
    pub(super) async fn show_all_tables(&self) -> Result<Answer> {
        let reader = self.shared.reader(self.shared.freshness());
        let mut tables: Vec<Arc<TableDef>> = Vec::new();
        for database in reader.databases().await? {
            tables.extend(reader.tables(&database).await?);
        }
        let texts = |text: fn(&TableDef) -> &str| {
            Arc::new(StringArray::from_iter_values(tables.iter().map(|table| text(table)))) as ArrayRef
        };
        let (mut names, mut types) = (ListBuilder::new(StringBuilder::new()), ListBuilder::new(StringBuilder::new()));
        for table in &tables {
            for field in gigapi_rows::table_schema(table).fields() {
                names.values().append_value(field.name());
                types.values().append_value(duckdb_type(field.data_type()));
            }
            names.append(true);
            types.append(true);
        }
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("database", Arc::new(StringArray::from_iter_values(tables.iter().map(|_| session::CATALOG)))),
            ("schema", texts(|table| table.database.as_str())),
            ("name", texts(|table| table.name.as_str())),
            ("column_names", Arc::new(names.finish())),
            ("column_types", Arc::new(types.finish())),
            ("temporary", Arc::new(BooleanArray::from(vec![false; tables.len()]))),
        ];
        let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(shown)?;
        Ok(Answer::of(schema, vec![batch]).aged(reader.stale()))
    }

    pub(super) async fn describe_table(
        &self,
        name: &dialect::Name,
        like: &Like,
        request: &QueryRequest,
    ) -> Result<Answer> {
        let parts = dialect::name_parts(name)?;
        let reader = self.shared.reader(self.shared.freshness());
        let table: Arc<TableDef> = session::similar_table(reader.as_ref(), &parts, &request.database).await?;
        let described = answer::described(&gigapi_rows::table_schema(&table))?;
        let described = described.filtered(|batch| matching(batch, like))?;
        Ok(described.aged(reader.stale()))
    }
}

fn shown(error: arrow::error::ArrowError) -> Error {
    Error::internal(format!("showing names: {error}"))
}

fn one_column(name: &str, values: StringArray, like: &Like) -> Result<Answer> {
    let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).map_err(shown)?;
    Ok(Answer::of(schema, vec![matching(batch, like)?]))
}

/// The rows whose first column is like the pattern.
fn matching(batch: RecordBatch, wanted: &Like) -> Result<RecordBatch> {
    let Some(pattern) = &wanted.pattern else { return Ok(batch) };
    let names = batch.column(0);
    let pattern = StringArray::new_scalar(pattern);
    let kept = match wanted.any_case {
        true => ilike(names, &pattern),
        false => like(names, &pattern),
    };
    filter_record_batch(&batch, &kept.map_err(shown)?).map_err(shown)
}
