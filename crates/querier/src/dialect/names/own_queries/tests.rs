use super::super::Scope;
use crate::dialect::{Command, parse};

/// The tables that are looked up for a statement.
fn tables(sql: &str) -> Vec<String> {
    let Ok(Command::Query(query)) = parse(sql) else { panic!("{sql} is no query") };
    Scope::of(&query).unwrap().tables.iter().map(|parts| parts.join(".")).collect()
}

#[test]
fn a_name_that_means_a_query_of_the_statement_is_no_table() {
    for sql in [
        "WITH x AS (SELECT * FROM cpu) SELECT * FROM x",
        "WITH x AS (SELECT * FROM cpu) SELECT * FROM X AS other JOIN x ON true",
        "WITH x AS (SELECT * FROM cpu), y AS (SELECT * FROM x) SELECT * FROM y WHERE a IN (SELECT a FROM x)",
        "WITH x AS (SELECT * FROM cpu) SELECT * FROM (SELECT * FROM (SELECT * FROM x) UNION ALL SELECT * FROM x)",
        "SELECT * FROM (WITH x AS (SELECT * FROM cpu) SELECT * FROM x)",
        "WITH y AS (WITH x AS (SELECT * FROM cpu) SELECT * FROM x) SELECT * FROM y",
        "WITH RECURSIVE x AS (SELECT a FROM cpu UNION ALL SELECT a + 1 FROM x WHERE a < 9) SELECT * FROM x",
    ] {
        assert_eq!(tables(sql), ["cpu"], "{sql}");
    }
    assert_eq!(tables("WITH x AS (SELECT 1 AS a) SELECT * FROM x"), [""; 0]);
    assert_eq!(tables("WITH RECURSIVE x AS (SELECT * FROM x) SELECT * FROM x"), [""; 0]);
}

#[test]
fn a_name_is_a_table_where_the_query_is_not_seen() {
    for (sql, expected) in [
        ("WITH cpu AS (SELECT * FROM cpu) SELECT * FROM cpu", &["cpu"] as &[&str]),
        ("WITH x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x, y", &["y"]),
        ("SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) AS a, x", &["x"]),
        ("WITH y AS (WITH x AS (SELECT 1) SELECT * FROM x) SELECT * FROM y, x", &["x"]),
        ("WITH x AS (SELECT 1) SELECT * FROM db.x", &["db.x"]),
    ] {
        assert_eq!(tables(sql), expected, "{sql}");
    }
}
