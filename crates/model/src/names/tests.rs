use proptest::prelude::*;

use super::*;

#[test]
fn names_that_could_leave_their_folder_are_refused() {
    let long = "x".repeat(300);
    for text in ["", ".", "..", "../../x", "a/b", "a\\b", "a\0b", "_gigapi", "a\nb", long.as_str()] {
        assert!(DatabaseName::new(text).is_err(), "{text:?} was taken");
    }
    for text in ["", ".", "..", "a\0b", long.as_str()] {
        assert!(TableName::new(text).is_err(), "{text:?} was taken");
    }
}

#[test]
fn an_error_shows_the_name_and_the_rule() {
    let error = DatabaseName::new("a/b").unwrap_err().to_string();
    assert_eq!(error, r#"database name "a/b" holds a slash; use another character"#);
    let error = TableName::new(&"y".repeat(300)).unwrap_err().to_string();
    assert!(error.len() < 200, "{error}");
}

#[test]
fn dots_stay_part_of_a_table_name() {
    let name = TableName::new("system.cpu").unwrap();
    assert_eq!(name.path_segment(), "system.cpu");
    assert_eq!(TableName::new(".hidden").unwrap().path_segment(), "%2Ehidden");
}

proptest! {
    #[test]
    fn path_segments_are_reversible_and_plain(text in "\\PC{1,40}") {
        if let Ok(name) = TableName::new(&text) {
            let segment = name.path_segment();
            prop_assert!(segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.%".contains(&b)));
            prop_assert!(!segment.starts_with('.'));
            prop_assert_eq!(TableName::from_path_segment(&segment), Some(name));
        }
    }
}
