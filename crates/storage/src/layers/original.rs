//! Recognises the data folder of the original GigAPI, so that a start can name it and leave it alone.
//!
//! Asked once, when a layer is claimed, because later our own files look the same. It looks only as deep as needed and at a bounded number of folders, reads no file, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A start must not walk a large foreign folder for minutes.
const FOLDERS_MAX: usize = 10_000;

/// A table that the original wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalData {
    /// The folder of its database.
    pub database: String,
    /// The folder of the table.
    pub table: String,
    /// The `metadata.json` or the first day folder that gave it away.
    pub evidence: PathBuf,
}

/// The first table of the original below `root`, a folder that is not ours yet.
///
/// Tables lie there as `<db>/<table>/date=…/hour=…/metadata.json` or `<db>/<table>/data/date=…`.
pub(super) fn original_data(root: &Path) -> Option<OriginalData> {
    let mut left = FOLDERS_MAX;
    for database in folders(root, &mut left) {
        for table in folders(&database, &mut left) {
            if let Some(evidence) = evidence(&table, &mut left) {
                return Some(OriginalData { database: name(&database), table: name(&table), evidence });
            }
        }
    }
    None
}

fn evidence(table: &Path, left: &mut usize) -> Option<PathBuf> {
    if let Some(day) = folders(&table.join("data"), left).into_iter().find(|folder| starts_with(folder, "date=")) {
        return Some(day);
    }
    for day in folders(table, left).into_iter().filter(|folder| starts_with(folder, "date=")) {
        for hour in folders(&day, left).into_iter().filter(|folder| starts_with(folder, "hour=")) {
            let metadata = hour.join("metadata.json");
            if metadata.exists() {
                return Some(metadata);
            }
        }
    }
    None
}

/// The folders in `parent` by name; none if it cannot be read or the bound is used up.
fn folders(parent: &Path, left: &mut usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(*left)
        .collect();
    *left -= found.len();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    name(path).starts_with(prefix)
}
