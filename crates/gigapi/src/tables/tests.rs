use super::*;

#[test]
fn a_table_is_named_with_its_database_or_lies_in_the_default_one() {
    assert_eq!(split("db.cpu", "default"), ("db", "cpu"));
    assert_eq!(split("db.cpu.load", "default"), ("db", "cpu.load"));
    assert_eq!(split("cpu", "default"), ("default", "cpu"));
}

#[test]
fn an_assignment_has_a_key_and_a_value() {
    let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
    assert_eq!(assignment("merge.enabled=false"), pair("merge.enabled", "false"));
    assert_eq!(assignment("a=b=c"), pair("a", "b=c"));
    for wrong in ["merge.enabled", "=x", ""] {
        assert!(assignment(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_drop_that_nobody_confirms_is_not_made() {
    assert!(confirm(true, "drop it").is_ok());
    // Tests have no terminal, or nobody who types.
    if !stdin().is_terminal() {
        assert!(confirm(false, "drop it").unwrap_err().to_string().contains("--yes"));
    }
}
