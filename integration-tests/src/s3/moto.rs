//! `moto_server`: honest conditional puts, paging and multipart; no signatures, no checksums, all in memory.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::Account;
use crate::patience::until;
use crate::ports::free_port;

/// How long the server may take to start; it imports a lot.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `moto_server`; killed when dropped.
#[derive(Debug)]
pub struct Moto {
    account: Account,
    process: Child,
    _folder: TempDir,
}

impl Moto {
    /// Starts a server with the Python that `make test` installs.
    pub async fn start() -> Result<Self> {
        let python = std::env::var_os("GIGAPI_PYTHON").context("GIGAPI_PYTHON is not set; run `make test`")?;
        let (folder, port) = (tempfile::tempdir()?, free_port());
        let log = folder.path().join("log");
        let output = File::create(&log)?;
        let process = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("moto_server cannot be started")?;
        let account = Account::new(format!("127.0.0.1:{port}"), "moto", "any secret", None);
        let mut moto = Self { account, process, _folder: folder };
        let answers = async || {
            if let Some(status) = moto.process.try_wait()? {
                bail!("moto_server ended with {status}:\n{}", std::fs::read_to_string(&log)?);
            }
            let asked = reqwest::get(format!("http://127.0.0.1:{port}/moto-api/")).await;
            Ok(asked.is_ok_and(|answer| answer.status().is_success()))
        };
        until("a moto_server that answers", PATIENCE, answers).await?;
        Ok(moto)
    }

    /// The way in.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Makes a bucket.
    pub async fn make_bucket(&self, name: &str) -> Result<()> {
        let scope = "20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let signed = format!("AWS4-HMAC-SHA256 Credential={}/{scope}", self.account.key());
        let request = reqwest::Client::new().put(format!("{}/{name}", self.account.endpoint()));
        request.header("authorization", signed).send().await?.error_for_status()?;
        Ok(())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
