//! The tables that tell about the others: `information_schema` and `system`.
//!
//! Their rows are made when the engine scans them, of as much of the catalog as the query's conditions and columns leave:
//! one on a database or a table is asked of the catalog, not filtered afterwards, and figures of files are looked up only
//! where a column shows them. Nothing here shows a setting or a secret.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use gigapi_catalog::{Catalog, Reader};
use gigapi_model::{DatabaseName, TableDef, TableName};
use tokio::sync::Mutex;

use crate::scan::ScanContext;
use crate::{Error, Result};

mod information_schema;
mod system;
mod wanted;

pub(super) use information_schema::INFORMATION_SCHEMA;
pub(crate) use information_schema::IOX;
pub(crate) use system::RunningQuery;
pub(super) use system::SYSTEM;
use wanted::Wanted;

/// What the tables of one query are made of.
pub(super) struct Sources {
    context: Arc<ScanContext>,
    /// Knows who works on which files.
    catalog: Arc<dyn Catalog>,
    running: Vec<RunningQuery>,
    /// The request's database.
    current: String,
    /// Definitions by database, so that a query that joins these tables asks once.
    definitions: Mutex<HashMap<DatabaseName, Arc<Vec<Arc<TableDef>>>>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("current", &self.current).finish_non_exhaustive()
    }
}

impl Sources {
    pub(super) fn new(
        context: Arc<ScanContext>,
        catalog: Arc<dyn Catalog>,
        running: Vec<RunningQuery>,
        current: &str,
    ) -> Self {
        Self { context, catalog, running, current: current.to_owned(), definitions: Mutex::default() }
    }

    fn reader(&self) -> &dyn Reader {
        self.context.catalog.as_ref()
    }

    async fn databases(&self, wanted: &Wanted) -> Result<Vec<DatabaseName>> {
        let mut databases = self.reader().databases().await?;
        databases.retain(|database| wanted.has_database(database.as_str()));
        Ok(databases)
    }

    /// The tables of a database that are wanted. Few that are named are asked for one by one.
    async fn tables(&self, database: &DatabaseName, wanted: &Wanted) -> Result<Vec<Arc<TableDef>>> {
        if let Some(known) = self.definitions.lock().await.get(database) {
            let wanted = known.iter().filter(|table| wanted.has_table(table.name.as_str()));
            return Ok(wanted.cloned().collect());
        }
        if let Some(names) = wanted.few_tables() {
            let mut found = Vec::new();
            for name in names {
                // What cannot be a name is none.
                let Ok(name) = TableName::new(name) else { continue };
                found.extend(self.reader().table(database, &name).await?);
            }
            return Ok(found);
        }
        let all = Arc::new(self.reader().tables(database).await?);
        self.definitions.lock().await.insert(database.clone(), Arc::clone(&all));
        Ok(all.iter().cloned().collect())
    }
}

/// Which columns of a table are shown, by name.
struct Shown<'a>(Vec<&'a str>);

impl Shown<'_> {
    fn any_of(&self, columns: &[&str]) -> bool {
        self.0.iter().any(|column| columns.contains(column))
    }
}

/// The columns of rows that were made, by name.
type Columns = Vec<(&'static str, ArrayRef)>;

/// One of the tables.
pub(super) struct OwnTable {
    schema_name: &'static str,
    name: &'static str,
    schema: SchemaRef,
    sources: Arc<Sources>,
}

impl fmt::Debug for OwnTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnTable").field("schema", &self.schema_name).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The names of the tables of that schema.
pub(super) fn names(schema: &str) -> Vec<&'static str> {
    let names: &[&'static str] = if schema == SYSTEM { &system::TABLES } else { &information_schema::TABLES };
    names.to_vec()
}

/// The schemas that these tables are in, each with the type under which its tables are listed: the latter is the one by
/// which Grafana leaves tables out of its lists.
pub(crate) const OWN_SCHEMAS: [(&str, &str); 2] = [(INFORMATION_SCHEMA, "VIEW"), (SYSTEM, "SYSTEM VIEW")];

/// The tables of that schema with their columns.
pub(crate) fn tables(schema: &'static str) -> impl Iterator<Item = (&'static str, SchemaRef)> {
    names(schema).into_iter().map(move |name| (name, columns(schema, name)))
}

fn columns(schema: &str, name: &str) -> SchemaRef {
    match schema {
        SYSTEM => system::schema(name),
        _ => information_schema::schema(name),
    }
}

/// The schema of that name among ours.
pub(super) fn schema_of(parts: &[String]) -> Option<&'static str> {
    let [.., schema, _] = parts else { return None };
    OWN_SCHEMAS.into_iter().map(|(own, _)| own).find(|own| schema.eq_ignore_ascii_case(own))
}

impl OwnTable {
    /// The table of that name, however it is spelled.
    pub(super) fn named(schema_name: &'static str, name: &str, sources: &Arc<Sources>) -> Option<Self> {
        let name = names(schema_name).into_iter().find(|own| own.eq_ignore_ascii_case(name))?;
        Some(Self { schema_name, name, schema: columns(schema_name, name), sources: Arc::clone(sources) })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    async fn rows(&self, wanted: &Wanted, shown: &Shown<'_>) -> Result<RecordBatch> {
        let columns = match self.schema_name {
            SYSTEM => system::rows(self.name, &self.sources, wanted, shown).await?,
            _ => information_schema::rows(self.name, &self.sources, wanted).await?,
        };
        let find = |name: &str| columns.iter().find(|(known, _)| *known == name).map(|(_, array)| Arc::clone(array));
        let arrays = self.schema.fields().iter().map(|field| {
            find(field.name())
                .ok_or_else(|| Error::internal(format!("{}.{} lacks {}", self.schema_name, self.name, field.name())))
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        batch.map_err(|error| Error::internal(format!("{}.{}: {error}", self.schema_name, self.name)))
    }
}

#[async_trait]
impl TableProvider for OwnTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let (database, table) = match self.schema_name {
            SYSTEM => system::KEYS,
            _ => information_schema::KEYS,
        };
        let wanted = Wanted::of(filters, database, table);
        let names = self.schema.fields().iter().map(|field| field.name().as_str());
        let shown = match projection {
            Some(columns) => columns.iter().map(|&column| self.schema.field(column).name().as_str()).collect(),
            None => names.collect(),
        };
        let batch = self.rows(&wanted, &Shown(shown)).await?;
        MemTable::try_new(batch.schema(), vec![vec![batch]])?.scan(state, projection, &[], limit).await
    }
}

#[cfg(test)]
mod tests;
