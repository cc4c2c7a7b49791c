//! A Redis server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::server::free_port;

/// How long a server may take to start before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `redis-server` with a folder of its own; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Redis {
    /// Starts a server that keeps what it acknowledges.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with further settings.
    pub async fn start_with(settings: &[&str]) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port());
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"])
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server cannot be started; run `make test`, which installs it")?;
        let redis = Self { port, process, _folder: folder };
        let deadline = Instant::now() + PATIENCE;
        while !redis.answers() {
            if Instant::now() > deadline {
                bail!("redis-server did not answer within {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(redis)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = [0_u8; 5];
        stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer)).is_ok() && &answer == b"+PONG"
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
