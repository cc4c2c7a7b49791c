use super::*;

#[test]
fn what_is_known_is_told_and_nothing_else() {
    assert_eq!(described(None, 0, 0), "");
    assert_eq!(described(None, 2_000_000, 0), "2.00 MB received");
    assert_eq!(described(None, 0, 12_345), "12,345 rows received");
    let queued = QueryState { state: "queued".to_owned(), ..QueryState::default() };
    assert_eq!(described(Some(&queued), 0, 0), "waiting for its turn");
    let running = QueryState {
        state: "running".to_owned(),
        files_planned: 1_240,
        files_opened: 12,
        rows_scanned: 3_200_000,
        bytes_scanned: 120_000_000,
    };
    assert_eq!(
        described(Some(&running), 0, 7),
        "12 of 1,240 files · 3,200,000 rows · 120.00 MB read · 7 rows received"
    );
}

#[test]
fn more_files_than_planned_are_all_files() {
    let state = QueryState { files_planned: 2, files_opened: 5, ..QueryState::default() };
    assert_eq!(described(Some(&state), 0, 0), "2 of 2 files");
}

#[test]
fn every_style_can_be_parsed() {
    for template in ["{spinner} {since} {msg}", "{spinner} {since} {bar:20.cyan/dim} {msg}"] {
        assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
    }
}
