//! Tables and databases as an operator handles them: dropping, and changing what is set for them.
//!
//! A drop is three steps in this order: the tombstone, so that no rebuild brings the table back; the catalog, which is
//! the moment from which the table is gone; the word on the tombstone that it was done. What was begun is carried
//! through, by this process or by the next start. Rows of a dropped table that are in the log or the buffer go with
//! it. Nothing here deletes a data file.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use gigapi_catalog::Catalog;
use gigapi_model::{DatabaseName, Edit, ErrorKind, TableDef, TableName, TableSettings};
use gigapi_recovery::{
    DatabaseSettings, database_settings, read_database_settings, remove_database_settings, tombstone, tombstone_done,
    write_database_settings,
};
use gigapi_service::ApiError;
use gigapi_storage::Layers;
use tokio::sync::{Notify, oneshot};

use crate::crash::crash_point;
use crate::publish::Publisher;
use crate::tables::Tables;

/// Tables of a database that are dropped at the same time.
const DROPS_AT_ONCE: usize = 8;

/// How often a drop is tried while the catalog or the layer is away.
const DROP_INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) publisher: Publisher,
    pub(crate) flush_now: Arc<Notify>,
    pub(crate) databases_max: usize,
}

/// A database as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedDatabase {
    pub(crate) name: DatabaseName,
    pub(crate) ttl: Option<Duration>,
    pub(crate) tables: usize,
}

impl Admin {
    /// Drops the table that has the name now.
    pub(crate) async fn drop_table(
        self: &Arc<Self>,
        database: &DatabaseName,
        name: &TableName,
    ) -> Result<(), ApiError> {
        let found = self.catalog.table(database, name).await?;
        let table = found.ok_or_else(|| no_table(database, name))?;
        self.bury(&table).await?;
        self.publisher.dropped(&[table]).await;
        Ok(())
    }

    /// Drops all tables of a database and forgets what is set for it; answers the tables.
    pub(crate) async fn drop_database(
        self: &Arc<Self>,
        database: &DatabaseName,
    ) -> Result<Vec<Arc<TableDef>>, ApiError> {
        let tables = self.catalog.tables(database).await?;
        let settings = read_database_settings(&self.layers, database).await.map_err(of_recovery)?;
        if tables.is_empty() && settings.is_none() {
            return Err(no_database(database));
        }
        let drops: Vec<_> = tables.iter().map(|table| self.bury(table)).collect();
        let drops = futures::stream::iter(drops).buffer_unordered(DROPS_AT_ONCE);
        drops.try_for_each(|()| ready(Ok(()))).await?;
        self.publisher.dropped(&tables).await;
        // Last, so that a drop which was cut short is found by its repetition.
        remove_database_settings(&self.layers, database).await.map_err(of_recovery)?;
        tracing::info!(%database, tables = tables.len(), "a database was dropped");
        Ok(tables)
    }

    /// Drops the table. Once it was begun it is carried through, by this process or the next one, whether whoever asked
    /// waits for it or not: a table that goes on under a tombstone would be lost at some later start.
    async fn bury(self: &Arc<Self>, table: &Arc<TableDef>) -> Result<(), ApiError> {
        let (tell, told) = oneshot::channel();
        let (admin, table) = (Arc::clone(self), Arc::clone(table));
        tokio::spawn(async move { admin.carry_through(&table, tell).await });
        told.await.map_err(|_| ApiError::new(ErrorKind::Internal, "dropping a table ended by a panic"))?
    }

    /// Tells how the first attempt ended, and goes on until one succeeds.
    async fn carry_through(&self, table: &TableDef, tell: oneshot::Sender<Result<(), ApiError>>) {
        let mut tell = Some(tell);
        loop {
            let dropped = self.drop_now(table).await;
            let is_final = dropped.as_ref().map_or_else(|error| !error.kind().is_transient(), |()| true);
            if let Some(tell) = tell.take() {
                // Whoever asked may be gone.
                let _ = tell.send(dropped.map_err(|error| begun(table, &error)));
            }
            if is_final {
                return;
            }
            tokio::time::sleep(DROP_INTERVAL).await;
        }
    }

    async fn drop_now(&self, table: &TableDef) -> Result<(), gigapi_recovery::Error> {
        tombstone(&self.layers, table, self.catalog.now().await?).await?;
        crash_point("drop:after-tombstone");
        self.catalog.drop_table(table.id).await?;
        crash_point("drop:after-commit");
        self.tables.forget(table.id);
        // What the buffer holds of it goes now.
        self.flush_now.notify_one();
        tracing::info!(database = %table.database, table = %table.name, id = %table.id, "a table was dropped");
        let at = self.catalog.now().await?;
        if let Err(error) = tombstone_done(&self.layers, table, at).await {
            // It counts as begun, which a table that is gone makes no difference to.
            tracing::warn!(%error, "the tombstone could not be told that the drop is done");
        }
        Ok(())
    }

    /// Changes what is set for the table that has the name now.
    pub(crate) async fn configure_table(
        &self,
        database: &DatabaseName,
        name: &TableName,
        change: &TableSettings,
    ) -> Result<Arc<TableDef>, ApiError> {
        match self.tables.configure(database, name, change).await {
            Ok(Some(table)) => {
                let (revision, ttl) = (table.revision, table.ttl);
                tracing::info!(%database, table = %name, revision, ?ttl, settings = ?table.settings, "a table is set");
                Ok(table)
            }
            Ok(None) | Err(gigapi_catalog::Error::Dropped { .. }) => Err(no_table(database, name)),
            Err(error) => Err(error.into()),
        }
    }

    /// The tables of one database, or of all.
    pub(crate) async fn tables(&self, database: Option<&DatabaseName>) -> Result<Vec<Arc<TableDef>>, ApiError> {
        let Some(database) = database else { return Ok(self.catalog.live_tables().await?) };
        let tables = self.catalog.tables(database).await?;
        if tables.is_empty() && read_database_settings(&self.layers, database).await.map_err(of_recovery)?.is_none() {
            return Err(no_database(database));
        }
        Ok(tables)
    }

    /// All databases that have a table or something set for them, by name.
    pub(crate) async fn databases(&self) -> Result<Vec<ListedDatabase>, ApiError> {
        let set = database_settings(&self.layers).await.map_err(of_recovery)?;
        let mut found: BTreeMap<DatabaseName, ListedDatabase> = BTreeMap::new();
        for (name, settings) in set {
            found.insert(name.clone(), ListedDatabase { name, ttl: settings.ttl, tables: 0 });
        }
        for table in self.catalog.live_tables().await? {
            let name = &table.database;
            let listed = found.entry(name.clone());
            listed.or_insert_with(|| ListedDatabase { name: name.clone(), ttl: None, tables: 0 }).tables += 1;
        }
        Ok(found.into_values().collect())
    }

    /// Makes a database of which nothing is known yet.
    pub(crate) async fn create_database(&self, database: &DatabaseName, ttl: Option<Duration>) -> Result<(), ApiError> {
        let known = self.databases().await?;
        if known.iter().any(|listed| listed.name == *database) {
            let message = format!("the database {database} exists already; change it with PUT");
            return Err(ApiError::new(ErrorKind::Conflict, message));
        }
        if known.len() >= self.databases_max {
            return Err(ApiError::invalid(format!(
                "there would be more databases than GIGAPI_DATABASES_MAX, {}; drop some or raise the limit",
                self.databases_max
            )));
        }
        self.set_database(database, ttl).await
    }

    /// Changes what is set for a database that has a table or something set; answers what is set afterwards.
    pub(crate) async fn configure_database(
        &self,
        database: &DatabaseName,
        ttl: Edit<Duration>,
    ) -> Result<Option<Duration>, ApiError> {
        let set = read_database_settings(&self.layers, database).await.map_err(of_recovery)?;
        if set.is_none() && self.catalog.tables(database).await?.is_empty() {
            return Err(no_database(database));
        }
        let before = set.and_then(|set| set.ttl);
        let after = ttl.applied(before);
        if after != before {
            self.set_database(database, after).await?;
        }
        Ok(after)
    }

    async fn set_database(&self, database: &DatabaseName, ttl: Option<Duration>) -> Result<(), ApiError> {
        let settings = DatabaseSettings { ttl };
        write_database_settings(&self.layers, database, settings).await.map_err(of_recovery)?;
        tracing::info!(%database, ?ttl, "a database is set");
        Ok(())
    }
}

/// A drop that did not succeed at once.
fn begun(table: &TableDef, error: &gigapi_recovery::Error) -> ApiError {
    let (database, name) = (&table.database, &table.name);
    let message = match error.kind().is_transient() {
        true => format!(
            "the drop of {database}.{name} has begun and goes on by itself once catalog and layer can be used; send the request again to learn how it ended"
        ),
        false => format!("{database}.{name} cannot be dropped: {error}"),
    };
    ApiError::new(error.kind(), message).with_detail(error.to_string())
}

fn no_table(database: &DatabaseName, name: &TableName) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("there is no table {name} in the database {database}"))
}

fn no_database(database: &DatabaseName) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("there is no database {database}: it has no table and nothing is set"))
}

/// What a store said is for the log.
fn of_recovery(error: gigapi_recovery::Error) -> ApiError {
    match error {
        gigapi_recovery::Error::Catalog(error) => error.into(),
        error if error.kind().is_transient() => {
            ApiError::new(error.kind(), "the first layer cannot be used at the moment; send the request again later")
                .with_detail(error.to_string())
        }
        error => ApiError::new(error.kind(), error.to_string()),
    }
}
