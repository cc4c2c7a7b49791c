//! A service that runs inside the test's own process, on a thread and a runtime of its own: what it does can be
//! stepped through, and nothing has to be built but the test.
//!
//! It is the same `run` that the binary calls, with the same settings. It cannot be killed or paused alone, and prints
//! nothing.

use std::ffi::OsString;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use gigapi_service::Shutdown;
use gigapi_service::process::{BoxError, Host};
use gigapi_service::settings::{Sources, load};

use super::Role;

/// A running service; told to stop when dropped.
#[derive(Debug)]
pub(super) struct Inside {
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Inside {
    /// Starts it with these settings.
    pub(super) fn start(role: Role, environment: &[(OsString, OsString)]) -> Result<Self> {
        let text = |text: &OsString| text.to_str().map(str::to_owned).context("a setting that is no text");
        let environment: Result<Vec<_>> =
            environment.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect();
        let sources = Sources { environment: environment?, ..Sources::default() };
        let settings = load(&sources)?.settings;
        let shutdown = Shutdown::new();
        let thread = std::thread::Builder::new().name(role.name().to_owned()).spawn({
            let shutdown = shutdown.clone();
            move || -> Result<(), String> {
                let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
                let outcome = runtime.block_on(async {
                    let Some(host) = Host::open(settings, &shutdown).await? else { return Ok(()) };
                    match role {
                        Role::Writer => gigapi_writer::run(host).await,
                        Role::Querier => gigapi_querier::run(host).await,
                        Role::Compactor => gigapi_compactor::run(host).await,
                    }
                });
                outcome.map_err(|error: BoxError| error.to_string())
            }
        })?;
        Ok(Self { shutdown, thread: Some(thread) })
    }

    /// Whether it has ended, of itself or not.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it as a signal would, and waits.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.shutdown.begin();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
        ended.map_err(|_| anyhow!("it ended by a panic"))?.map_err(|error| anyhow!(error))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}
