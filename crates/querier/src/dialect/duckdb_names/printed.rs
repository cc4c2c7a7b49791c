//! How DuckDB prints an expression.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, DateTimeField, Expr, Interval, Subscript, TimezoneInfo,
    UnaryOperator, Value,
};

use super::call::call;
use crate::dialect::duckdb_keywords::is_quoted;

pub(super) fn printed(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => name(&ident.value),
        Expr::CompoundIdentifier(idents) => idents.iter().map(|ident| name(&ident.value)).collect::<Vec<_>>().join("."),
        Expr::Nested(inner) => printed(inner),
        Expr::Value(value) => literal(&value.value),
        Expr::Function(function) => call(function),
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let mut all = Vec::new();
            joined(left, op, &mut all);
            joined(right, op, &mut all);
            format!("({})", all.join(&format!(" {op} ")))
        }
        Expr::BinaryOp { left, op, right } => format!("({} {} {})", printed(left), operator(op), printed(right)),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => negated(expr),
        Expr::UnaryOp { op, expr } => match (op, &**expr) {
            (UnaryOperator::Minus, Expr::Value(value)) => format!("-{}", literal(&value.value)),
            (op, inner) => format!("{op}({})", printed(inner)),
        },
        Expr::IsNull(inner) => format!("({} IS NULL)", printed(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", printed(inner)),
        Expr::IsDistinctFrom(a, b) => format!("({} IS DISTINCT FROM {})", printed(a), printed(b)),
        Expr::IsNotDistinctFrom(a, b) => format!("({} IS NOT DISTINCT FROM {})", printed(a), printed(b)),
        Expr::Cast { kind, expr, data_type, .. } => {
            let word = if *kind == CastKind::TryCast { "TRY_CAST" } else { "CAST" };
            format!("{word}({} AS {})", printed(expr), type_name(data_type))
        }
        Expr::TypedString(typed) => {
            format!("CAST({} AS {})", literal(&typed.value.value), type_name(&typed.data_type))
        }
        Expr::Interval(written) => interval(written),
        Expr::InList { expr, list, negated } => {
            let not = if *negated { "NOT " } else { "" };
            format!("({} {not}IN ({}))", printed(expr), all(list))
        }
        Expr::InSubquery { expr, subquery, negated } => {
            let sign = if *negated { "!= ALL" } else { "= ANY" };
            format!("({} {sign}({subquery}))", printed(expr))
        }
        Expr::Between { expr, negated, low, high } => {
            let between = format!("({} BETWEEN {} AND {})", printed(expr), printed(low), printed(high));
            if *negated { format!("(NOT {between})") } else { between }
        }
        Expr::Like { negated, expr, pattern, escape_char: None, any: false } => {
            format!("({} {} {})", printed(expr), if *negated { "!~~" } else { "~~" }, printed(pattern))
        }
        Expr::ILike { negated, expr, pattern, escape_char: None, any: false } => {
            format!("({} {} {})", printed(expr), if *negated { "!~~*" } else { "~~*" }, printed(pattern))
        }
        Expr::SimilarTo { negated: false, expr, pattern, escape_char: None } => {
            format!("regexp_full_match({}, {})", printed(expr), printed(pattern))
        }
        Expr::Extract { field, expr, .. } => {
            format!("main.date_part('{}', {})", field.to_string().to_lowercase(), printed(expr))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            case(operand.as_deref(), conditions, else_result.as_deref())
        }
        Expr::Array(list) => format!("main.list_value({})", all(&list.elem)),
        Expr::Dictionary(fields) => {
            let fields = fields.iter().map(|field| format!("{} := {}", field.key.value, printed(&field.value)));
            format!("main.struct_pack({})", fields.collect::<Vec<_>>().join(", "))
        }
        Expr::CompoundFieldAccess { root, access_chain } => access(root, access_chain),
        Expr::Exists { subquery, negated } => {
            format!("{}EXISTS({subquery})", if *negated { "NOT " } else { "" })
        }
        other => other.to_string(),
    }
}

pub(super) fn all(exprs: &[Expr]) -> String {
    exprs.iter().map(printed).collect::<Vec<_>>().join(", ")
}

/// A column's or a function's name.
pub(super) fn name(name: &str) -> String {
    if is_quoted(name) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// The parts of a chain of `AND` or `OR`.
fn joined(expr: &Expr, op: &BinaryOperator, all: &mut Vec<String>) {
    match expr {
        Expr::BinaryOp { left, op: same, right } if same == op => {
            joined(left, op, all);
            joined(right, op, all);
        }
        other => all.push(printed(other)),
    }
}

/// DuckDB turns a comparison round instead of negating it.
fn negated(expr: &Expr) -> String {
    let inner = match expr {
        Expr::Nested(inner) => inner,
        other => other,
    };
    let turned = match inner {
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::Gt => Some("<="),
            BinaryOperator::GtEq => Some("<"),
            BinaryOperator::Lt => Some(">="),
            BinaryOperator::LtEq => Some(">"),
            BinaryOperator::Eq => Some("!="),
            BinaryOperator::NotEq => Some("="),
            _ => None,
        },
        _ => None,
    };
    match (inner, turned) {
        (Expr::BinaryOp { left, right, .. }, Some(op)) => format!("({} {op} {})", printed(left), printed(right)),
        _ => format!("(NOT {})", printed(inner)),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Boolean(value) => format!("CAST('{}' AS BOOLEAN)", if *value { 't' } else { 'f' }),
        Value::Number(digits, _) => number(&digits.replace('_', "")),
        other => other.to_string(),
    }
}

/// A number with an exponent is printed without.
fn number(digits: &str) -> String {
    match digits.parse::<f64>() {
        Ok(value) if digits.contains(['e', 'E']) => format!("{value:?}"),
        _ => digits.to_owned(),
    }
}

fn operator(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::NotEq => "!=".to_owned(),
        other => other.to_string(),
    }
}

fn type_name(written: &DataType) -> String {
    if let DataType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) = written {
        return "TIMESTAMP WITH TIME ZONE".to_owned();
    }
    let written = written.to_string().to_ascii_uppercase();
    match written.as_str() {
        "INT" | "INT4" => "INTEGER".to_owned(),
        "INT8" | "LONG" => "BIGINT".to_owned(),
        "INT2" => "SMALLINT".to_owned(),
        "TEXT" | "STRING" => "VARCHAR".to_owned(),
        "FLOAT8" => "DOUBLE".to_owned(),
        "FLOAT4" | "REAL" => "FLOAT".to_owned(),
        "BOOL" => "BOOLEAN".to_owned(),
        other => other.replace(", ", ","),
    }
}

fn interval(interval: &Interval) -> String {
    let Some(field) = &interval.leading_field else {
        return format!("CAST({} AS INTERVAL)", printed(&interval.value));
    };
    let (function, number) = match field {
        DateTimeField::Year | DateTimeField::Years => ("to_years", "INTEGER"),
        DateTimeField::Month | DateTimeField::Months => ("to_months", "INTEGER"),
        DateTimeField::Week(None) | DateTimeField::Weeks => ("to_weeks", "INTEGER"),
        DateTimeField::Day | DateTimeField::Days => ("to_days", "INTEGER"),
        DateTimeField::Hour | DateTimeField::Hours => ("to_hours", "BIGINT"),
        DateTimeField::Minute | DateTimeField::Minutes => ("to_minutes", "BIGINT"),
        DateTimeField::Second | DateTimeField::Seconds => {
            return format!("to_seconds(CAST({} AS DOUBLE))", printed(&interval.value));
        }
        _ => return interval.to_string(),
    };
    format!("{function}(CAST(trunc(CAST({} AS DOUBLE)) AS {number}))", printed(&interval.value))
}

fn case(operand: Option<&Expr>, conditions: &[CaseWhen], otherwise: Option<&Expr>) -> String {
    let conditions = conditions.iter().map(|when| {
        let condition = match operand {
            Some(operand) => format!("({} = {})", printed(operand), printed(&when.condition)),
            None => printed(&when.condition),
        };
        format!("WHEN ({condition}) THEN ({})", printed(&when.result))
    });
    let conditions = conditions.collect::<Vec<_>>().join(" ");
    format!("CASE  {conditions} ELSE {} END", otherwise.map_or_else(|| "NULL".to_owned(), printed))
}

fn access(root: &Expr, chain: &[datafusion::sql::sqlparser::ast::AccessExpr]) -> String {
    use datafusion::sql::sqlparser::ast::AccessExpr;
    let mut text = printed(root);
    for each in chain {
        match each {
            AccessExpr::Subscript(Subscript::Index { index }) => text = format!("{text}[{}]", printed(index)),
            other => text = format!("{text}{other}"),
        }
    }
    text
}
