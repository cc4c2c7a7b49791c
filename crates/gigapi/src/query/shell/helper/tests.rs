use super::*;

#[test]
fn a_statement_is_whole_with_its_semicolon_and_a_command_without() {
    for whole in ["", "  ", "SELECT 1;", "SELECT\n1\n;", ".tables", " .mode csv", "quit", "EXIT", r"\q", "-- nothing"] {
        assert!(is_whole(whole), "{whole}");
    }
    for more in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "quit now", "/* ; "] {
        assert!(!is_whole(more), "{more}");
    }
}
