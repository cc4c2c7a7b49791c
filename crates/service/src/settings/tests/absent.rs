//! Settings that ask for what this version does not have.

use super::*;

fn warnings(pairs: &[(&str, &str)]) -> Vec<String> {
    load(&environment(pairs)).unwrap().warnings
}

#[test]
fn whoever_asks_for_what_is_not_there_is_told() {
    let told = "GIGAPI_UI (environment variable GIGAPI_UI) has no effect in this version: there is no web interface";
    assert_eq!(warnings(&[("GIGAPI_UI", "true")]), [told]);
    let in_a_file = load(&sources(&[], &[], Some("ui = true"))).unwrap().warnings;
    assert!(in_a_file[0].starts_with("GIGAPI_UI (gigapi.toml:1, key ui) has no"), "{in_a_file:?}");
}

#[test]
fn whoever_gets_what_they_ask_for_is_told_nothing() {
    let nothing: [&[(&str, &str)]; 4] = [
        &[],
        &[("GIGAPI_UI", "false")],
        &[("FLIGHTSQL_ENABLE", "true"), ("FLIGHTSQL_PORT", "8083")],
        &[("GIGAPI_NO_MERGES", "true"), ("GIGAPI_MERGE_TIMEOUT_S", "1m"), ("GIGAPI_COMPACTOR_PARALLELISM", "1")],
    ];
    for pairs in nothing {
        assert_eq!(warnings(pairs), Vec::<String>::new(), "{pairs:?}");
    }
}

#[test]
fn the_table_says_what_has_no_effect() {
    let table = markdown_table();
    let absent = SETTINGS.iter().chain(LAYER_PARTS).filter(|setting| setting.absent.is_some());
    let row = |name: &str| table.lines().find(|line| line.contains(&format!("{name}`"))).unwrap();
    let rows = absent.map(|setting| row(setting.name)).collect::<Vec<_>>();
    assert_eq!(rows.len(), 1);
    assert!(rows.iter().all(|row| row.ends_with("; no effect yet. |")), "{rows:#?}");
    assert_eq!(table.matches("no effect yet").count(), 1);
}

/// A warning at every start is one that nobody reads.
#[test]
fn the_deployments_ask_for_nothing_that_is_not_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kustomize/base/settings");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for (process, elsewhere) in [("single", &[][..]), ("writer", &REDIS), ("querier", &REDIS), ("compactor", &REDIS)] {
        let shared = if process == "single" { String::new() } else { read("shared.env") };
        let text = format!("{shared}\n{}", read(&format!("{process}.env")));
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut pairs: Vec<(&str, &str)> = lines.map(|line| line.split_once('=').unwrap()).collect();
        assert!(pairs.len() > 2, "{process} has no settings");
        pairs.extend_from_slice(elsewhere);
        let told = warnings(&pairs);
        assert!(!told.iter().any(|warning| warning.contains("in this version")), "{process}: {told:?}");
    }
}
