//! Names in a statement: which tables it needs, and every name spelled as it is registered.
//!
//! The engine compares names exactly; users do not. Tables are collected first, so that their views can be taken
//! before planning, then one walk spells every table and column as the catalog does: an exact match wins, else the
//! only one that differs in case, else the candidates are named. The same walk gives tables the columns `date`
//! and `hour` where a statement names them.

use std::collections::{BTreeSet, HashMap};

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, ObjectName, ObjectNamePart, Query as SqlQuery, Select, SelectItem, TableFactor, Visitor,
};
use std::ops::ControlFlow;

use super::command::{changes, pivot, refused, sampled};
use super::quoted_name as quoted;
use super::{Query, flow};
use crate::{Error, Result};

mod own_queries;
mod rewrite;
mod size;
mod spelling;
mod virtual_columns;

use own_queries::OwnQueries;
pub(crate) use rewrite::unify;
use size::Size;
pub(crate) use virtual_columns::Virtual;

/// What a statement names, before anything is looked up.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Tables as they were written, in parts; each once. Where a name means a query of the statement, it is none.
    pub(crate) tables: Vec<Vec<String>>,
    /// Names that the statement itself gives to queries.
    pub(crate) ctes: BTreeSet<String>,
    own_queries: OwnQueries,
    size: Size,
    /// Names that the statement itself gives to columns and tables.
    aliases: BTreeSet<String>,
    /// Columns that the statement names, in lower case.
    columns: BTreeSet<String>,
    /// Names that the statement gives to something other than itself, in lower case.
    renamed: BTreeSet<String>,
}

impl Scope {
    pub(crate) fn of(query: &Query) -> Result<Self> {
        let mut scope = Self::default();
        query.visit(&mut scope)?;
        Ok(scope)
    }

    /// Whether one of the statement's own queries has that name, if only elsewhere in it.
    pub(crate) fn is_cte(&self, table: &[String]) -> bool {
        matches!(table, [name] if self.ctes.iter().any(|cte| cte.eq_ignore_ascii_case(name)))
    }

    /// Whether the statement means the column that every table has beside its own.
    fn names_virtual(&self, name: &str) -> bool {
        self.columns.contains(name) && !self.renamed.contains(name)
    }

    fn alias(&mut self, alias: &Ident, of: Option<&Expr>) {
        self.aliases.insert(alias.value.clone());
        let itself = matches!(of, Some(Expr::Identifier(ident)) if ident.value.eq_ignore_ascii_case(&alias.value));
        if !itself {
            self.renamed.insert(alias.value.to_ascii_lowercase());
        }
    }

    fn cte(&mut self, cte: &Cte) {
        self.ctes.insert(cte.alias.name.value.clone());
        self.aliases.insert(cte.alias.name.value.clone());
        for column in &cte.alias.columns {
            self.alias(&column.name, None);
        }
    }
}

impl Visitor for Scope {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &SqlQuery) -> ControlFlow<Error> {
        if let Some(what) = changes(&query.body) {
            return ControlFlow::Break(refused(what));
        }
        if !query.locks.is_empty() {
            return ControlFlow::Break(refused("FOR UPDATE"));
        }
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.cte(cte);
        }
        self.own_queries.enter(query);
        self.size.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &SqlQuery) -> ControlFlow<Error> {
        self.own_queries.leave();
        flow(self.size.leave())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item {
                self.alias(alias, Some(expr));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } = factor {
            return ControlFlow::Break(sampled());
        }
        let alias = match factor {
            TableFactor::Table { name, alias, args, .. } => {
                if args.is_none()
                    && let Some(parts) = parts(name)
                {
                    let is_own = self.own_queries.mean(&parts);
                    if let Err(error) = self.size.table(&parts, is_own) {
                        return ControlFlow::Break(error);
                    }
                    if !is_own && !self.tables.contains(&parts) {
                        self.tables.push(parts);
                    }
                }
                alias
            }
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => return ControlFlow::Break(pivot()),
            TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => alias,
            TableFactor::Function { alias, .. } | TableFactor::TableFunction { alias, .. } => alias,
            _ => &None,
        };
        if let Some(alias) = alias {
            self.aliases.insert(alias.name.value.clone());
            for column in &alias.columns {
                self.alias(&column.name, None);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        let column = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(idents) => idents.last(),
            _ => None,
        };
        if let Some(column) = column {
            self.columns.insert(column.value.to_ascii_lowercase());
        }
        ControlFlow::Continue(())
    }
}

/// The parts of a name, if they are all plain.
fn parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.clone())).collect()
}

/// A table that a statement names, as it is registered.
#[derive(Debug)]
pub(crate) struct Found {
    /// How it has to be named to the engine.
    pub(crate) parts: Vec<String>,
    /// Its columns.
    pub(crate) columns: Vec<String>,
    /// Whether it is a table of the catalog, which has a time.
    pub(crate) is_stored: bool,
}

/// Everything that a statement's names are resolved with.
#[derive(Debug)]
pub(crate) struct Names {
    /// By the parts as they were written.
    found: HashMap<Vec<String>, Found>,
    /// By lower case, every spelling that exists.
    known: HashMap<String, BTreeSet<String>>,
    ctes: BTreeSet<String>,
    virtual_columns: Virtual,
}

impl Names {
    /// `show_virtual` makes `SELECT *` show `date` and `hour`.
    pub(crate) fn new(scope: Scope, found: HashMap<Vec<String>, Found>, show_virtual: bool) -> Self {
        let virtual_columns = Virtual {
            date: show_virtual || scope.names_virtual("date"),
            hour: show_virtual || scope.names_virtual("hour"),
            shown: show_virtual,
        };
        let mut known: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut add = |name: &str| {
            known.entry(name.to_ascii_lowercase()).or_default().insert(name.to_owned());
        };
        for table in found.values() {
            table.columns.iter().chain(&table.parts).for_each(|name| add(name));
        }
        scope.aliases.iter().for_each(|name| add(name));
        virtual_columns.names().for_each(&mut add);
        Self { found, known, ctes: scope.ctes, virtual_columns }
    }

    /// The registered spelling of a column or alias; `None` if it is not known by any.
    fn spelling(&self, name: &str) -> Result<Option<&str>> {
        let Some(candidates) = self.known.get(&name.to_ascii_lowercase()) else { return Ok(None) };
        if let Some(exact) = candidates.get(name) {
            return Ok(Some(exact));
        }
        let mut others = candidates.iter();
        match (others.next(), others.next()) {
            (Some(only), None) => Ok(Some(only)),
            _ => Err(ambiguous("column", name, candidates.iter().map(String::as_str))),
        }
    }

    fn table(&self, name: &ObjectName) -> Option<&Found> {
        self.found.get(&parts(name)?)
    }

    fn cte(&self, name: &ObjectName) -> Option<&str> {
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
        let exact = self.ctes.get(&ident.value);
        let found = exact.or_else(|| self.ctes.iter().find(|cte| cte.eq_ignore_ascii_case(&ident.value)));
        found.map(String::as_str)
    }
}

/// Several names differ from the written one in case only.
pub(crate) fn ambiguous<'a>(what: &str, name: &str, candidates: impl Iterator<Item = &'a str>) -> Error {
    let candidates: Vec<String> = candidates.map(|candidate| format!("{candidate:?}")).collect();
    Error::invalid(format!("{what} {name:?} is ambiguous: write one of {} in double quotes", candidates.join(", ")))
}
