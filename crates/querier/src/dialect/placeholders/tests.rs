use super::*;
use crate::dialect::{Command, parse};

fn numbered(sql: &str) -> Result<String> {
    let Command::Query(mut query) = parse(sql)? else { panic!("{sql} is not a query") };
    number_placeholders(&mut query)?;
    Ok(query.statement.to_string())
}

#[test]
fn question_marks_are_numbered_as_they_are_read() {
    for (written, expected) in [
        ("SELECT a FROM t WHERE b = ? AND c < ?", "SELECT a FROM t WHERE b = $1 AND c < $2"),
        ("SELECT a FROM t\nWHERE b = ?\nLIMIT ?", "SELECT a FROM t WHERE b = $1 LIMIT $2"),
        (
            "WITH x AS (SELECT ? AS one) SELECT ?, one FROM x ORDER BY one + ?",
            "WITH x AS (SELECT $1 AS one) SELECT $2, one FROM x ORDER BY one + $3",
        ),
        ("SELECT CASE ? WHEN ? THEN ? ELSE ? END", "SELECT CASE $1 WHEN $2 THEN $3 ELSE $4 END"),
        ("SELECT '?', \"?\" FROM t WHERE a = ?", "SELECT '?', \"?\" FROM t WHERE a = $1"),
        ("SELECT $name, ?", "SELECT $name, $1"),
        ("SELECT $2, $1", "SELECT $2, $1"),
    ] {
        assert_eq!(numbered(written).unwrap(), expected);
    }
}

#[test]
fn question_marks_beside_numbers_are_refused() {
    let error = numbered("SELECT ?, $1").unwrap_err().to_string();
    assert!(error.contains("not both"), "{error}");
}
