//! From blocks back to the ranges that were asked for.
//!
//! A range inside one block is a slice of it; only one that spans blocks is copied, once.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// A range on its way to being whole. Blocks come in ascending order, also those that it has no use for.
#[derive(Debug)]
pub(super) struct Assembly {
    range: Range<u64>,
    slice: Option<Bytes>,
    joined: BytesMut,
}

impl Assembly {
    pub(super) fn new(range: Range<u64>) -> Self {
        Self { range, slice: None, joined: BytesMut::new() }
    }

    /// Takes what it needs of a block that starts at this offset.
    pub(super) fn add(&mut self, start: u64, block: &Bytes) {
        let Some(slice) = overlap(&self.range, start, block) else { return };
        if slice.len() as u64 == self.length() {
            self.slice = Some(slice);
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(usize::try_from(self.length()).unwrap_or(0));
        }
        self.joined.extend_from_slice(&slice);
    }

    /// The bytes, if they are all there.
    pub(super) fn whole(self) -> Option<Bytes> {
        let length = self.length();
        let bytes = self.slice.unwrap_or_else(|| self.joined.freeze());
        (bytes.len() as u64 == length).then_some(bytes)
    }

    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// What a block that starts at this offset holds of a range.
pub(super) fn overlap(range: &Range<u64>, start: u64, block: &Bytes) -> Option<Bytes> {
    let from = range.start.max(start);
    let to = range.end.min(start + block.len() as u64);
    let within = |offset: u64| usize::try_from(offset - start).ok();
    if from < to { Some(block.slice(within(from)?..within(to)?)) } else { None }
}
