use std::path::Path;

use crate::settings::markdown_table;

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
