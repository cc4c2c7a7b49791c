//! The write-ahead log: what makes an acknowledged row survive the process.
//!
//! One thread owns the order append → sync → apply: a record gets its sequence when it is written, is
//! applied to the buffer only when it is on the disk, and is acknowledged only then. While one sync runs,
//! later requests pool and share the next one; nothing waits when the log is idle. Parsing, encoding and
//! sorting happen elsewhere, and replay decides nothing: a record holds rows in the table's own terms.

mod disk;
mod folder;
mod log;
mod note;
mod owner;
mod record;
mod release;
mod replay;
mod segment;

pub use disk::{Disk, DiskFile, LocalDisk};
pub use folder::{Folder, FolderError};
pub use log::{Append, Applied, Apply, Log, LogError, LogOptions, LogStatus, Payload};
pub use record::{Interval, Record, TablePart, WriteRecord};
pub use replay::{Replay, ReplayedSegment, replay};

#[cfg(test)]
mod tests;
