use super::*;

#[test]
fn the_place_of_a_syntax_error_is_marked() {
    let statement = "SELECT city,\n  FORM weather WHERE 1";
    let message = "SQL syntax: Expected: end of statement, found: weather at Line: 2, Column: 8";
    assert_eq!(marked(statement, message, 80).unwrap(), "    FORM weather WHERE 1\n         ^");
    let told = report(&Failure::Refused(message.to_owned()), "error: ", statement, 80);
    assert_eq!(told, format!("error: {message}\n    FORM weather WHERE 1\n         ^\n"));
}

#[test]
fn the_mark_stands_below_wide_characters_and_in_long_lines() {
    assert_eq!(
        marked("SELECT '東京' x y", "at Line: 1, Column: 15", 80).unwrap(),
        "  SELECT '東京' x y\n                  ^"
    );
    let long = format!("SELECT {} oops FROM t", "a, ".repeat(200));
    let column = long.find("oops").unwrap() + 1;
    let marked = marked(&long, &format!("at Line: 1, Column: {column}"), 60).unwrap();
    let (line, mark) = marked.split_once('\n').unwrap();
    assert!(width(line) <= 60, "{line}");
    let cells: Vec<char> = line.chars().collect();
    let at = mark.chars().count() - 1;
    assert_eq!(cells[at..at + 4].iter().collect::<String>(), "oops");
}

#[test]
fn positions_that_are_not_in_the_statement_are_not_marked() {
    for message in
        ["no position", "Line: 3, Column: 1", "Line: 0, Column: 1", "Line: x, Column: y", "Line: 1, Column: "]
    {
        assert_eq!(marked("SELECT 1", message, 80), None, "{message}");
    }
    // The end of the statement is a place.
    assert_eq!(marked("SELECT", "Line: 1, Column: 7", 80).unwrap(), "  SELECT\n        ^");
}

#[test]
fn a_message_cannot_move_the_cursor() {
    let failure = Failure::Refused("no column \"\u{1b}[2J\"\nsecond".to_owned());
    assert_eq!(report(&failure, "", "SELECT", 80), "no column \"\\u{1b}[2J\"\nsecond\n");
}
