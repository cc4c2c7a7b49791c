//! The rules about the code itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which of our crates each may use.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("gigapi-model", &[]),
    ("gigapi-catalog", &["gigapi-model"]),
    ("gigapi-storage", &["gigapi-model"]),
    ("gigapi-rows", &["gigapi-model"]),
    ("gigapi-recovery", &["gigapi-model", "gigapi-catalog", "gigapi-storage"]),
    ("gigapi-service", &["gigapi-model", "gigapi-catalog", "gigapi-storage"]),
    (
        "gigapi-writer",
        &["gigapi-model", "gigapi-catalog", "gigapi-storage", "gigapi-rows", "gigapi-recovery", "gigapi-service"],
    ),
    (
        "gigapi-querier",
        &["gigapi-model", "gigapi-catalog", "gigapi-storage", "gigapi-rows", "gigapi-recovery", "gigapi-service"],
    ),
    (
        "gigapi-compactor",
        &["gigapi-model", "gigapi-catalog", "gigapi-storage", "gigapi-rows", "gigapi-recovery", "gigapi-service"],
    ),
    (
        "gigapi",
        &[
            "gigapi-model",
            "gigapi-catalog",
            "gigapi-storage",
            "gigapi-rows",
            "gigapi-recovery",
            "gigapi-service",
            "gigapi-writer",
            "gigapi-querier",
            "gigapi-compactor",
        ],
    ),
];

/// Libraries that only these crates may use.
const ONLY_IN: [(&str, &[&str]); 7] = [
    ("datafusion", &["gigapi-querier"]),
    ("rusqlite", &["gigapi-catalog"]),
    ("redis", &["gigapi-catalog"]),
    ("axum", &["gigapi-service", "gigapi-writer", "gigapi-querier", "gigapi-compactor"]),
    ("hyper", &["gigapi-service", "integration-tests"]),
    ("hyper-util", &["gigapi-service", "integration-tests"]),
    ("rustyline", &["gigapi"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn crates_depend_on_each_other_as_the_architecture_says() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let ours: BTreeSet<&str> = allowed.keys().copied().collect();
    let mut seen = BTreeSet::new();
    for package in &metadata.packages {
        let Some(may_use) = allowed.get(package.name.as_str()) else {
            assert_eq!(package.name.as_str(), "integration-tests", "crate {} is not in the architecture", package.name);
            continue;
        };
        seen.insert(package.name.to_string());
        for dependency in package.dependencies.iter().filter(|each| each.kind == DependencyKind::Normal) {
            let name = dependency.name.as_str();
            if ours.contains(name) {
                assert!(may_use.contains(&name), "{} may not use {name}", package.name);
            }
            if let Some((_, only)) = ONLY_IN.iter().find(|(library, _)| *library == name) {
                assert!(only.contains(&package.name.as_str()), "{} may not use {name}", package.name);
            }
        }
    }
    assert_eq!(seen.len(), MAY_USE.len(), "a crate of the architecture is missing");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("fuzz") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn files_stay_short_and_say_what_they_are() {
    /// Lines of a file that is not a test.
    const LINES_MAX: usize = 450;
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    assert!(files.len() > 100, "the sources were not found");
    for path in files.iter().filter(|path| !is_test(path)) {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; find the second thing that lives there", path.display());
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
    }
}
