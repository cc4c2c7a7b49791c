//! How DuckDB prints the call of a function.

use std::fmt::Write;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, OrderByExpr, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};

use super::printed::{all, name, printed};

pub(super) fn call(function: &Function) -> String {
    let called = function.name.to_string().to_ascii_lowercase();
    let mut text = match &function.args {
        FunctionArguments::List(list) if called == "count" && is_star(&list.args) => "count_star()".to_owned(),
        FunctionArguments::List(list) if called == "if" && list.args.len() == 3 => {
            let [condition, then, otherwise] = [0, 1, 2].map(|at| argument(&list.args[at]));
            format!("CASE  WHEN ({condition}) THEN ({then}) ELSE {otherwise} END")
        }
        FunctionArguments::List(list) => format!("{}({})", printed_name(&called), arguments(list)),
        _ => format!("{}()", printed_name(&called)),
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

fn printed_name(called: &str) -> String {
    match called {
        "coalesce" | "ifnull" => "COALESCE".to_owned(),
        other if other.contains('.') => other.to_owned(),
        other => name(other),
    }
}

fn is_star(arguments: &[FunctionArg]) -> bool {
    matches!(arguments, [] | [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
}

fn arguments(list: &FunctionArgumentList) -> String {
    let distinct = match list.duplicate_treatment {
        Some(DuplicateTreatment::Distinct) => "DISTINCT ",
        _ => "",
    };
    let given: Vec<String> = list.args.iter().map(argument).collect();
    let mut text = format!("{distinct}{}", given.join(", "));
    for clause in &list.clauses {
        let _ = match clause {
            FunctionArgumentClause::OrderBy(order) => write!(text, " ORDER BY {}", ordered(order)),
            other => write!(text, " {other}"),
        };
    }
    text
}

fn argument(argument: &FunctionArg) -> String {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => printed(expr),
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
            format!("{} := {}", name.value, printed(expr))
        }
        other => other.to_string(),
    }
}

fn window_printed(window: &WindowSpec) -> String {
    let mut parts = Vec::new();
    if let Some(base) = &window.window_name {
        parts.push(base.to_string());
    }
    if !window.partition_by.is_empty() {
        parts.push(format!("PARTITION BY {}", all(&window.partition_by)));
    }
    if !window.order_by.is_empty() {
        parts.push(format!("ORDER BY {}", ordered(&window.order_by)));
    }
    if let Some(frame) = &window.window_frame {
        parts.push(frame_printed(frame));
    }
    parts.join(" ")
}

fn frame_printed(frame: &WindowFrame) -> String {
    match &frame.end_bound {
        Some(end) => format!("{} BETWEEN {} AND {}", frame.units, bound(&frame.start_bound), bound(end)),
        None => format!("{} BETWEEN {} AND CURRENT ROW", frame.units, bound(&frame.start_bound)),
    }
}

fn bound(bound: &WindowFrameBound) -> String {
    let side = |rows: &Option<Box<Expr>>, side: &str| match rows {
        Some(rows) => format!("{} {side}", printed(rows)),
        None => format!("UNBOUNDED {side}"),
    };
    match bound {
        WindowFrameBound::CurrentRow => "CURRENT ROW".to_owned(),
        WindowFrameBound::Preceding(rows) => side(rows, "PRECEDING"),
        WindowFrameBound::Following(rows) => side(rows, "FOLLOWING"),
    }
}

fn ordered(order: &[OrderByExpr]) -> String {
    let each = order.iter().map(|order| match order.options.asc {
        Some(true) => format!("{} ASC", printed(&order.expr)),
        Some(false) => format!("{} DESC", printed(&order.expr)),
        None => printed(&order.expr),
    });
    each.collect::<Vec<_>>().join(", ")
}
