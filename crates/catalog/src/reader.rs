//! What a query reads of the catalog.
//!
//! Apart from [`Catalog`] because a query asks for less and bears more: it may say how old an answer can be, and
//! where the catalog's store cannot be reached it takes what was known last, marked as such. Nothing that is read
//! here may decide what is written or deleted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gigapi_model::{DatabaseName, FileId, TableDef, TableId, TableName, TimeRange, WriterId};

use crate::{Catalog, Result, Snapshot};

/// How current the answers to a query have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freshness {
    /// What was learned this long before the query began is current enough; with zero every commit that was
    /// acknowledged before the query began is seen.
    pub age_max: Duration,
}

/// The catalog as one query reads it; made by [`Catalog::reader`].
#[async_trait]
pub trait Reader: Send + Sync + fmt::Debug {
    /// All databases, by name.
    async fn databases(&self) -> Result<Vec<DatabaseName>>;

    /// The databases that this process has heard of, without asking where it has heard of any. One may have come or gone
    /// since: [`Self::databases`] tells.
    async fn known_databases(&self) -> Result<Vec<DatabaseName>> {
        self.databases().await
    }

    /// All live tables of a database, by name.
    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>>;

    /// The names of a database's tables, in order, for less than [`Self::tables`]. One may be that of a table which is
    /// being made or dropped: [`Self::table`] tells.
    async fn table_names(&self, database: &DatabaseName) -> Result<Vec<TableName>> {
        let tables = self.tables(database).await?;
        Ok(tables.iter().map(|table| table.name.clone()).collect())
    }

    /// The live table of that name.
    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>>;

    /// The table with all its live files, at a moment at which no writer's watermark was below its floor among
    /// `floors`, if there is such a moment.
    async fn snapshot(&self, table: TableId, floors: &[(WriterId, u64)]) -> Result<Arc<Snapshot>>;

    /// Statistics of these files as they were committed; files without any are absent.
    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>>;

    /// How old the oldest answer given so far may be, if the store could not be reached for it.
    fn stale(&self) -> Option<Duration>;
}

/// Reads straight from a catalog whose answers are always current.
#[derive(Debug)]
pub struct DirectReader(pub Arc<dyn Catalog>);

#[async_trait]
impl Reader for DirectReader {
    async fn databases(&self) -> Result<Vec<DatabaseName>> {
        self.0.databases().await
    }

    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>> {
        self.0.tables(database).await
    }

    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>> {
        self.0.table(database, table).await
    }

    async fn snapshot(&self, table: TableId, _: &[(WriterId, u64)]) -> Result<Arc<Snapshot>> {
        self.0.snapshot(table, TimeRange::ALL).await.map(Arc::new)
    }

    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>> {
        self.0.statistics(table, files).await
    }

    fn stale(&self) -> Option<Duration> {
        None
    }
}
