//! `strftime` and `strptime`: DuckDB's formats in the engine's words.

use datafusion::sql::sqlparser::ast::{Expr, Value};

use super::{call, text};
use crate::{Error, Result};

/// The text of a literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

/// A point in time as a text. Both orders of the arguments are DuckDB's.
pub(super) fn strftime(given: &[Expr]) -> Result<Expr> {
    let (time, format) = match given {
        [time, format] if literal(format).is_some() && !is_format(time) => (time, format),
        [format, time] if literal(format).is_some() => (time, format),
        _ => {
            return Err(Error::invalid(
                "strftime takes a point in time and a format in quotes: strftime(time, '%Y-%m-%d %H:%M')",
            ));
        }
    };
    let format = translated(literal(format).unwrap_or_default())?;
    let data_type =
        datafusion::sql::sqlparser::ast::DataType::Timestamp(None, datafusion::sql::sqlparser::ast::TimezoneInfo::None);
    let time = Expr::Cast {
        kind: datafusion::sql::sqlparser::ast::CastKind::Cast,
        expr: Box::new(time.clone()),
        data_type,
        array: false,
        format: None,
    };
    Ok(Expr::Function(call("to_char", vec![time, text(&format)])))
}

/// A text as a point in time.
pub(super) fn strptime(given: &[Expr]) -> Result<Expr> {
    let wrong = || Error::invalid("strptime takes a text and a format in quotes: strptime(text, '%Y-%m-%d %H:%M:%S')");
    let [written, format] = given else { return Err(wrong()) };
    let formats = match format {
        Expr::Array(list) => list.elem.iter().collect(),
        one => vec![one],
    };
    let mut all = vec![written.clone()];
    for format in formats {
        all.push(text(&translated(literal(format).ok_or_else(wrong)?)?));
    }
    Ok(Expr::Function(call("to_timestamp", all)))
}

fn is_format(expr: &Expr) -> bool {
    literal(expr).is_some_and(|text| text.contains('%'))
}

/// The specifiers that mean something else to the engine.
fn translated(format: &str) -> Result<String> {
    let mut out = String::with_capacity(format.len() + 8);
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            // Fractions of a second: microseconds, milliseconds, nanoseconds.
            Some('f') => out.push_str("%6f"),
            Some('g') => out.push_str("%3f"),
            Some('n') => out.push_str("%9f"),
            Some('-') => {
                out.push_str("%-");
                out.extend(rest.next());
            }
            Some(known) if "aAwdbBmyYHIpMSzZjUWcxXGuV%".contains(known) => {
                out.push('%');
                out.push(known);
            }
            Some(other) => return Err(Error::invalid(format!("the format {format:?} has an unknown %{other}"))),
            None => return Err(Error::invalid(format!("the format {format:?} ends with a single %"))),
        }
    }
    Ok(out)
}
