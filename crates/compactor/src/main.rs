//! `gigapi-compactor`: works in the background on what writers leave behind.

use gigapi_service::process::{Program, main as run_program};
use gigapi_service::settings::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let program = Program {
        name: "gigapi-compactor",
        about: "Answers health checks; merging is not part of this version.",
        mode: Mode::Compaction,
        defaults: &[("HTTP_PORT", "7973")],
    };
    run_program(&program, gigapi_compactor::run)
}
