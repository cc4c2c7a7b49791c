//! The names that completion offers, asked from the server when they are first needed.
//!
//! Somebody waits with a finger on a key: the server gets a moment, and a server that does not answer leaves no trace
//! but the missing names. What is known is asked anew after a while, because tables come with rows.

use std::cell::RefCell;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::query::catalog;

/// How long somebody waits for names.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long what is known, or that nothing is, holds.
const FRESH: Duration = Duration::from_secs(20);

/// What there is on the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) database: String,
    pub(super) databases: Vec<String>,
    /// Databases and their tables.
    pub(super) tables: Vec<(String, String)>,
    /// The database's tables and their columns.
    pub(super) columns: Vec<(String, String)>,
}

impl Known {
    /// The tables of the database that is asked.
    pub(super) fn own_tables(&self) -> impl Iterator<Item = &str> {
        self.tables_of(&self.database)
    }

    pub(super) fn tables_of(&self, database: &str) -> impl Iterator<Item = &str> {
        let fits = move |known: &str| known.eq_ignore_ascii_case(database);
        self.tables.iter().filter(move |(known, _)| fits(known)).map(|(_, table)| table.as_str())
    }

    pub(super) fn columns_of(&self, table: &str) -> impl Iterator<Item = &str> {
        let fits = move |known: &str| known.eq_ignore_ascii_case(table);
        self.columns.iter().filter(move |(known, _)| fits(known)).map(|(_, column)| column.as_str())
    }
}

/// Asks for names and remembers them.
#[derive(Debug)]
pub(super) struct Names {
    runtime: Handle,
    client: RefCell<Client>,
    known: RefCell<Option<(Instant, Known)>>,
}

impl Names {
    pub(super) fn new(runtime: Handle, client: Client) -> Self {
        Self { runtime, client: RefCell::new(client), known: RefCell::new(None) }
    }

    /// Names are those of this database from now on.
    pub(super) fn follow(&self, client: &Client) {
        self.client.replace(client.clone());
        self.known.replace(None);
    }

    /// What is known. Must not be called on the runtime.
    pub(super) fn known(&self) -> Known {
        if let Some((since, known)) = &*self.known.borrow()
            && since.elapsed() < FRESH
        {
            return known.clone();
        }
        let client = self.client.borrow().clone();
        let asked = self.runtime.block_on(async { timeout(PATIENCE, ask(&client)).await });
        let known = asked.ok().flatten().unwrap_or_default();
        self.known.replace(Some((Instant::now(), known.clone())));
        known
    }
}

async fn ask(client: &Client) -> Option<Known> {
    let database = client.database();
    let (databases, tables, columns) =
        tokio::try_join!(catalog::databases(client), catalog::tables(client), catalog::columns_of(client, database))
            .ok()?;
    Some(Known { database: database.to_owned(), databases, tables, columns })
}
