use datafusion::prelude::{col, lit};

use super::*;

fn wanted(filters: &[Expr]) -> Wanted {
    Wanted::of(filters, &["database"], &["table"])
}

#[test]
fn equality_lists_and_their_combinations_name_what_is_wanted() {
    let cases = [
        (col("database").eq(lit("a")), vec!["a"]),
        (lit("a").eq(col("database")), vec!["a"]),
        (col("database").in_list(vec![lit("a"), lit("b")], false), vec!["a", "b"]),
        (col("database").eq(lit("a")).or(col("database").eq(lit("b"))), vec!["a", "b"]),
        (col("database").eq(lit("a")).and(col("rows").gt(lit(1))), vec!["a"]),
        (col("database").eq(lit("a")).and(col("database").eq(lit("b"))), vec![]),
    ];
    for (filter, expected) in cases {
        let wanted = wanted(std::slice::from_ref(&filter));
        for name in ["a", "b", "c"] {
            assert_eq!(wanted.has_database(name), expected.contains(&name), "{filter} {name}");
        }
        assert!(wanted.has_table("anything"));
    }
}

#[test]
fn what_is_not_understood_leaves_all() {
    let filters = [
        col("database").not_eq(lit("a")),
        col("database").in_list(vec![lit("a")], true),
        col("database").eq(lit("a")).or(col("table").eq(lit("t"))),
        col("database").like(lit("a%")),
        col("database").eq(col("table")),
    ];
    for filter in filters {
        assert_eq!(wanted(std::slice::from_ref(&filter)), Wanted::default(), "{filter}");
    }
}
