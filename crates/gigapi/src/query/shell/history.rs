//! Where a shell's history is kept: the user's state folder, as the XDG base directories name it.
//!
//! Statements may hold what others should not read, so folder and file are the user's alone; a line that begins with a
//! space is not kept at all. A history that cannot be kept is told of once and stops nobody.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The file of the history; nothing where there is no home.
pub(super) fn path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("gigapi/history"))
}

/// Makes the folder in which the history lies.
pub(super) fn prepare(path: &std::path::Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))
}
