//! Definitions as the write path needs them: at hand, at most a second old, and safe ([`crate::definitions`]).
//!
//! A stale definition does no harm: it can only lack columns, and asking the catalog for a column that it
//! has already is how the writer finds out. The age limit bounds how long rows are taken for a table that
//! was dropped elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::{Catalog, Definition};
use gigapi_model::{DatabaseName, NewColumn, TableDef, TableId, TableKey, TableName, TableSettings};
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::definitions::Definitions;

const AGE_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
struct Known {
    table: Arc<TableDef>,
    at: Instant,
}

/// The definitions that this writer uses.
#[derive(Debug)]
pub(crate) struct Tables {
    catalog: Arc<dyn Catalog>,
    definitions: Definitions,
    known: RwLock<HashMap<DatabaseName, HashMap<TableName, Known>>>,
    /// Every definition under which rows were logged, by the table's own id.
    held: RwLock<HashMap<TableId, Arc<TableDef>>>,
    /// The catalog's epoch in which all of them were known to it.
    epoch: tokio::sync::Mutex<u64>,
}

impl Tables {
    /// Starts with what the log holds, all of which the catalog knows in that epoch.
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        definitions: Definitions,
        epoch: u64,
        logged: HashMap<TableId, TableDef>,
    ) -> Self {
        let held = logged.into_iter().map(|(id, table)| (id, Arc::new(table))).collect();
        let epoch = tokio::sync::Mutex::new(epoch);
        Self { catalog, definitions, known: RwLock::default(), held: RwLock::new(held), epoch }
    }

    /// Where the definitions come from.
    pub(crate) fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.catalog
    }

    /// A rebuild brings back what lies on the layers. Definitions whose rows are in the log alone are made known to
    /// the catalog again, under their own ids, before anything else is defined.
    pub(crate) async fn follow(&self, epoch: u64) -> gigapi_catalog::Result<()> {
        let mut known = self.epoch.lock().await;
        if *known == epoch {
            return Ok(());
        }
        let held: Vec<Arc<TableDef>> = self.held.read().values().cloned().collect();
        for table in self.definitions.restore(held.iter().map(Arc::as_ref)).await? {
            self.keep(table);
        }
        *known = epoch;
        Ok(())
    }

    /// The definition, if it is at hand and fresh.
    pub(crate) fn at_hand(&self, database: &DatabaseName, table: &str) -> Option<Arc<TableDef>> {
        let known = self.known.read();
        let entry = known.get(database)?.get(table)?;
        (entry.at.elapsed() < AGE_MAX).then(|| Arc::clone(&entry.table))
    }

    /// The definition, from the catalog where it is not at hand; `None` if there is no such table.
    pub(crate) async fn get(
        &self,
        database: &DatabaseName,
        table: &TableName,
    ) -> gigapi_catalog::Result<Option<Arc<TableDef>>> {
        if let Some(table) = self.at_hand(database, table.as_str()) {
            return Ok(Some(table));
        }
        match self.find(database, table).await {
            Ok(Some(found)) => {
                self.keep(Arc::clone(&found));
                Ok(Some(found))
            }
            Ok(None) => {
                self.forget_name(database, table);
                // Before the name is taken for new, what the log holds of it has to be known again.
                self.follow(self.catalog.epochs().await?.epoch).await?;
                Ok(self.at_hand(database, table.as_str()))
            }
            // Rows of a known table go on being taken while the catalog is away.
            Err(error) => match self.stale(database, table) {
                Some(table) if error.kind().is_transient() => Ok(Some(table)),
                _ => Err(error),
            },
        }
    }

    /// The catalog's definition, once it is safe to use.
    async fn find(&self, database: &DatabaseName, table: &TableName) -> gigapi_catalog::Result<Option<Arc<TableDef>>> {
        let Some(found) = self.catalog.table(database, table).await? else { return Ok(None) };
        let epoch = *self.epoch.lock().await;
        if self.definitions.has(epoch, &found) {
            return Ok(Some(found));
        }
        // Another process made it. Asked for again, so that it is of the epoch under which it is laid down.
        let before = self.catalog.epochs().await?;
        let Some(found) = self.catalog.table(database, table).await? else { return Ok(None) };
        self.definitions.lay(&before, &found).await?;
        Ok(Some(found))
    }

    /// Makes the table have these columns.
    pub(crate) async fn define(
        &self,
        database: &DatabaseName,
        table: &TableName,
        columns: Vec<NewColumn>,
        key: TableKey,
    ) -> gigapi_catalog::Result<Arc<TableDef>> {
        let before = self.catalog.epochs().await?;
        self.follow(before.epoch).await?;
        let definition = Definition { database: database.clone(), table: table.clone(), columns, key };
        match self.catalog.define(definition).await {
            Ok(table) => {
                self.definitions.lay(&before, &table).await?;
                self.keep(Arc::clone(&table));
                Ok(table)
            }
            Err(error) => {
                // What the table really looks like decides what happens next.
                self.forget_name(database, table);
                Err(error)
            }
        }
    }

    /// Changes what is set for the table; `None` if there is no such table.
    ///
    /// The new revision is laid down before it is answered, so that a rebuild of the catalog keeps what was set.
    pub(crate) async fn configure(
        &self,
        database: &DatabaseName,
        table: &TableName,
        change: &TableSettings,
    ) -> gigapi_catalog::Result<Option<Arc<TableDef>>> {
        let before = self.catalog.epochs().await?;
        self.follow(before.epoch).await?;
        let Some(known) = self.catalog.table(database, table).await? else { return Ok(None) };
        let changed = self.catalog.configure(known.id, change).await?;
        self.definitions.lay(&before, &changed).await?;
        self.keep(Arc::clone(&changed));
        Ok(Some(changed))
    }

    /// The table is gone.
    pub(crate) fn forget(&self, id: TableId) {
        for tables in self.known.write().values_mut() {
            tables.retain(|_, known| known.table.id != id);
        }
        self.held.write().remove(&id);
    }

    fn stale(&self, database: &DatabaseName, table: &TableName) -> Option<Arc<TableDef>> {
        Some(Arc::clone(&self.known.read().get(database)?.get(table)?.table))
    }

    fn keep(&self, table: Arc<TableDef>) {
        self.held.write().insert(table.id, Arc::clone(&table));
        let mut known = self.known.write();
        let tables = known.entry(table.database.clone()).or_default();
        tables.insert(table.name.clone(), Known { table, at: Instant::now() });
    }

    fn forget_name(&self, database: &DatabaseName, table: &TableName) {
        if let Some(tables) = self.known.write().get_mut(database) {
            tables.remove(table);
        }
    }
}
