//! `gigapi-writer`: takes points, and nothing else.

use gigapi_service::process::{Program, main as run_program};
use gigapi_service::settings::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let program = Program {
        name: "gigapi-writer",
        about: "Takes points as line protocol, logs them, and moves them into sorted Parquet.",
        mode: Mode::WriteOnly,
        defaults: &[("HTTP_PORT", "7971")],
    };
    run_program(&program, gigapi_writer::run)
}
