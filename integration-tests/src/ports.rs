//! Ports for servers that are stopped and come back at the same place.
//!
//! They lie below the range from which the system takes the ports of outgoing connections: a port of that range
//! may belong to somebody's connection by the time its server comes back, and a client that keeps connecting to
//! a port of that range where nobody listens may one day be connected to itself.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port that is given out.
const FIRST: u16 = 12_000;

/// How many ports there are; Linux begins outgoing connections at 32768.
const COUNT: u16 = 20_000;

/// A port that nobody listened on a moment ago and that this process does not give out again soon.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run beside this one begin elsewhere.
    let start = (std::process::id().wrapping_mul(613) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("none of the ports {FIRST} to {} is free", FIRST + COUNT - 1);
}
