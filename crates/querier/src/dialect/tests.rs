use super::*;

fn refused_as(sql: &str) -> String {
    match parse(sql) {
        Err(Error::Refused { what, .. }) => what,
        other => panic!("{sql} gave {other:?}"),
    }
}

#[test]
fn queries_and_descriptions_are_recognised() {
    assert!(matches!(parse("select 1"), Ok(Command::Query(_))));
    assert!(matches!(parse("WITH a AS (SELECT 1) SELECT * FROM a;"), Ok(Command::Query(_))));
    assert!(matches!(parse("EXPLAIN ANALYZE SELECT 1"), Ok(Command::Query(_))));
    assert!(matches!(parse("show databases"), Ok(Command::ShowDatabases(_))));
    assert!(matches!(parse("SHOW TABLES"), Ok(Command::ShowTables(None, _))));
    assert!(matches!(parse("SHOW TABLES FROM mydb"), Ok(Command::ShowTables(Some(db), _)) if db == "mydb"));
    assert!(matches!(parse("SHOW ALL TABLES"), Ok(Command::ShowAllTables)));
    assert!(matches!(parse("DESCRIBE weather"), Ok(Command::DescribeTable(..))));
    assert!(matches!(parse("SUMMARIZE weather"), Ok(Command::Query(query)) if query.summarized));
    let like = Like { pattern: Some("a%".to_owned()), any_case: true };
    assert!(matches!(parse("SHOW TABLES ILIKE 'a%'"), Ok(Command::ShowTables(None, shown)) if shown == like));
    assert!(matches!(parse("DESCRIBE SELECT * FROM t LIMIT 1"), Ok(Command::DescribeQuery(_))));
    assert!(matches!(parse("  ;\n"), Ok(Command::Nothing)));
}

#[test]
fn whatever_changes_something_is_refused_by_name() {
    let statements = [
        ("COPY t TO '/tmp/x.parquet'", "COPY"),
        ("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'", "CREATE EXTERNAL TABLE"),
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("UPDATE t SET a = 1", "UPDATE"),
        ("DELETE FROM t", "DELETE"),
        ("DROP TABLE t", "DROP"),
        ("CREATE TABLE t (a INT)", "CREATE"),
        ("ATTACH '/tmp/x.db' AS x", "ATTACH"),
        ("SET datafusion.execution.batch_size = 1", "SET"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("select 1; select 2", "more than one statement"),
        ("BEGIN", "BEGIN"),
    ];
    for (sql, what) in statements {
        assert_eq!(refused_as(sql), what, "{sql}");
    }
}

#[test]
fn nesting_without_end_is_an_error_and_not_a_crash() {
    let deep = format!("select {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(parse(&deep).is_err());
}

#[test]
fn bad_syntax_says_where() {
    let error = parse("SELECT count(*) FRM t WHERE").unwrap_err().to_string();
    assert!(error.starts_with("SQL syntax: "), "{error}");
    assert!(error.contains("Column"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,200}", words in proptest::collection::vec("select|from|where|time|\\(|\\)|,|'|\"|::|\\*|t|1|case|over|between|and|interval|not|join|explain|describe|show|with|as", 0..40)) {
        let _ = parse(&text);
        if let Ok(Command::Query(mut query)) = parse(&words.join(" ")) {
            let Ok(scope) = Scope::of(&query) else { return Ok(()) };
            let names = Names::new(scope, std::collections::HashMap::new(), true);
            name_columns(&mut query).unwrap();
            let _ = unify(&mut query, &names);
            let _ = expand(&mut query, crate::Habits::DuckDb, "mydb");
        }
    }
}
