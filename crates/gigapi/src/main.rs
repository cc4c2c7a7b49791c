//! The `gigapi` binary: everything in one process, and the command line.

mod cli;
mod serve;
mod settings;
mod unflushed;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
