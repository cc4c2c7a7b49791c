//! `gigapi-compactor`: makes fewer, larger, colder files of what writers leave behind.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gigapi_compactor::main()
}
