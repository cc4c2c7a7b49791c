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
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident.value.clone(),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => idents.last().unwrap().value.clone(),
        SelectItem::UnnamedExpr(Expr::Nested(inner)) => inner.to_string(),
        other => other.to_string(),
    };
    select.projection.iter().map(name).collect()
}

/// Each line is an expression and what DuckDB calls its columns.
#[test]
fn columns_are_named_as_duckdb_names_them() {
    let golden = include_str!("golden.tsv");
    assert!(golden.lines().count() > 140);
    let wrong: Vec<String> = golden
        .lines()
        .filter_map(|line| {
            let mut parts = line.split('\t').map(str::to_owned);
            let written = parts.next()?;
            let (expected, found) = (parts.collect::<Vec<_>>(), names(&written));
            (found != expected).then(|| format!("{written}: {found:?} instead of {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    assert_eq!(names("count(*), count(*), count(*)"), ["count_star()", "count_star()_1", "count_star()_2"]);
}
