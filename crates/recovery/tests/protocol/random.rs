//! Chance and identities that a seed repeats.

use std::sync::atomic::{AtomicU64, Ordering};

use gigapi_model::{Ids, Timestamp};
use uuid::Uuid;

/// A small generator (SplitMix64): the same seed gives the same history on every machine.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD129_0F3B_7C5A_8E61).wrapping_add(0x9E37_79B9))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A place in a list of `len` entries; none in an empty one.
    pub(crate) fn index(&mut self, len: usize) -> Option<usize> {
        let len = u64::try_from(len).ok().filter(|len| *len > 0)?;
        usize::try_from(self.below(len)).ok()
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Identities by counting. Two streams never give the same one.
#[derive(Debug)]
pub(crate) struct ModelIds {
    stream: AtomicU64,
    count: AtomicU64,
}

impl ModelIds {
    pub(crate) fn new(stream: u64) -> Self {
        Self { stream: AtomicU64::new(stream), count: AtomicU64::new(0) }
    }

    /// Goes on in another stream.
    pub(crate) fn branch(&self, stream: u64) {
        self.stream.store(stream, Ordering::Relaxed);
    }

    fn bytes(&self) -> [u8; 10] {
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let stream = self.stream.load(Ordering::Relaxed).to_be_bytes();
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&stream[6..]);
        // The variant takes two bits of the third byte, where a count is still zero.
        bytes[2..].copy_from_slice(&count);
        bytes
    }
}

impl Ids for ModelIds {
    fn timed(&self, at: Timestamp) -> Uuid {
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    fn random(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[6..].copy_from_slice(&self.bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// An identity as a history names it: stream and count.
pub(crate) fn short(id: Uuid) -> String {
    let bytes = id.as_bytes();
    let stream = u16::from_be_bytes([bytes[6] & 0x0f, bytes[7]]);
    let count = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
    format!("{stream}.{count}")
}
