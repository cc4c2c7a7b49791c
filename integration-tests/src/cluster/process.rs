//! A process of a cluster, which keeps its place, its port and its root whether it runs or not.

use std::process::ExitStatus;

use anyhow::{Context, Result, bail};

use super::Member;
use crate::{Client, Proxy, Server, ServerOptions};

/// The process.
#[derive(Debug)]
pub struct Process {
    member: Member,
    name: String,
    options: ServerOptions,
    server: Option<Server>,
    redis: Option<Proxy>,
    s3: Option<Proxy>,
}

impl Process {
    pub(super) fn new(
        member: Member,
        name: String,
        options: ServerOptions,
        redis: Option<Proxy>,
        s3: Option<Proxy>,
    ) -> Self {
        Self { member, name, options, server: None, redis, s3 }
    }

    /// What it does and which number it has.
    pub fn member(&self) -> Member {
        self.member
    }

    /// As `writer-0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is started.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.options = self.options.clone().set(name, value);
    }

    /// A client of it, also of the one that runs after the next start.
    pub fn client(&self) -> Client {
        Client::new(self.options.url())
    }

    /// What runs.
    pub fn server(&mut self) -> Result<&mut Server> {
        self.server.as_mut().with_context(|| format!("{} does not run", self.name))
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&mut self) -> Result<()> {
        if self.server.is_some() {
            bail!("{} runs already", self.name);
        }
        self.server = Some(self.options.spawn()?);
        Ok(())
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.server()?.until_ready().await
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.server.take().with_context(|| format!("{} does not run", self.name))?.kill()
    }

    /// SIGTERM, then waits for the end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.server.take().with_context(|| format!("{} does not run", self.name))?.stop().await
    }

    /// kill -9, and back until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.start().await
    }

    /// How it ended, if it was started and ended by itself; it then counts as not running.
    pub fn take_end(&mut self) -> Result<Option<ExitStatus>> {
        let Some(server) = &mut self.server else { return Ok(None) };
        let ended = server.ended()?;
        if ended.is_some() {
            self.server = None;
        }
        Ok(ended)
    }

    /// Whether it answers that it is ready; an error if it has ended.
    pub async fn is_ready(&mut self) -> Result<bool> {
        if let Some(status) = self.server()?.ended()? {
            bail!("{} ended with {status}:\n{}", self.name, self.options.log());
        }
        Ok(self.client().get("/ready").await.is_ok_and(|answer| answer.status == 200))
    }

    pub(super) fn redis_proxy(&self) -> Option<&Proxy> {
        self.redis.as_ref()
    }

    pub(super) fn s3_proxy(&self) -> Option<&Proxy> {
        self.s3.as_ref()
    }
}
