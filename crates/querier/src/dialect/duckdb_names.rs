//! Names of columns that a statement leaves unnamed, as DuckDB prints them.
//!
//! Programs written for the original read `count_star()` and `avg(temperature)` from its answers. The names are
//! made from the syntax tree before planning; what has no rule here is printed as it was written. Checked against
//! DuckDB 1.5.

use std::collections::HashSet;
use std::fmt::Write;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    OrderByExpr, Query as SqlQuery, Select, SelectItem, SetExpr, UnaryOperator, VisitorMut, WindowSpec, WindowType,
};
use std::ops::ControlFlow;

use super::{Query, quoted_name};
use crate::{Error, Result};

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

fn printed(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => name(&ident.value),
        Expr::CompoundIdentifier(idents) => idents.iter().map(|ident| name(&ident.value)).collect::<Vec<_>>().join("."),
        Expr::Nested(inner) => printed(inner),
        Expr::Value(value) => value.to_string(),
        Expr::Function(function) => call(function),
        Expr::BinaryOp { left, op, right } => format!("({} {} {})", printed(left), operator(op), printed(right)),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("(NOT {})", printed(expr)),
        Expr::UnaryOp { op, expr } => match &**expr {
            Expr::Value(value) => format!("{op}{value}"),
            inner => format!("({op}({}))", printed(inner)),
        },
        Expr::IsNull(inner) => format!("({} IS NULL)", printed(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", printed(inner)),
        Expr::Cast { kind: CastKind::TryCast, expr, data_type, .. } => {
            format!("TRY_CAST({} AS {})", printed(expr), type_name(&data_type.to_string()))
        }
        Expr::Cast { expr, data_type, .. } => {
            format!("CAST({} AS {})", printed(expr), type_name(&data_type.to_string()))
        }
        Expr::TypedString(typed) => format!("CAST({} AS {})", typed.value, type_name(&typed.data_type.to_string())),
        Expr::Interval(interval) => format!("CAST({} AS INTERVAL)", interval.value),
        Expr::InList { expr, list, negated } => {
            let list = format!("({} IN ({}))", printed(expr), all(list));
            if *negated { format!("(NOT {list})") } else { list }
        }
        Expr::Between { expr, negated, low, high } => {
            let not = if *negated { "NOT " } else { "" };
            format!("({} {not}BETWEEN {} AND {})", printed(expr), printed(low), printed(high))
        }
        Expr::Extract { field, expr, .. } => {
            format!("date_part('{}', {})", field.to_string().to_lowercase(), printed(expr))
        }
        other => other.to_string(),
    }
}

fn all(exprs: &[Expr]) -> String {
    exprs.iter().map(printed).collect::<Vec<_>>().join(", ")
}

fn name(name: &str) -> String {
    if super::duckdb_keywords::is_quoted(name) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

fn operator(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::NotEq => "!=".to_owned(),
        other => other.to_string(),
    }
}

fn type_name(written: &str) -> String {
    match written.to_ascii_uppercase().as_str() {
        "INT" | "INT4" => "INTEGER".to_owned(),
        "INT8" | "LONG" => "BIGINT".to_owned(),
        "TEXT" | "STRING" => "VARCHAR".to_owned(),
        "FLOAT8" => "DOUBLE".to_owned(),
        "BOOL" => "BOOLEAN".to_owned(),
        other => other.to_owned(),
    }
}

fn call(function: &Function) -> String {
    let called = function.name.to_string().to_ascii_lowercase();
    let mut text = match &function.args {
        FunctionArguments::List(list) if called == "count" && is_star(&list.args) => "count_star()".to_owned(),
        FunctionArguments::List(list) => {
            let distinct = match list.duplicate_treatment {
                Some(DuplicateTreatment::Distinct) => "DISTINCT ",
                _ => "",
            };
            let arguments: Vec<String> = list.args.iter().map(argument).collect();
            let called = if called == "coalesce" { "COALESCE".to_owned() } else { called };
            format!("{called}({distinct}{})", arguments.join(", "))
        }
        _ => format!("{called}()"),
    };
    // Writing to a string cannot fail.
    if let Some(filter) = &function.filter {
        let _ = write!(text, " FILTER (WHERE {})", printed(filter));
    }
    match &function.over {
        Some(WindowType::WindowSpec(window)) => {
            let _ = write!(text, " OVER ({})", window_printed(window));
        }
        Some(WindowType::NamedWindow(window)) => {
            let _ = write!(text, " OVER {window}");
        }
        None => {}
    }
    text
}

fn is_star(arguments: &[FunctionArg]) -> bool {
    matches!(arguments, [] | [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
}

fn argument(argument: &FunctionArg) -> String {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => printed(expr),
        other => other.to_string(),
    }
}

fn window_printed(window: &WindowSpec) -> String {
    if window.window_frame.is_some() {
        return window.to_string();
    }
    let mut parts = Vec::new();
    if !window.partition_by.is_empty() {
        parts.push(format!("PARTITION BY {}", all(&window.partition_by)));
    }
    if !window.order_by.is_empty() {
        let order: Vec<String> = window.order_by.iter().map(ordered).collect();
        parts.push(format!("ORDER BY {}", order.join(", ")));
    }
    parts.join(" ")
}

fn ordered(order: &OrderByExpr) -> String {
    match order.options.asc {
        Some(true) => format!("{} ASC", printed(&order.expr)),
        Some(false) => format!("{} DESC", printed(&order.expr)),
        None => printed(&order.expr),
    }
}

#[cfg(test)]
mod tests;
