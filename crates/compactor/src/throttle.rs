//! Limits on what merges take from the machine: bytes a second, and bytes of memory.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

const MEBIBYTE: u64 = 1 << 20;

/// Bytes a second that all work of a process reads and writes together.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: Option<u64>,
    /// When what was let through so far will have passed.
    free_at: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Without a figure nothing is held up.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(None) }
    }

    /// How long `bytes` have to wait for those before them.
    fn delay(&self, bytes: u64, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let mut free_at = self.free_at.lock();
        let start = free_at.map_or(now, |at| at.max(now));
        *free_at = Some(start + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64));
        start - now
    }

    /// Waits until `bytes` may pass.
    pub(crate) async fn pass(&self, bytes: u64) {
        let delay = self.delay(bytes, Instant::now());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// As [`Self::pass`], on a thread that may block.
    pub(crate) fn pass_blocking(&self, bytes: u64) {
        let delay = self.delay(bytes, Instant::now());
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
    }
}

/// Memory that all work of a process shares.
#[derive(Debug)]
pub(crate) struct Memory {
    permits: Arc<Semaphore>,
    mebibytes: u32,
}

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        let mebibytes = u32::try_from(bytes / MEBIBYTE).unwrap_or(u32::MAX >> 1).max(1);
        Self { permits: Arc::new(Semaphore::new(mebibytes as usize)), mebibytes }
    }

    /// Bytes that there are in all.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.mebibytes) * MEBIBYTE
    }

    /// Waits for so much of it; who asks for more than there is gets all of it.
    pub(crate) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX).clamp(1, self.mebibytes);
        // The semaphore is never closed.
        Arc::clone(&self.permits).acquire_many_owned(wanted).await.ok()
    }
}

#[cfg(test)]
mod tests;
