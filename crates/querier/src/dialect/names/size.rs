//! How many tables a statement reads once its own queries stand where they are named.
//!
//! A query of a `WITH` is planned wherever it is named, so thirty short ones that each name the one before twice are a
//! billion tables. They are counted before anything is planned.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::Query as SqlQuery;

use crate::{Error, Result};

/// How many tables a statement may read, each counted as often as it is read.
pub(super) const TABLES_MAX: u64 = 256;

/// Follows a walk through a statement, query by query.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// The queries around the place where the walk is; the outermost first.
    around: Vec<Around>,
    /// What is read by each named query whose end the walk has passed, in lower case.
    named: HashMap<String, u64>,
}

#[derive(Debug)]
struct Around {
    /// The names in its `WITH`, in lower case; the last first.
    names: Vec<String>,
    tables: u64,
    /// The name that the query around it gives to this one.
    name: Option<String>,
}

impl Size {
    pub(super) fn enter(&mut self, query: &SqlQuery) {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        let mut names: Vec<String> = ctes.map(|cte| cte.alias.name.value.to_ascii_lowercase()).collect();
        names.reverse();
        // Named queries are what a query holds first.
        let name = self.around.last_mut().and_then(|around| around.names.pop());
        self.around.push(Around { names, tables: 0, name });
    }

    /// The walk comes to a table, or to the name of a query.
    pub(super) fn table(&mut self, name: &[String], is_own: bool) -> Result<()> {
        let own = match name {
            [name] if is_own => self.named.get(&name.to_ascii_lowercase()).copied(),
            _ => None,
        };
        let Some(around) = self.around.last_mut() else { return Ok(()) };
        around.tables = around.tables.saturating_add(own.unwrap_or(1));
        self.within_limit()
    }

    pub(super) fn leave(&mut self) -> Result<()> {
        let Some(left) = self.around.pop() else { return Ok(()) };
        match left.name {
            Some(name) => {
                self.named.insert(name, left.tables.max(1));
                Ok(())
            }
            None => {
                let Some(around) = self.around.last_mut() else { return Ok(()) };
                around.tables = around.tables.saturating_add(left.tables);
                self.within_limit()
            }
        }
    }

    fn within_limit(&self) -> Result<()> {
        match self.around.last() {
            Some(around) if around.tables > TABLES_MAX => {
                let what = "tables to read, those of its WITH queries counted wherever they are named";
                Err(Error::TooDeep { what, limit: TABLES_MAX as usize })
            }
            _ => Ok(()),
        }
    }
}
