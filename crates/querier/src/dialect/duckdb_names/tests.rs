use datafusion::sql::sqlparser::ast::Statement;

use super::*;
use crate::dialect::{Command, parse};

fn names(items: &str) -> Vec<String> {
    let Command::Query(mut query) = parse(&format!("SELECT {items} FROM t")).unwrap() else { panic!("not a query") };
    name_columns(&mut query).unwrap();
    let Some(Statement::Query(query)) = crate::dialect::inner(&query.statement) else { panic!("not a query") };
    let SetExpr::Select(select) = &*query.body else { panic!("not a SELECT") };
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
        other => other.to_string(),
    };
    select.projection.iter().map(name).collect()
}

/// Each expression with what DuckDB 1.5 calls its column.
#[test]
fn columns_are_named_as_duckdb_names_them() {
    let cases = [
        ("count(*)", "count_star()"),
        ("COUNT()", "count_star()"),
        ("AVG(temperature)", "avg(temperature)"),
        ("max(time)", "max(\"time\")"),
        ("min(value)", "min(\"value\")"),
        ("sum(\"Foo\")", "sum(Foo)"),
        ("max(\"a b\")", "max(\"a b\")"),
        ("count(DISTINCT host)", "count(DISTINCT host)"),
        ("round(avg(temperature), 2)", "round(avg(temperature), 2)"),
        ("count(*) FILTER (WHERE host = 'a')", "count_star() FILTER (WHERE (host = 'a'))"),
        ("time_bucket(INTERVAL '5 minutes', time)", "time_bucket(CAST('5 minutes' AS INTERVAL), \"time\")"),
        ("'2025-01-01'::TIMESTAMP", "CAST('2025-01-01' AS TIMESTAMP)"),
        ("max(v)*2", "(max(v) * 2)"),
        ("max(-v)", "max((-(v)))"),
        ("count(v)::int", "CAST(count(v) AS INTEGER)"),
        ("host IN ('a','b')", "(host IN ('a', 'b'))"),
        ("v BETWEEN 1 AND 2", "(v BETWEEN 1 AND 2)"),
        ("host IS NULL", "(host IS NULL)"),
        (
            "sum(v) OVER (PARTITION BY host ORDER BY time DESC)",
            "sum(v) OVER (PARTITION BY host ORDER BY \"time\" DESC)",
        ),
        ("1", "1"),
        ("'a'", "'a'"),
        ("host", "host"),
        ("v AS w", "w"),
    ];
    for (written, expected) in cases {
        assert_eq!(names(written), [expected], "{written}");
    }
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    assert_eq!(names("count(*), count(*), count(*)"), ["count_star()", "count_star()_1", "count_star()_2"]);
}
