//! One file of the log: its name and its header.
//!
//! ```text
//! magic "GIGAWAL1" │ version u32 │ writer 16 bytes │ number u64 │ first sequence u64 │ crc32c u32
//! ```
//!
//! A record whose sequence is not below the next segment's first sequence was given up (its sync failed)
//! and counts as absent: its number was given again.

use gigapi_model::WriterId;
use uuid::Uuid;

const MAGIC: &[u8; 8] = b"GIGAWAL1";
const VERSION: u32 = 1;
const EXTENSION: &str = ".wal";

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 8 + 4 + 16 + 8 + 8 + 4;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) writer: WriterId,
    pub(super) number: u64,
    pub(super) first_sequence: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(self.writer.uuid().as_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header, and what comes after it.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or("its header is cut short")?;
        let (covered, crc) = header.split_at(HEADER_BYTES - 4);
        if crc != crc32c::crc32c(covered).to_le_bytes() {
            return Err("its header is damaged");
        }
        let (magic, covered) = covered.split_first_chunk::<8>().ok_or("its header is cut short")?;
        let (version, covered) = covered.split_first_chunk::<4>().ok_or("its header is cut short")?;
        let (writer, covered) = covered.split_first_chunk::<16>().ok_or("its header is cut short")?;
        let (number, covered) = covered.split_first_chunk::<8>().ok_or("its header is cut short")?;
        let (first, _) = covered.split_first_chunk::<8>().ok_or("its header is cut short")?;
        if magic != MAGIC {
            return Err("it is not a write-ahead log segment");
        }
        if u32::from_le_bytes(*version) != VERSION {
            return Err("its version is unknown to this program");
        }
        let header = Self {
            writer: WriterId::from_uuid(Uuid::from_bytes(*writer)),
            number: u64::from_le_bytes(*number),
            first_sequence: u64::from_le_bytes(*first),
        };
        Ok((header, rest))
    }
}

/// The file name of a segment: names sort as numbers do.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:020}{EXTENSION}")
}

/// The number in a segment's file name; `None` for other files.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(EXTENSION)?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}
