//! Named places at which a test can kill the process.

pub(crate) use gigapi_service::crash_point;

/// Every named place, for tests that visit them all.
pub const CRASH_POINTS: [&str; 13] = [
    "wal:before-append",
    "wal:before-sync",
    "wal:after-sync",
    "wal:after-apply",
    "flush:before-upload",
    "flush:after-upload",
    "flush:before-commit",
    "flush:after-commit",
    "flush:after-release",
    "wal:before-unlink",
    "wal:after-unlink",
    "drop:after-tombstone",
    "drop:after-commit",
];
