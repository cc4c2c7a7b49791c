//! The few file operations that the log needs, so that tests can lose power.
//!
//! An implementation promises: what was written before a successful [`DiskFile::sync`] survives; a name
//! that was created or removed before a successful [`Disk::sync_names`] stays so. Nothing else survives.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// A folder of segments.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file that must not exist.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for appending.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// All bytes of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Copies a file into the folder `quarantine`, durably.
    fn quarantine(&self, name: &str) -> io::Result<()>;

    /// Makes creations and removals durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that grows at its end.
pub trait DiskFile: Send + fmt::Debug {
    /// Appends.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the contents durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A folder of the local file system.
#[derive(Debug, Clone)]
pub struct LocalDisk {
    folder: PathBuf,
}

impl LocalDisk {
    /// The folder must exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl Disk for LocalDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.folder.join(name))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().write(true).open(self.folder.join(name))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.folder.join(name))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }

    fn quarantine(&self, name: &str) -> io::Result<()> {
        let quarantine = self.folder.join("quarantine");
        std::fs::create_dir_all(&quarantine)?;
        let mut to = File::create(quarantine.join(name))?;
        io::copy(&mut File::open(self.folder.join(name))?, &mut to)?;
        to.sync_all()?;
        File::open(&quarantine)?.sync_all()
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.seek(SeekFrom::Start(len))?;
        self.0.sync_data()
    }
}
