//! Where the harness's own servers run: threads of their own, apart from the tests'.
//!
//! A test may block its thread, for a process to end or for a file to be copied. What stands between the processes
//! under test must go on meanwhile, so it never runs on a test's runtime.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime that lives as long as the process.
pub(crate) fn background() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("harness").enable_all();
        builder.build().expect("the system gives a process two threads")
    });
    runtime.handle()
}
