//! An S3 server on a folder, as a process of its own: what the benchmarks put their objects on.
//!
//! Buckets are the folders of the folder, and are made with `--bucket`. `GET /_counts` tells requests by method and
//! bytes, as JSON.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use integration_tests::S3;

#[derive(Debug, Parser)]
struct Arguments {
    /// Where the buckets lie; made if it does not exist.
    #[arg(long)]
    folder: PathBuf,
    /// Where to listen, on the loopback interface.
    #[arg(long)]
    port: u16,
    /// The access key.
    #[arg(long)]
    key: String,
    /// Its secret.
    #[arg(long)]
    secret: String,
    /// Buckets to make.
    #[arg(long)]
    bucket: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = S3::at(&arguments.folder, arguments.port, &arguments.key, &arguments.secret).await?;
        for bucket in arguments.bucket.iter().filter(|bucket| !arguments.folder.join(bucket).is_dir()) {
            server.make_bucket(bucket)?;
        }
        println!("{}", server.account().endpoint());
        std::future::pending().await
    })
}
