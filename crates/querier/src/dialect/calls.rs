//! Functions and operators of DuckDB and InfluxDB that are other expressions to the engine.
//!
//! They are replaced in the syntax tree, once, before planning: what takes their place is planned, typed and simplified
//! like anything else a user writes, so that comparisons with it rule out files. Texts in quotes are never looked at.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, JoinOperator, ObjectName, Select, SelectItem, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::syntax::{POWER_SIGN, binary};
use super::{Query, quoted_name};
use crate::querier::Habits;
use crate::{Error, Result};

mod formats;
mod templates;

use templates::{AGGREGATES, MONTHS, NANOSECONDS, POWER, QUARTERS, RENAMED, UNITS, WEEKS, YEARS};

/// Replaces what the engine does not know.
pub(crate) fn expand(query: &mut Query, habits: Habits, database: &str) -> Result<()> {
    query.visit_mut(&mut Expand { habits, database })
}

struct Expand<'a> {
    habits: Habits,
    database: &'a str,
}

impl VisitorMut for Expand<'_> {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for item in &mut select.projection {
            // A column is called what was written, not what takes its place.
            if let SelectItem::UnnamedExpr(expr) = item
                && is_replaced(expr)
            {
                let alias = quoted_name(&expr.to_string());
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            let operator = std::mem::replace(&mut join.join_operator, JoinOperator::CrossApply);
            join.join_operator = match operator {
                JoinOperator::Semi(constraint) => JoinOperator::LeftSemi(constraint),
                JoinOperator::Anti(constraint) => JoinOperator::LeftAnti(constraint),
                other => other,
            };
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let replaced = match expr {
            Expr::Function(function) => self.function(function),
            Expr::BinaryOp { left, op, right } if is_power(op) => self.power(op, left, right),
            _ => return ControlFlow::Continue(()),
        };
        match replaced {
            Ok(Some(other)) => *expr = other,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn is_power(op: &BinaryOperator) -> bool {
    match op {
        BinaryOperator::BitwiseXor => true,
        BinaryOperator::Custom(sign) => sign == POWER_SIGN,
        _ => false,
    }
}

/// Whether some part of that expression is replaced by another.
fn is_replaced(expr: &Expr) -> bool {
    struct Finds;
    impl Visitor for Finds {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let found = match expr {
                Expr::Function(function) => {
                    let name = function.name.to_string().to_ascii_lowercase();
                    templates::is_known(&name) || is_special(&name) || renamed(&name).is_some()
                }
                Expr::BinaryOp { op, .. } => is_power(op),
                _ => false,
            };
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    expr.visit(&mut Finds).is_break()
}

fn is_special(name: &str) -> bool {
    matches!(
        name,
        "strftime"
            | "strptime"
            | "date_diff"
            | "datediff"
            | "struct_pack"
            | "current_database"
            | "current_schema"
            | "version"
    )
}

fn renamed(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(other, _)| *other == name).map(|(_, here)| *here)
}

impl Expand<'_> {
    fn power(&self, op: &BinaryOperator, left: &mut Expr, right: &mut Expr) -> Result<Option<Expr>> {
        if *op == BinaryOperator::BitwiseXor && self.habits == Habits::Engine {
            return Err(Error::invalid(
                "^ is a power in DuckDB and an exclusive or in InfluxDB 3: write power(a, b), or a # b",
            ));
        }
        filled(POWER, vec![taken(left), taken(right)]).map(Some)
    }

    fn function(&self, function: &mut Function) -> Result<Option<Expr>> {
        let [part] = function.name.0.as_slice() else { return Ok(None) };
        let Some(ident) = part.as_ident() else { return Ok(None) };
        let name = ident.value.to_ascii_lowercase();
        if let Some(instead) = refused(&name) {
            return Err(Error::invalid(format!("{name}() is not available: {instead}")));
        }
        match name.as_str() {
            "current_database" | "current_schema" => return Ok(Some(text(self.database))),
            "version" => return Ok(Some(text(concat!("GigAPI ", env!("CARGO_PKG_VERSION"))))),
            "struct_pack" => return struct_pack(function).map(Some),
            "strftime" => return formats::strftime(&arguments(function)?).map(Some),
            "strptime" => return formats::strptime(&arguments(function)?).map(Some),
            "date_diff" | "datediff" => return date_diff(arguments(function)?).map(Some),
            _ => {}
        }
        if let Some(here) = renamed(&name) {
            function.name = ObjectName::from(vec![Ident::new(here)]);
            return Ok(None);
        }
        if (name.starts_with("quantile") || name == "approx_quantile")
            && let Some(list) = several_quantiles(&name, function)?
        {
            return Ok(Some(list));
        }
        if !templates::is_known(&name) {
            return Ok(None);
        }
        let given = arguments(function)?;
        let Some(_) = templates::template(&name, given.len())? else {
            // One that also exists under that name with another number of arguments.
            return if name == "make_timestamp" { Ok(None) } else { Err(wrong_number(&name, given.len())) };
        };
        if is_distinct(function) {
            return Err(Error::invalid(format!("{name}() does not take DISTINCT")));
        }
        let mut expr = filled(&name, given)?;
        hand_on(function, &mut expr);
        Ok(Some(expr))
    }
}

fn wrong_number(name: &str, given: usize) -> Error {
    Error::invalid(format!("{name}() is not known with {given} arguments; docs/SQL.md lists what it takes"))
}

fn refused(name: &str) -> Option<&'static str> {
    Some(match name {
        "date_bin_gapfill" | "interpolate" | "locf" => {
            "gaps are not filled; join date_bin's buckets with generate_series(from, to, interval)"
        }
        "age" => "a - b is the interval between two points in time, date_diff('day', b, a) counts days",
        "columns" => "name the columns, or write * EXCLUDE (…)",
        "read_parquet" | "read_csv" | "read_csv_auto" | "read_json" | "read_json_auto" | "read_blob" | "read_text"
        | "parquet_scan" | "glob" | "getenv" => "only tables of the catalog can be read",
        _ => return None,
    })
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

fn is_distinct(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.duplicate_treatment.is_some())
}

/// The arguments, if they are plain expressions.
fn arguments(function: &Function) -> Result<Vec<Expr>> {
    let list: &[FunctionArg] = match &function.args {
        FunctionArguments::None => &[],
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::Subquery(_) => {
            return Err(Error::invalid(format!("{}() takes no bare subquery: put it in brackets", function.name)));
        }
    };
    let plain = list.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        other => Err(Error::invalid(format!("{}() does not take {other}", function.name))),
    });
    plain.collect()
}

/// The template of that name with these arguments.
fn filled(name: &str, given: Vec<Expr>) -> Result<Expr> {
    struct Fill(Vec<Expr>);
    impl VisitorMut for Fill {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Some(argument) = templates::place(expr).and_then(|place| self.0.get(place)) {
                *expr = bracketed(argument.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let template = templates::template(name, given.len())?;
    let mut expr = template.ok_or_else(|| Error::internal(format!("no template of {name}")))?.clone();
    let _ = VisitMut::visit(&mut expr, &mut Fill(given));
    Ok(match expr {
        Expr::BinaryOp { .. } => Expr::Nested(Box::new(expr)),
        other => other,
    })
}

fn bracketed(expr: Expr) -> Expr {
    match expr {
        Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => Expr::Nested(Box::new(expr)),
        other => other,
    }
}

/// A call's `FILTER` and `OVER` belong to the aggregates that take its place.
fn hand_on(function: &Function, expr: &mut Expr) {
    struct HandOn<'a>(&'a Function);
    impl VisitorMut for HandOn<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let Expr::Function(inner) = expr else { return ControlFlow::Continue(()) };
            let name = inner.name.to_string();
            // Those of the arguments have been through here as calls of their own; only templates write it so.
            if !AGGREGATES.contains(&name.as_str()) {
                return ControlFlow::Continue(());
            }
            if let Some(wanted) = &self.0.filter {
                let wanted = bracketed((**wanted).clone());
                inner.filter = Some(Box::new(match inner.filter.take() {
                    Some(own) => binary(*own, BinaryOperator::And, wanted),
                    None => wanted,
                }));
            }
            if inner.over.is_none() {
                inner.over.clone_from(&self.0.over);
            }
            ControlFlow::Continue(())
        }
    }
    if function.filter.is_some() || function.over.is_some() {
        let _ = VisitMut::visit(expr, &mut HandOn(function));
    }
}

/// A list of quantiles as a list of calls.
fn several_quantiles(name: &str, function: &Function) -> Result<Option<Expr>> {
    let given = arguments(function)?;
    let [of, Expr::Array(Array { elem, .. })] = given.as_slice() else { return Ok(None) };
    let each = elem.iter().map(|quantile| {
        let given = vec![of.clone(), quantile.clone()];
        let mut expr = match templates::template(name, 2)? {
            Some(_) => filled(name, given)?,
            None => Expr::Function(call(name, given)),
        };
        if let Expr::Function(call) = &mut expr
            && !templates::is_known(name)
        {
            call.filter.clone_from(&function.filter);
        } else {
            hand_on(function, &mut expr);
        }
        Ok(expr)
    });
    let each = each.collect::<Result<Vec<_>>>()?;
    Ok(Some(Expr::Function(call("make_array", each))))
}

/// A call of one of the engine's functions.
pub(super) fn call(name: &str, given: Vec<Expr>) -> Function {
    let args = given.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// `struct_pack(a := 1)` as `named_struct('a', 1)`.
fn struct_pack(function: &Function) -> Result<Expr> {
    let wrong = || Error::invalid("struct_pack takes names and values: struct_pack(a := 1, b := 'x')");
    let FunctionArguments::List(list) = &function.args else { return Err(wrong()) };
    let mut given = Vec::new();
    for argument in &list.args {
        let FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } = argument else { return Err(wrong()) };
        given.extend([text(&name.value), expr.clone()]);
    }
    Ok(Expr::Function(call("named_struct", given)))
}

/// How many borders of a unit of time lie between two points.
fn date_diff(given: Vec<Expr>) -> Result<Expr> {
    let Ok([unit, from, to]) = <[Expr; 3]>::try_from(given) else {
        return Err(Error::invalid("date_diff takes a unit and two points in time: date_diff('day', from, to)"));
    };
    let named = formats::literal(&unit).map(str::to_ascii_lowercase);
    let unknown = || {
        let units = "nanosecond, microsecond, millisecond, second, minute, hour, day, week, month, quarter or year";
        Error::invalid(format!("date_diff takes one of {units} in quotes, not {unit}"))
    };
    let named = named.ok_or_else(unknown)?;
    let (unit, nanos) = match named.trim_end_matches('s') {
        "nanosecond" | "n" => return filled(NANOSECONDS, vec![from, to]),
        "microsecond" | "u" => ("microsecond", "1000"),
        "millisecond" | "m" => ("millisecond", "1000000"),
        "second" => ("second", "1000000000"),
        "minute" => ("minute", "60000000000"),
        "hour" => ("hour", "3600000000000"),
        "day" => ("day", "86400000000000"),
        "week" => return filled(WEEKS, vec![from, to]),
        "month" => return filled(MONTHS, vec![from, to]),
        "quarter" => return filled(QUARTERS, vec![from, to]),
        "year" => return filled(YEARS, vec![from, to]),
        _ => return Err(unknown()),
    };
    let difference = filled(UNITS, vec![from, to, text(unit)])?;
    let nanos = Expr::value(Value::Number(nanos.to_owned(), false));
    let counted = binary(difference, BinaryOperator::DuckIntegerDivide, nanos);
    Ok(Expr::Nested(Box::new(counted)))
}
