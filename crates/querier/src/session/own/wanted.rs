//! Which databases and tables a query's conditions leave.
//!
//! It only narrows: what is not understood leaves all, and the engine applies every condition afterwards.

use std::collections::BTreeSet;

use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// From how many names on a list of all is asked for instead.
const FEW: usize = 16;

/// See the module. `None` is all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    databases: Option<BTreeSet<String>>,
    tables: Option<BTreeSet<String>>,
}

impl Wanted {
    /// What passes all of `filters`, where these columns hold a database and a table.
    pub(super) fn of(filters: &[Expr], databases: &[&str], tables: &[&str]) -> Self {
        let named = |columns: &[&str]| {
            let sets = filters.iter().filter_map(|filter| values(filter, columns));
            sets.reduce(|a, b| a.intersection(&b).cloned().collect())
        };
        Self { databases: named(databases), tables: named(tables) }
    }

    pub(super) fn has_database(&self, name: &str) -> bool {
        self.databases.as_ref().is_none_or(|wanted| wanted.contains(name))
    }

    pub(super) fn has_table(&self, name: &str) -> bool {
        self.tables.as_ref().is_none_or(|wanted| wanted.contains(name))
    }

    /// The tables by name, if they are few.
    pub(super) fn few_tables(&self) -> Option<impl Iterator<Item = &str>> {
        let tables = self.tables.as_ref().filter(|tables| tables.len() <= FEW)?;
        Some(tables.iter().map(String::as_str))
    }
}

/// The values that one of the columns may have where `expr` holds; `None` if that is not known.
fn values(expr: &Expr, columns: &[&str]) -> Option<BTreeSet<String>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = if is_column(left, columns) { (left, right) } else { (right, left) };
            is_column(column, columns).then(|| text(value).map(|text| BTreeSet::from([text])))?
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (values(left, columns), values(right, columns)) {
                (Some(a), Some(b)) => Some(a.intersection(&b).cloned().collect()),
                (a, b) => a.or(b),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut all = values(left, columns)?;
            all.extend(values(right, columns)?);
            Some(all)
        }
        Expr::InList(InList { expr, list, negated: false }) if is_column(expr, columns) => {
            list.iter().map(text).collect()
        }
        _ => None,
    }
}

fn is_column(expr: &Expr, columns: &[&str]) -> bool {
    matches!(expr, Expr::Column(column) if columns.contains(&column.name.as_str()))
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
