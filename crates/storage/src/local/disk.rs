//! The blocking half of the local store: what is written, renamed and synced, in which order.
//!
//! The order is always the same: bytes to a temporary file, sync the bytes, make the folders, rename, sync the
//! folders. Few files are synced one by one; many share two syncs of the whole file system, which is cheaper from
//! about eight files on. Everything here blocks and runs on blocking threads.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gigapi_model::Ids;
use object_store::path::Path as ObjectPath;
use object_store::{PutPayload, Result};

use super::SyncCounter;
use super::error::{DiskError, DiskResult};
use super::folders::Folders;
use super::temporary::{Staged, Temporary};

/// Up to this many files are synced one by one.
const SYNCED_SINGLY_MAX: usize = 8;

/// How often a folder may vanish under a file that is about to get its name in it.
const VANISHED_MAX: usize = 1000;

/// What happens if the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// The new object takes the place of the old one.
    Replace,
    /// The old object stays.
    Refuse,
}

#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Open for the life of the store: names the file system that [`Disk::sync_file_system`] syncs.
    #[cfg(target_os = "linux")]
    root_folder: File,
    temporary: Temporary,
    folders: Folders,
    syncs: SyncCounter,
}

impl Disk {
    pub(super) fn open(root: &Path, ids: &dyn Ids) -> DiskResult<Self> {
        fs::create_dir_all(root).map_err(DiskError::at("making folder", root))?;
        let root = fs::canonicalize(root).map_err(DiskError::at("resolving", root))?;
        let root_folder = File::open(&root).map_err(DiskError::at("opening folder", &root))?;
        let temporary = Temporary::open(&root, ids)?;
        let disk = Self {
            folders: Folders::new(root.clone()),
            temporary,
            syncs: SyncCounter::default(),
            #[cfg(target_os = "linux")]
            root_folder,
            root,
        };
        Ok(disk)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn syncs(&self) -> &SyncCounter {
        &self.syncs
    }

    pub(super) fn stage(&self) -> DiskResult<Staged> {
        self.temporary.file()
    }

    /// Writes one object durably.
    pub(super) fn put(&self, location: &ObjectPath, payload: &PutPayload, existing: Existing) -> Result<()> {
        let target = self.target(location)?;
        let mut staged = self.stage()?;
        for chunk in payload {
            staged.file.write_all(chunk).map_err(DiskError::at("writing", staged.path()))?;
        }
        self.finish(&mut staged, &target, existing)
    }

    /// Syncs a staged file and gives it its name durably.
    pub(super) fn finish(&self, staged: &mut Staged, target: &Path, existing: Existing) -> Result<()> {
        self.sync_file(&staged.file, staged.path())?;
        let folder = parent(target);
        let made = self.name(staged, target, existing)?;
        self.sync_folders(made)?;
        self.folders.remember(folder);
        Ok(self.sync_folder(folder)?)
    }

    /// Writes many objects durably, replacing those of the same names.
    pub(super) fn put_many(&self, files: &[(ObjectPath, Bytes)]) -> Result<()> {
        let together = cfg!(target_os = "linux") && files.len() > SYNCED_SINGLY_MAX;
        let mut staged = Vec::with_capacity(files.len());
        for (location, bytes) in files {
            let target = self.target(location)?;
            let mut one = self.stage()?;
            one.file.write_all(bytes).map_err(DiskError::at("writing", one.path()))?;
            if !together {
                self.sync_file(&one.file, one.path())?;
            }
            staged.push((one, target));
        }
        if together {
            self.sync_file_system()?;
        }
        let mut touched = BTreeSet::new();
        for (one, target) in &mut staged {
            let made = self.name(one, target, Existing::Replace)?;
            touched.insert(parent(target).to_path_buf());
            touched.extend(made);
        }
        if together {
            self.sync_file_system()?;
        } else {
            self.sync_folders(touched.iter())?;
        }
        for (_, target) in &staged {
            self.folders.remember(parent(target));
        }
        Ok(())
    }

    /// Deletes objects; those of one folder share its sync, those of many one of the whole file system. One answer
    /// per location, in order.
    pub(super) fn delete_many(&self, locations: Vec<Result<ObjectPath>>) -> Vec<Result<ObjectPath>> {
        let removed: Vec<Result<(ObjectPath, PathBuf)>> = locations
            .into_iter()
            .map(|location| {
                let location = location?;
                let target = self.target(&location)?;
                fs::remove_file(&target).map_err(DiskError::at("deleting", &target))?;
                Ok((location, parent(&target).to_path_buf()))
            })
            .collect();
        let touched: BTreeSet<&PathBuf> = removed.iter().flatten().map(|(_, folder)| folder).collect();
        let together = cfg!(target_os = "linux") && touched.len() > SYNCED_SINGLY_MAX;
        let whole = if together { self.sync_file_system().err() } else { None };
        let failure = |folder: &PathBuf| match &whole {
            Some(error) => Some(error.kind()),
            None if together => None,
            None => Some(self.sync_nearest(folder).err()?.kind()),
        };
        let unsynced: Vec<(PathBuf, io::ErrorKind)> =
            touched.into_iter().filter_map(|folder| Some((folder.clone(), failure(folder)?))).collect();
        let answer = |(location, folder): (ObjectPath, PathBuf)| {
            // Such an object is gone but may come back after a power loss: a repeat finds out.
            match unsynced.iter().find(|(unsynced, _)| *unsynced == folder) {
                Some((_, kind)) => Err(DiskError::at("syncing folder", &folder)((*kind).into()).into()),
                None => Ok(location),
            }
        };
        removed.into_iter().map(|removed| removed.and_then(answer)).collect()
    }

    pub(super) fn copy(&self, from: &ObjectPath, to: &ObjectPath, existing: Existing) -> Result<()> {
        let (source, target) = (self.target(from)?, self.target(to)?);
        let mut staged = self.stage()?;
        let mut reader = File::open(&source).map_err(DiskError::at("opening", &source))?;
        io::copy(&mut reader, &mut staged.file).map_err(DiskError::at("copying", &source))?;
        self.finish(&mut staged, &target, existing)
    }

    pub(super) fn rename(&self, from: &ObjectPath, to: &ObjectPath, existing: Existing) -> Result<()> {
        let (source, target) = (self.target(from)?, self.target(to)?);
        let folder = parent(&target);
        self.sync_folders(self.folders.make(folder)?)?;
        self.folders.remember(folder);
        match existing {
            Existing::Replace => fs::rename(&source, &target).map_err(DiskError::at("renaming", &source))?,
            Existing::Refuse => {
                // The new name before the old one goes: a crash in between leaves both, never neither.
                fs::hard_link(&source, &target).map_err(|error| named(error, &source, &target))?;
                self.sync_folder(folder)?;
                fs::remove_file(&source).map_err(DiskError::at("deleting", &source))?;
            }
        }
        self.sync_folder(folder)?;
        if parent(&source) != folder {
            self.sync_folder(parent(&source))?;
        }
        Ok(())
    }

    /// Gives a staged file its name, making its folder if need be; answers the folders to sync before the file
    /// survives, beside its own.
    ///
    /// Empty folders are removed by whoever deletes files, and one may be empty for the moment between its making and
    /// the naming: then both are done again. Once the file is in it, a folder stays.
    fn name(&self, staged: &mut Staged, target: &Path, existing: Existing) -> DiskResult<Vec<PathBuf>> {
        let folder = parent(target);
        let mut attempt = || {
            let made = self.folders.make(folder)?;
            let named = match existing {
                Existing::Replace => staged.rename(target),
                Existing::Refuse => staged.link(target),
            };
            named.map(|()| made).map_err(DiskError::at("naming", target))
        };
        for _ in 0..VANISHED_MAX {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.folders.forget(folder),
                done => return done,
            }
        }
        attempt()
    }

    /// Removes folders that hold nothing, or nothing but files of these names, and then those above them that hold
    /// nothing at all; answers how many went. A folder that anything else is in stays, with all that is in it.
    pub(super) fn remove_empty(&self, folders: &[ObjectPath], leftovers: &[&str]) -> Result<usize> {
        let mut removed = 0;
        for location in folders.iter().filter(|location| !location.is_root()) {
            let folder = self.root.join(location.as_ref());
            if !self.remove_leftovers(&folder, leftovers)? {
                continue;
            }
            let mut next = Some(folder.as_path());
            while let Some(empty) = next.filter(|folder| *folder != self.root) {
                // The system refuses to remove a folder that somebody has just put a file into.
                match fs::remove_dir(empty) {
                    Ok(()) => removed += 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                    Err(error) => return Err(DiskError::at("removing folder", empty)(error).into()),
                }
                self.folders.forget(empty);
                next = empty.parent();
            }
        }
        Ok(removed)
    }

    /// Whether nothing is in the folder any more, once files of these names are gone.
    fn remove_leftovers(&self, folder: &Path, leftovers: &[&str]) -> DiskResult<bool> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(DiskError::at("listing", folder))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(DiskError::at("listing", folder)(error)),
        };
        let is_left = |name: &std::ffi::OsStr| leftovers.iter().any(|leftover| name == *leftover);
        if !entries.iter().all(|entry| is_left(&entry.file_name())) {
            return Ok(false);
        }
        for entry in entries {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DiskError::at("deleting", &entry.path())(error));
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// The file of an object. The stock store resolves the same path when it reads.
    pub(super) fn target(&self, location: &ObjectPath) -> Result<PathBuf> {
        let last = location
            .filename()
            .ok_or_else(|| DiskError::at("naming", &self.root)(io::ErrorKind::InvalidInput.into()))?;
        // The stock store uses `#` and digits for its own temporary files and refuses to read them.
        if last.split_once('#').is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit())) {
            let path = self.root.join(location.as_ref());
            return Err(DiskError::at("naming", &path)(io::ErrorKind::InvalidFilename.into()).into());
        }
        Ok(self.root.join(location.as_ref()))
    }

    fn sync_file(&self, file: &File, path: &Path) -> DiskResult<()> {
        self.syncs.add();
        file.sync_all().map_err(DiskError::at("syncing", path))
    }

    fn sync_folder(&self, folder: &Path) -> DiskResult<()> {
        let opened = File::open(folder).map_err(DiskError::at("opening folder", folder))?;
        self.sync_file(&opened, folder)
    }

    /// Syncs a folder that something was deleted from. Where somebody removed it meanwhile because it was empty, the
    /// nearest one above it that is there keeps it from coming back.
    fn sync_nearest(&self, folder: &Path) -> DiskResult<()> {
        let synced = self.sync_folder(folder);
        match (synced, folder.parent().filter(|_| folder != self.root)) {
            (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => self.sync_nearest(above),
            (synced, _) => synced,
        }
    }

    fn sync_folders(&self, folders: impl IntoIterator<Item = impl AsRef<Path>>) -> DiskResult<()> {
        folders.into_iter().try_for_each(|folder| self.sync_folder(folder.as_ref()))
    }

    #[cfg(target_os = "linux")]
    fn sync_file_system(&self) -> DiskResult<()> {
        self.syncs.add();
        rustix::fs::syncfs(&self.root_folder)
            .map_err(|errno| DiskError::at("syncing the file system of", &self.root)(errno.into()))
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_file_system(&self) -> DiskResult<()> {
        Err(DiskError::at("syncing the file system of", &self.root)(io::ErrorKind::Unsupported.into()))
    }
}

fn named(error: io::Error, source: &Path, target: &Path) -> DiskError {
    let path = if error.kind() == io::ErrorKind::AlreadyExists { target } else { source };
    DiskError::at("naming", path)(error)
}

/// The folder of an object's file: locations have a file name, so there is one.
fn parent(target: &Path) -> &Path {
    target.parent().unwrap_or(target)
}
