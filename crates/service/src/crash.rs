//! Named places at which a test can kill the process.
//!
//! With the feature `crash-points`, `GIGAPI_CRASH_POINT=name` aborts the process when it passes that place,
//! `name:3` when it passes it for the third time. Without the feature a place costs nothing. The names belong to the
//! services, which list theirs for tests that visit them all.

/// Ends the process here if a test asked for it.
#[cfg(feature = "crash-points")]
pub fn crash_point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("GIGAPI_CRASH_POINT").ok()?;
        let (place, count) = text.rsplit_once(':')?;
        Some(match count.parse() {
            Ok(count) => (place.to_owned(), count),
            Err(_) => (text, 1),
        })
    });
    if let Some((place, count)) = wanted
        && place == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        eprintln!("crash point {name} reached");
        std::process::abort();
    }
}

/// Ends the process here if a test asked for it, which needs the feature `crash-points`.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn crash_point(_name: &str) {}
