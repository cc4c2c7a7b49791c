//! How long to wait before a request is sent again.
//!
//! Twice as long each time, with a random half, so that many clients of a server that comes back do not
//! arrive together. What the server asks for is the least it gets.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A server that asks for more than this is not waited for that long.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// The pauses of one request.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    noise: u64,
}

impl Backoff {
    /// Pauses that differ from those of other seeds.
    pub(super) fn new(seed: u128) -> Self {
        Self { pause: FIRST, noise: (seed as u64) | 1 }
    }

    /// The next pause; at least what the server `asked` for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let share = 0.5 + (self.noise % 1_000) as f64 / 2_000.0;
        let pause = self.pause.mul_f64(share);
        self.pause = (self.pause * 2).min(LONGEST);
        asked.map_or(pause, |asked| asked.min(ASKED_MAX) + pause / 4)
    }
}

/// The whole seconds that the server asks to wait, if it does.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
