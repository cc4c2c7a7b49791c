//! From the bytes in front of the first space to a table and a series.
//!
//! Measurement and tags make up half of a typical line and repeat from line to line, so they are parsed
//! only when these very bytes were not seen before in the request. A batch mostly cycles through its
//! series in one order: each known prefix remembers which one followed it last, and one comparison of
//! bytes usually settles the line's table, series and the place where its fields begin. Hashing is the
//! second resort, parsing the third. Bytes found equal to a parsed prefix need no check at all.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Span;
use super::number::byte;

const NONE: u32 = u32::MAX;

/// A prefix that was parsed before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    /// The bytes, with the space behind them.
    span: Span,
    /// Index of its table.
    pub(super) table: u32,
    /// Its series in that table's draft.
    pub(super) series: u32,
    /// The prefix that came next when this one was last seen.
    next: u32,
    hash: u64,
}

impl Prefix {
    /// How many bytes it takes, the space included.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.span.len()
    }
}

/// All prefixes of a request.
#[derive(Debug)]
pub(super) struct Prefixes {
    known: Vec<Prefix>,
    by_bytes: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The prefix of the line before.
    last: u32,
}

impl Prefixes {
    pub(super) fn new() -> Self {
        Self { known: Vec::new(), by_bytes: HashTable::new(), hasher: DefaultHashBuilder::default(), last: NONE }
    }

    /// The prefix that begins at `at`, if it is the one that followed the last one before.
    #[inline]
    pub(super) fn predicted(&mut self, body: &[u8], at: usize) -> Option<Prefix> {
        let next = self.known.get(self.last as usize)?.next;
        let prefix = self.known.get(next as usize)?;
        let here = body.get(at..at + prefix.span.len())?;
        if here != prefix.span.of(body) {
            return None;
        }
        self.last = next;
        Some(*prefix)
    }

    /// The prefix with the bytes `at..end`, if it was parsed before, and else the hash under which to
    /// [`Self::add`] it. A space must stand at `end`.
    #[inline]
    pub(super) fn find(&mut self, body: &[u8], at: usize, end: usize) -> Result<Prefix, u64> {
        let bytes = body.get(at..end + 1).unwrap_or_default();
        let hash = hash(&self.hasher, bytes);
        let known = &self.known;
        let is_same = |&index: &u32| known.get(index as usize).is_some_and(|prefix| prefix.span.of(body) == bytes);
        match self.by_bytes.find(hash, is_same) {
            Some(&index) => {
                self.follow(index);
                self.known.get(index as usize).copied().ok_or(hash)
            }
            None => Err(hash),
        }
    }

    /// Remembers a prefix that was just parsed; `span` ends with its space.
    pub(super) fn add(&mut self, span: Span, hash: u64, table: u32, series: u32) -> Prefix {
        let index = u32::try_from(self.known.len()).unwrap_or(NONE);
        let prefix = Prefix { span, table, series, next: NONE, hash };
        self.known.push(prefix);
        let known = &self.known;
        self.by_bytes.insert_unique(hash, index, |&other| known.get(other as usize).map_or(0, |prefix| prefix.hash));
        self.follow(index);
        prefix
    }

    /// Forgets the prefix that was added last, because its line was refused.
    pub(super) fn forget_last(&mut self) {
        let Some(prefix) = self.known.pop() else { return };
        let index = u32::try_from(self.known.len()).unwrap_or(NONE);
        if let Ok(entry) = self.by_bytes.find_entry(prefix.hash, |&other| other == index) {
            entry.remove();
        }
        // Any prefix that was followed by this one finds nothing there, which is no prediction.
        self.last = NONE;
    }

    #[inline]
    fn follow(&mut self, index: u32) {
        if let Some(last) = self.known.get_mut(self.last as usize) {
            last.next = index;
        }
        self.last = index;
    }
}

/// The hash of raw bytes.
#[inline]
pub(super) fn hash(builder: &DefaultHashBuilder, bytes: &[u8]) -> u64 {
    let mut hasher = builder.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Where the measurement that begins at `at` ends: at an unescaped comma, or at `end`.
pub(super) fn measurement_end(body: &[u8], at: usize, end: usize) -> usize {
    let mut from = at;
    while from < end {
        let Some(offset) = body.get(from..end).and_then(|rest| memchr::memchr(b',', rest)) else { return end };
        let found = from + offset;
        if found == at || byte(body, found - 1) != b'\\' {
            return found;
        }
        from = found + 1;
    }
    end
}
