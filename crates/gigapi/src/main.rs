//! The `gigapi` binary: everything in one process, and the command line.

mod catalog;
mod cli;
mod client;
mod compact;
mod health;
mod import;
mod query;
mod send;
mod serve;
mod tables;
mod unflushed;
mod write;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
