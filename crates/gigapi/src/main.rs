//! The `gigapi` binary: everything in one process, and the command line.

mod cli;
mod client;
mod import;
mod query;
mod recovery;
mod send;
mod serve;
mod settings;
mod unflushed;
mod write;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
