//! `gigapi-querier`: answers SQL, and nothing else.

use gigapi_service::process::{Program, main as run_program};
use gigapi_service::settings::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let program = Program {
        name: "gigapi-querier",
        about: "Answers SQL over data files.",
        mode: Mode::ReadOnly,
        defaults: &[("HTTP_PORT", "7972")],
    };
    run_program(&program, gigapi_querier::run)
}
