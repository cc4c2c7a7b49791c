//! Which folders are known to exist durably.
//!
//! A file survives a power loss only if every folder above it does, so a new folder's parent is synced before the
//! file counts. Remembering what was synced saves those syncs on every later file. A folder that somebody
//! removes is forgotten when a write into it fails, and made again.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;

use super::error::{DiskError, DiskResult};

/// Above this the memory is cleared: a folder costs a hundred bytes, forgetting one costs one sync.
const KNOWN_MAX: usize = 100_000;

/// Folders that exist durably, as far as this process knows.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    known: RwLock<HashSet<PathBuf>>,
}

impl Folders {
    /// The root counts as durable: its own parents are the operator's.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: RwLock::default() }
    }

    /// Makes `folder` and those above it. Returns the folders that have to be synced before files in `folder`
    /// survive, from the top down; the caller syncs them and then calls [`Self::remember`].
    pub(super) fn make(&self, folder: &Path) -> DiskResult<Vec<PathBuf>> {
        let unknown = self.unknown(folder);
        let mut to_sync = Vec::with_capacity(unknown.len());
        for new in &unknown {
            match fs::create_dir(new) {
                Ok(()) => {}
                // Somebody else made it, but may not have synced its parent yet: sync it here too.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && new.is_dir() => {}
                Err(error) => {
                    self.forget(new);
                    return Err(DiskError::at("making folder", new)(error));
                }
            }
            if let Some(parent) = new.parent() {
                to_sync.push(parent.to_path_buf());
            }
        }
        Ok(to_sync)
    }

    /// Notes that `folder` and those above it exist durably.
    pub(super) fn remember(&self, folder: &Path) {
        let unknown = self.unknown(folder);
        if unknown.is_empty() {
            return;
        }
        let mut known = self.known.write();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.extend(unknown);
    }

    /// Notes that `folder` is gone, and maybe those above it.
    pub(super) fn forget(&self, folder: &Path) {
        let mut known = self.known.write();
        let mut next = Some(folder);
        while let Some(gone) = next.filter(|gone| *gone != self.root) {
            known.remove(gone);
            next = gone.parent();
        }
    }

    /// The folders from below the nearest known one down to `folder`.
    fn unknown(&self, folder: &Path) -> Vec<PathBuf> {
        let known = self.known.read();
        let mut unknown = Vec::new();
        let mut next = Some(folder);
        while let Some(candidate) = next.filter(|candidate| *candidate != self.root && !known.contains(*candidate)) {
            unknown.push(candidate.to_path_buf());
            next = candidate.parent();
        }
        unknown.reverse();
        unknown
    }
}
