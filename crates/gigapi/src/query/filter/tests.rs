use super::*;

fn source(name: Option<&str>, text: &str) -> Source {
    Source { name: name.map(str::to_owned), text: text.to_owned() }
}

#[test]
fn a_statement_that_failed_is_named_where_there_are_several() {
    let file = source(Some("a.sql"), "SELECT 1;\nSELECT\n  2");
    let statements = split(&file.text).statements;
    assert_eq!(place(&file, &statements[1], 2, 2), "statement 2 of 2 failed, line 2 of a.sql (SELECT): ");
    let typed = source(None, "SELECT 1");
    assert_eq!(place(&typed, &split(&typed.text).statements[0], 1, 1), "");
    assert_eq!(place(&typed, &split(&typed.text).statements[0], 3, 4), "statement 3 of 4 failed (SELECT 1): ");
    let piped = source(Some("standard input"), "\n\nSELECT 1");
    assert_eq!(place(&piped, &split(&piped.text).statements[0], 1, 1), "line 3 of standard input: ");
}
