//! From the names in a statement to the tables of one query.
//!
//! Each table is looked up and its view taken once, whatever spelling the statement uses how often (I2). All
//! waiting happens here; planning afterwards waits for nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use gigapi_catalog::{Catalog, Reader};
use gigapi_model::{DatabaseName, ErrorKind, TableDef, TableId, TableName};

use super::catalog::QueryCatalog;
use super::own::{self, INFORMATION_SCHEMA, IOX, OwnTable, RunningQuery, SYSTEM, Sources};
use crate::dialect::{Found, Names, Scope};
use crate::scan::{ScanContext, Table};
use crate::unflushed::Holders;
use crate::view::TableView;
use crate::{Error, Result};

/// What a request says beside the statement.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The database of names that do not say theirs.
    pub(crate) database: String,
    /// Whether `SELECT *` shows `date` and `hour`.
    pub(crate) show_virtual: bool,
}

/// Where rows come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads<'a> {
    pub(crate) context: &'a Arc<ScanContext>,
    pub(crate) holders: &'a Holders,
    /// What is asked besides by the tables that tell of the others.
    pub(crate) catalog: &'a Arc<dyn Catalog>,
    pub(crate) running: &'a [RunningQuery],
}

/// A statement's names, and the tables behind them.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) names: Names,
    pub(crate) catalog: QueryCatalog,
}

/// Looks up every table that the statement names.
pub(crate) async fn resolve(scope: Scope, request: &Request, reads: Reads<'_>) -> Result<Resolved> {
    let catalog = reads.context.catalog.as_ref();
    let mut taken: HashMap<TableId, Arc<Table>> = HashMap::new();
    let mut found = HashMap::new();
    let mut tables: Vec<(String, String, Arc<dyn TableProvider>)> = Vec::new();
    let own = reads.sources(request);
    for written in &scope.tables {
        let schema = own::schema_of(written);
        // A database of the user's own named `system` comes first, one named `information_schema` does not.
        if schema == Some(INFORMATION_SCHEMA) {
            let table = own_table(INFORMATION_SCHEMA, written, &own)?;
            found.insert(written.clone(), own_found(INFORMATION_SCHEMA, &table));
            tables.push((INFORMATION_SCHEMA.to_owned(), table.name().to_owned(), Arc::new(table)));
            continue;
        }
        let (definition, is_whole) = match lookup(catalog, written, &request.database).await {
            Ok(Looked::Found(definition, is_whole)) => (definition, is_whole),
            // A query of the statement that is named where it is not seen: the engine says so.
            Ok(Looked::Nowhere { .. }) if scope.is_cte(written) => continue,
            Ok(Looked::Nowhere { .. }) | Err(Error::Catalog(_)) if schema == Some(SYSTEM) => {
                let table = own_table(SYSTEM, written, &own)?;
                found.insert(written.clone(), own_found(SYSTEM, &table));
                tables.push((SYSTEM.to_owned(), table.name().to_owned(), Arc::new(table)));
                continue;
            }
            Ok(Looked::Nowhere { database, name }) => return Err(missing(catalog, &database, &name).await),
            Err(error) => return Err(error),
        };
        let table = match taken.entry(definition.id) {
            Entry::Occupied(taken) => Arc::clone(taken.get()),
            Entry::Vacant(free) => {
                let view = TableView::take(catalog, reads.holders, definition.id).await?;
                Arc::clone(free.insert(Arc::new(Table::new(view, Arc::clone(reads.context)))))
            }
        };
        let definition = table.definition();
        let (database, name) = (definition.database.as_str().to_owned(), definition.name.as_str().to_owned());
        found.insert(written.clone(), stored_found(definition, written.len() == 1 || is_whole, &request.database));
        tables.push((database, name, table as Arc<dyn TableProvider>));
    }
    let names = Names::new(scope, found, request.show_virtual);
    Ok(Resolved { names, catalog: QueryCatalog::new(tables) })
}

fn last(parts: &[String]) -> &str {
    parts.last().map_or("", String::as_str)
}

impl Reads<'_> {
    fn sources(&self, request: &Request) -> Arc<Sources> {
        let catalog = Arc::clone(self.catalog);
        Arc::new(Sources::new(Arc::clone(self.context), catalog, self.running.to_vec(), &request.database))
    }
}

fn own_table(schema: &'static str, written: &[String], sources: &Arc<Sources>) -> Result<OwnTable> {
    let missing = || no_such(schema, last(written), own::names(schema).into_iter());
    OwnTable::named(schema, last(written), sources).ok_or_else(missing)
}

fn own_found(schema: &str, table: &OwnTable) -> Found {
    Found {
        parts: vec![schema.to_owned(), table.name().to_owned()],
        columns: table.schema().fields().iter().map(|field| field.name().clone()).collect(),
        is_stored: false,
    }
}

/// A table under the name that the engine finds it by; one that is named without a database is in the request's, which
/// may be spelled in another case there.
fn stored_found(table: &TableDef, is_alone: bool, current: &str) -> Found {
    let (database, name) = (table.database.as_str().to_owned(), table.name.as_str().to_owned());
    let parts = if is_alone && database == current { vec![name] } else { vec![database, name] };
    let columns = table.columns.iter().map(|column| column.name.as_str().to_owned()).collect();
    Found { parts, columns, is_stored: true }
}

/// What a lookup came to.
enum Looked {
    /// The table, and whether a dotted name turned out to be one name.
    Found(Arc<TableDef>, bool),
    /// There is no such table; where it was looked for.
    Nowhere { database: String, name: String },
}

/// Looks for the table as it is written, then for one whose name is spelled in another case.
async fn lookup(catalog: &dyn Reader, written: &[String], current: &str) -> Result<Looked> {
    let (database, name) = match written {
        [name] => (current, name.as_str()),
        [database, name] => (database.as_str(), name.as_str()),
        [public, database, name] if public.eq_ignore_ascii_case(super::CATALOG) => (database.as_str(), name.as_str()),
        parts => return Err(Error::invalid(format!("{:?} is not a table: write database.table", parts.join(".")))),
    };
    // Names that are written as they are registered are found without a list of all names.
    let exact = match (DatabaseName::new(database), TableName::new(name)) {
        (Ok(database), Ok(name)) => catalog.table(&database, &name).await,
        _ => Ok(None),
    };
    let unasked = match exact {
        Ok(Some(found)) => return Ok(Looked::Found(found, false)),
        Ok(None) => None,
        // Not known as it is written, and nobody to ask for it: it may be known in another case.
        Err(error) if error.kind() == ErrorKind::Unavailable => Some(error),
        Err(error) => return Err(error.into()),
    };
    if let Some(table) = spelled(catalog, database, name, current).await? {
        return Ok(Looked::Found(table, false));
    }
    if written.len() == 2
        && let Some(table) = spelled(catalog, current, &written.join("."), current).await?
    {
        return Ok(Looked::Found(table, true));
    }
    match unasked {
        Some(error) => Err(error.into()),
        None => Ok(Looked::Nowhere { database: database.to_owned(), name: name.to_owned() }),
    }
}

/// The only table whose name and database differ from these in case only.
async fn spelled(catalog: &dyn Reader, database: &str, table: &str, current: &str) -> Result<Option<Arc<TableDef>>> {
    match database_of(catalog, database, current).await? {
        Some(database) => table_of(catalog, &database, table).await,
        None => Ok(None),
    }
}

/// The database as it is registered.
async fn database_of(catalog: &dyn Reader, written: &str, current: &str) -> Result<Option<DatabaseName>> {
    let databases = catalog.databases().await?;
    if let Some(exact) = databases.iter().find(|database| database.as_str() == written) {
        return Ok(Some(exact.clone()));
    }
    let alike: Vec<_> = databases.iter().filter(|database| database.as_str().eq_ignore_ascii_case(written)).collect();
    match alike.as_slice() {
        [only] => Ok(Some((*only).clone())),
        [] if written.eq_ignore_ascii_case(IOX) => Ok(databases.into_iter().find(|name| name.as_str() == current)),
        [] => Ok(None),
        several => Err(crate::dialect::ambiguous("database", written, several.iter().map(|name| name.as_str()))),
    }
}

/// The table as it is registered. Of the others in its database nothing is asked but the names.
async fn table_of(catalog: &dyn Reader, database: &DatabaseName, written: &str) -> Result<Option<Arc<TableDef>>> {
    let mut names = catalog.table_names(database).await?;
    names.retain(|name| name.as_str().eq_ignore_ascii_case(written));
    names.sort_by_key(|name| name.as_str() != written);
    let mut alike = Vec::new();
    for name in &names {
        let found = catalog.table(database, name).await?;
        if found.is_some() && name.as_str() == written {
            return Ok(found);
        }
        alike.extend(found);
    }
    match alike.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(Arc::clone(only))),
        several => Err(crate::dialect::ambiguous("table", written, several.iter().map(|table| table.name.as_str()))),
    }
}

/// The definition of one table that a command names.
pub(crate) async fn similar_table(catalog: &dyn Reader, written: &[String], current: &str) -> Result<Arc<TableDef>> {
    match lookup(catalog, written, current).await? {
        Looked::Found(table, _) => Ok(table),
        Looked::Nowhere { database, name } => Err(missing(catalog, &database, &name).await),
    }
}

/// The names of all tables of a database; an unknown database has none only if it is the request's own.
pub(crate) async fn tables_of(catalog: &dyn Reader, written: Option<&str>, current: &str) -> Result<Vec<TableName>> {
    let database = match (database_of(catalog, written.unwrap_or(current), current).await?, written) {
        (Some(database), _) => database,
        (None, None) => return Ok(Vec::new()),
        (None, Some(written)) => return Err(Error::invalid(format!("database {written:?} does not exist"))),
    };
    let live = catalog.tables(&database).await?;
    match catalog.stale() {
        None => Ok(live.iter().map(|table| table.name.clone()).collect()),
        // Of tables that were never read, only the names are known.
        Some(_) => Ok(catalog.table_names(&database).await?),
    }
}

async fn missing(catalog: &dyn Reader, database: &str, table: &str) -> Error {
    let known = match DatabaseName::new(database) {
        Ok(name) => catalog.table_names(&name).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    no_such(database, table, known.iter().map(TableName::as_str))
}

fn no_such<'a>(database: &str, table: &str, known: impl Iterator<Item = &'a str>) -> Error {
    const SHOWN_MAX: usize = 10;
    let mut names: Vec<&str> = known.take(SHOWN_MAX + 1).collect();
    let more = if names.len() > SHOWN_MAX { ", …" } else { "" };
    names.truncate(SHOWN_MAX);
    let hint = match names.is_empty() {
        true => String::new(),
        false => format!("; it has {}{more}", names.join(", ")),
    };
    Error::NoSuchTable { database: database.to_owned(), table: table.to_owned(), hint }
}
