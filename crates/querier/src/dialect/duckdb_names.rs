//! Names of columns that a statement leaves unnamed, as DuckDB prints them.
//!
//! Programs written for the original read `count_star()` and `avg(temperature)` from its answers. The names are
//! made from the syntax tree before planning; what has no rule here is printed as it was written. `golden.tsv` holds
//! what DuckDB 1.4 says, and `golden.py` made it.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query as SqlQuery, Select, SelectItem, SetExpr, VisitorMut};

use super::{Query, quoted_name};
use crate::{Error, Result};

mod call;
mod printed;

use printed::printed;

/// Gives every unnamed expression of every `SELECT` the name that DuckDB would give it.
pub(crate) fn name_columns(query: &mut Query) -> Result<()> {
    query.visit_mut(&mut Namer)
}

struct Namer;

impl VisitorMut for Namer {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut SqlQuery) -> ControlFlow<Error> {
        name_selects(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn name_selects(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => name_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            name_selects(left);
            name_selects(right);
        }
        _ => {}
    }
}

fn name_select(select: &mut Select) {
    let mut taken: HashSet<String> = HashSet::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if is_column(expr) {
            continue;
        }
        let base = printed(expr);
        let mut name = base.clone();
        let mut repeats = 0;
        while !taken.insert(name.clone()) {
            repeats += 1;
            name = format!("{base}_{repeats}");
        }
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted_name(&name) };
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Nested(inner) => is_column(inner),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
