//! The tables of one query, as the engine looks them up.
//!
//! It holds what was resolved before planning and nothing else, so looking up is immediate and a name that was
//! not resolved does not exist.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;

/// The name of the only catalog; databases are its schemas.
pub(crate) const CATALOG: &str = "public";

/// Tables by database and name.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryCatalog {
    databases: HashMap<String, Arc<Database>>,
}

impl QueryCatalog {
    pub(crate) fn new(tables: Vec<(String, String, Arc<dyn TableProvider>)>) -> Self {
        let mut databases: HashMap<String, Database> = HashMap::new();
        for (database, name, table) in tables {
            databases.entry(database).or_default().tables.insert(name, table);
        }
        Self { databases: databases.into_iter().map(|(name, database)| (name, Arc::new(database))).collect() }
    }
}

impl CatalogProviderList for QueryCatalog {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for QueryCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.databases.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let database = self.databases.get(name)?;
        Some(Arc::clone(database) as Arc<dyn SchemaProvider>)
    }
}

#[derive(Debug, Default)]
struct Database {
    tables: HashMap<String, Arc<dyn TableProvider>>,
}

#[async_trait]
impl SchemaProvider for Database {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }
}
