//! A disk in memory that keeps only what was synced when the power goes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::wal::disk::{Disk, DiskFile};

#[derive(Debug, Clone, Default)]
struct File {
    synced: Vec<u8>,
    /// Everything, synced or not.
    content: Vec<u8>,
    name_synced: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Removed files whose removal is not durable.
    removed: BTreeMap<String, File>,
    quarantined: Vec<String>,
    fail_append: bool,
    fail_sync: bool,
}

#[derive(Debug, Default)]
pub(super) struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn fail_next_append(&self) {
        self.lock().fail_append = true;
    }

    pub(super) fn fail_next_sync(&self) {
        self.lock().fail_sync = true;
    }

    pub(super) fn forget_failures(&self) {
        let mut state = self.lock();
        (state.fail_append, state.fail_sync) = (false, false);
    }

    pub(super) fn quarantined(&self) -> Vec<String> {
        self.lock().quarantined.clone()
    }

    pub(super) fn flip(&self, name: &str, at: usize) {
        let mut state = self.lock();
        let file = state.files.get_mut(name).unwrap();
        file.content[at] ^= 0x40;
        file.synced = file.content.clone();
    }

    /// Unsynced bytes survive up to some point, with holes of zeros; unsynced names survive or not.
    pub(super) fn lose_power(&self, seed: u64) {
        let mut random = seed | 1;
        let mut next = move || {
            // xorshift64
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut state = self.lock();
        let names: Vec<String> = state.files.keys().cloned().collect();
        for name in names {
            let file = state.files.get_mut(&name).unwrap();
            if !file.name_synced && next() % 2 == 0 {
                state.files.remove(&name);
                continue;
            }
            let mut survived = file.synced.clone();
            if file.content.starts_with(&file.synced) {
                let tail = &file.content[file.synced.len()..];
                let kept = usize::try_from(next() % (tail.len() as u64 + 1)).unwrap();
                let hole = usize::try_from(next() % (kept as u64 + 1)).unwrap();
                survived.extend_from_slice(&tail[..hole]);
                survived.extend(std::iter::repeat_n(0, (kept - hole).min(16)));
                survived.extend_from_slice(tail.get(hole + 16..kept).unwrap_or_default());
            }
            *file = File { synced: survived.clone(), content: survived, name_synced: true };
        }
        for (name, file) in std::mem::take(&mut state.removed) {
            if next() % 2 == 0 {
                state.files.insert(name, file);
            }
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(name.to_owned(), File::default());
        Ok(Box::new(SimulatedFile { state: Arc::clone(&self.0), name: name.to_owned() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SimulatedFile { state: Arc::clone(&self.0), name: name.to_owned() }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.lock();
        state.files.get(name).map(|file| file.content.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.files.remove(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        state.removed.insert(name.to_owned(), file);
        Ok(())
    }

    fn quarantine(&self, name: &str) -> io::Result<()> {
        self.lock().quarantined.push(name.to_owned());
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.removed.clear();
        state.files.values_mut().for_each(|file| file.name_synced = true);
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    name: String,
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let fails = std::mem::take(&mut state.fail_append);
        let file = state.files.get_mut(&self.name).unwrap();
        if fails {
            file.content.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.content.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if std::mem::take(&mut state.fail_sync) {
            return Err(io::Error::other("the device reports an error"));
        }
        let file = state.files.get_mut(&self.name).unwrap();
        file.synced = file.content.clone();
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let file = state.files.get_mut(&self.name).unwrap();
        file.content.truncate(usize::try_from(len).unwrap());
        file.synced = file.content.clone();
        Ok(())
    }
}
