//! Calls that are other expressions, as text: `$1` is the first argument.
//!
//! The texts are ours and parsed once. What a statement brings is put in as syntax trees and never as text.

use std::collections::HashMap;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Expr, Value};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use crate::dialect::syntax::Syntax;
use crate::{Error, Result};

/// Functions that are only called something else here.
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("array_split", "string_to_array"),
    ("gen_random_uuid", "uuid"),
    ("lcase", "lower"),
    ("list_pack", "make_array"),
    ("list_value", "make_array"),
    ("listagg", "string_agg"),
    ("ord", "ascii"),
    ("prefix", "starts_with"),
    ("split", "string_to_array"),
    ("str_split", "string_to_array"),
    ("string_split", "string_to_array"),
    ("strlen", "octet_length"),
    ("suffix", "ends_with"),
    ("ucase", "upper"),
    ("unicode", "ascii"),
    ("variance", "var_samp"),
];

/// Functions with their number of arguments and what they are.
const TEMPLATES: &[(&str, usize, &str)] = &[
    ("arg_max", 2, "first_value($1 ORDER BY $2 DESC) FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL)"),
    ("arg_min", 2, "first_value($1 ORDER BY $2 ASC) FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL)"),
    ("count_if", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("approx_quantile", 2, "approx_percentile_cont($2) WITHIN GROUP (ORDER BY $1)"),
    (
        "quantile_disc",
        2,
        "array_element(array_agg($1 ORDER BY $1) FILTER (WHERE $1 IS NOT NULL),
            CAST(greatest(ceil($2 * count($1)), 1) AS BIGINT))",
    ),
    ("group_concat", 1, "string_agg($1, ',')"),
    ("group_concat", 2, "string_agg($1, $2)"),
    (
        "selector_first",
        2,
        "named_struct('value', first_value($1 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL),
            'time', first_value($2 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL))",
    ),
    (
        "selector_last",
        2,
        "named_struct('value', first_value($1 ORDER BY $2 DESC) FILTER (WHERE $1 IS NOT NULL),
            'time', first_value($2 ORDER BY $2 DESC) FILTER (WHERE $1 IS NOT NULL))",
    ),
    (
        "selector_min",
        2,
        "named_struct('value', first_value($1 ORDER BY $1, $2) FILTER (WHERE $1 IS NOT NULL),
            'time', first_value($2 ORDER BY $1, $2) FILTER (WHERE $1 IS NOT NULL))",
    ),
    (
        "selector_max",
        2,
        "named_struct('value', first_value($1 ORDER BY $1 DESC, $2) FILTER (WHERE $1 IS NOT NULL),
            'time', first_value($2 ORDER BY $1 DESC, $2) FILTER (WHERE $1 IS NOT NULL))",
    ),
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    (
        "regexp_extract",
        2,
        "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL
            THEN coalesce(array_element(regexp_match($1, concat('(', $2, ')')), 1), '') END",
    ),
    (
        "regexp_extract",
        3,
        "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL AND $3 IS NOT NULL
            THEN coalesce(array_element(regexp_match($1, concat('(', $2, ')')), $3 + 1), '') END",
    ),
    (
        "regexp_extract",
        4,
        "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL AND $3 IS NOT NULL
            THEN coalesce(array_element(regexp_match($1, concat('(', $2, ')'), $4), $3 + 1), '') END",
    ),
    ("regexp_full_match", 2, "regexp_like($1, concat('^(?:', $2, ')$'))"),
    ("date_add", 2, "$1 + $2"),
    ("date", 1, "CAST($1 AS DATE)"),
    ("dayname", 1, "to_char(CAST($1 AS TIMESTAMP), '%A')"),
    ("monthname", 1, "to_char(CAST($1 AS TIMESTAMP), '%B')"),
    ("last_day", 1, "CAST(date_trunc('month', CAST($1 AS TIMESTAMP)) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)"),
    ("yearweek", 1, "CAST(date_part('isoyear', $1) AS BIGINT) * 100 + CAST(date_part('week', $1) AS BIGINT)"),
    (
        "make_timestamp",
        6,
        "make_timestamp_ns(
            epoch_ns(CAST(make_date(CAST($1 AS INTEGER), CAST($2 AS INTEGER), CAST($3 AS INTEGER)) AS TIMESTAMP))
            + (CAST($4 AS BIGINT) * 3600 + CAST($5 AS BIGINT) * 60) * 1000000000
            + CAST(round($6 * 1000000000) AS BIGINT))",
    ),
    ("mod", 2, "$1 % $2"),
    (POWER, 2, "power(CAST($1 AS DOUBLE), CAST($2 AS DOUBLE))"),
    (UNITS, 3, "epoch_ns(date_trunc($3, CAST($2 AS TIMESTAMP))) - epoch_ns(date_trunc($3, CAST($1 AS TIMESTAMP)))"),
    (NANOSECONDS, 2, "epoch_ns(CAST($2 AS TIMESTAMP)) - epoch_ns(CAST($1 AS TIMESTAMP))"),
    (
        WEEKS,
        2,
        "epoch_ns(date_trunc('day', CAST($2 AS TIMESTAMP))) // 604800000000000
        - epoch_ns(date_trunc('day', CAST($1 AS TIMESTAMP))) // 604800000000000",
    ),
    (MONTHS, 2, "year($2) * 12 + month($2) - (year($1) * 12 + month($1))"),
    (QUARTERS, 2, "year($2) * 4 + quarter($2) - (year($1) * 4 + quarter($1))"),
    (YEARS, 2, "year($2) - year($1)"),
];

/// Other names of functions with templates.
const ALIASES: &[(&str, &str)] = &[
    ("argmax", "arg_max"),
    ("max_by", "arg_max"),
    ("argmin", "arg_min"),
    ("min_by", "arg_min"),
    ("countif", "count_if"),
    ("iff", "if"),
    ("quantile", "quantile_disc"),
];

// Of no function: no statement can name them.
pub(super) const POWER: &str = "^";
pub(super) const UNITS: &str = "difference in units";
pub(super) const NANOSECONDS: &str = "difference in nanoseconds";
pub(super) const WEEKS: &str = "difference in weeks";
pub(super) const MONTHS: &str = "difference in months";
pub(super) const QUARTERS: &str = "difference in quarters";
pub(super) const YEARS: &str = "difference in years";

/// Functions inside templates that aggregate: a `FILTER` or an `OVER` of the call is theirs.
pub(super) const AGGREGATES: &[&str] = &["first_value", "count", "approx_percentile_cont", "array_agg", "string_agg"];

type Parsed = HashMap<(&'static str, usize), Expr>;

static PARSED: LazyLock<std::result::Result<Parsed, ParserError>> = LazyLock::new(|| {
    let parsed = TEMPLATES.iter().map(|(name, arguments, text)| {
        let expr = Parser::new(&Syntax::default()).try_with_sql(text)?.parse_expr()?;
        Ok(((*name, *arguments), expr))
    });
    parsed.collect()
});

/// The name of that function among the templates.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

/// Whether there is a template of that name, with any number of arguments.
pub(super) fn is_known(name: &str) -> bool {
    let name = canonical(name);
    TEMPLATES.iter().any(|(known, _, _)| *known == name)
}

/// What such a call is, with `$1` and so on in the places of the arguments.
pub(super) fn template(name: &str, arguments: usize) -> Result<Option<&'static Expr>> {
    let parsed = PARSED.as_ref().map_err(|error| Error::internal(format!("a template of a function: {error}")))?;
    let name = canonical(name);
    Ok(parsed.iter().find(|((known, count), _)| *known == name && *count == arguments).map(|(_, expr)| expr))
}

/// Which argument that is, if it is the place of one.
pub(super) fn place(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Value::Placeholder(name) = &value.value else { return None };
    name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}
