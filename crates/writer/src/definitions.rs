//! Definitions on the layer: a row is taken under none that a rebuild of the catalog could not find.
//!
//! What is laid down and by whom does not matter, so every writer makes sure of the definitions that it uses, once
//! for each revision. Apart from [`crate::tables`], which knows what is current: this knows only what is safe.

use std::collections::HashMap;
use std::sync::Arc;

use gigapi_catalog::{Catalog, Epochs, Error, Result, TableState};
use gigapi_model::{ErrorKind, TableDef, TableId};
use gigapi_recovery::{DefinitionName, definition_names, remove_definition, write_definition};
use gigapi_storage::Layer;
use parking_lot::Mutex;

/// See the module.
#[derive(Debug)]
pub(crate) struct Definitions {
    catalog: Arc<dyn Catalog>,
    layer: Arc<Layer>,
    /// The newest of each table that is known to lie there.
    laid: Mutex<HashMap<TableId, DefinitionName>>,
}

impl Definitions {
    /// Looks at what lies on the layer.
    pub(crate) async fn open(catalog: Arc<dyn Catalog>, layer: Arc<Layer>) -> gigapi_recovery::Result<Self> {
        let mut laid = HashMap::new();
        for name in definition_names(&layer).await? {
            let newest = laid.entry(name.table).or_insert(name);
            *newest = (*newest).max(name);
        }
        Ok(Self { catalog, layer, laid: Mutex::new(laid) })
    }

    /// Whether that revision or a later one lies there, as that epoch knows it.
    pub(crate) fn has(&self, epoch: u64, table: &TableDef) -> bool {
        self.laid.lock().get(&table.id).is_some_and(|laid| *laid >= DefinitionName::of(epoch, table))
    }

    /// Makes definitions whose rows are in the log known to the catalog again, under their own ids: a rebuild brings
    /// back what lies on the layers. What cannot be made known leaves its rows in the log, and is told. Answers what
    /// was.
    pub(crate) async fn restore(&self, logged: impl Iterator<Item = &TableDef>) -> Result<Vec<Arc<TableDef>>> {
        let before = self.catalog.epochs().await?;
        let mut restored = Vec::new();
        for table in logged {
            let (database, name) = (&table.database, &table.name);
            match self.catalog.table_state(table.id).await? {
                TableState::Dropped => continue,
                TableState::Live(found) if found.revision > table.revision => continue,
                TableState::Live(found) if found.revision == table.revision => {
                    if found.columns != table.columns {
                        tracing::error!(%database, table = %name, "the catalog has other columns under this revision than the log; rows of the log may be taken for others");
                    }
                    continue;
                }
                TableState::Live(_) | TableState::Unknown => {}
            }
            tracing::warn!(%database, table = %name, "the catalog lost this definition; the write-ahead log has it");
            match self.catalog.adopt(table).await {
                Ok(table) => {
                    self.lay(&before, &table).await?;
                    restored.push(table);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                    tracing::error!(%database, table = %name, %error, "it cannot be restored; its rows stay in the log");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(restored)
    }

    /// Lays down a definition that the catalog has had since `before`, if need be.
    ///
    /// Fails if the layer takes nothing, and if the catalog was rebuilt meanwhile, perhaps without it.
    pub(crate) async fn lay(&self, before: &Epochs, table: &TableDef) -> Result<()> {
        if self.has(before.epoch, table) {
            return Ok(());
        }
        let failed = |error: gigapi_recovery::Error| Error::Unavailable {
            reason: format!("the definition of {}.{} cannot be kept: {error}", table.database, table.name),
        };
        let name = write_definition(&self.layer, before, table).await.map_err(failed)?;
        let after = self.catalog.epochs().await?;
        if after.epoch != before.epoch {
            remove_definition(&self.layer, name).await.map_err(failed)?;
            return Err(Error::Recovering { reason: "it was rebuilt just now; write again".to_owned() });
        }
        let earlier = {
            let mut laid = self.laid.lock();
            let known = laid.get(&table.id).copied();
            laid.insert(table.id, known.map_or(name, |known| known.max(name)));
            known.filter(|known| *known < name)
        };
        if let Some(earlier) = earlier
            && let Err(error) = remove_definition(&self.layer, earlier).await
        {
            // It is superfluous and does no harm.
            tracing::warn!(%error, "an earlier definition could not be removed");
        }
        Ok(())
    }
}
