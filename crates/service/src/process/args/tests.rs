use std::path::Path;

use super::*;
use crate::settings::markdown_table;

#[test]
fn flags_hold_secrets_and_do_not_show_them() {
    let typed = ["gigapi", "--secret", "canary", "--metadata-url", "redis://:canary@host", "--http-port", "1"];
    let matches = SettingsArgs::augment_args(Command::new("gigapi")).get_matches_from(typed);
    let args = SettingsArgs::from_arg_matches(&matches).unwrap();
    let shown = format!("{args:?}");
    assert!(shown.contains("GIGAPI_SECRET") && !shown.contains("canary"), "{shown}");
}

/// `UPDATE_README=1` writes what the test wants to find.
#[test]
fn the_readme_lists_the_settings_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("<!-- settings -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /settings -->").unwrap();
    let expected = format!("{before}<!-- settings -->\n{}\n<!-- /settings -->{after}", markdown_table().trim_end());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(readme, expected, "run the test again with UPDATE_README=1");
    }
}
