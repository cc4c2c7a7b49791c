//! A process of a cluster, which keeps its place, its port and its root whether it runs or not.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Member;
use super::inside::Inside;
use crate::{Client, Proxy, Server, ServerOptions, until};

/// How long a service inside the test may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process.
#[derive(Debug)]
pub struct Process {
    member: Member,
    name: String,
    options: ServerOptions,
    place: Place,
    running: Option<Running>,
    redis: Option<Proxy>,
    s3: Option<Proxy>,
}

/// Where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// As a child of the test.
    Child,
    /// Inside the test.
    Inside,
}

#[derive(Debug)]
enum Running {
    Child(Server),
    Inside(Inside),
}

impl Process {
    pub(super) fn new(
        member: Member,
        name: String,
        place: Place,
        options: ServerOptions,
        redis: Option<Proxy>,
        s3: Option<Proxy>,
    ) -> Self {
        Self { member, name, place, options, running: None, redis, s3 }
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

    /// The child that runs.
    pub fn server(&mut self) -> Result<&mut Server> {
        match &mut self.running {
            Some(Running::Child(server)) => Ok(server),
            Some(Running::Inside(_)) => bail!("{} runs inside the test, which is all that can be killed", self.name),
            None => bail!("{} does not run", self.name),
        }
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&mut self) -> Result<()> {
        if self.running.is_some() {
            bail!("{} runs already", self.name);
        }
        self.running = Some(match self.place {
            Place::Child => Running::Child(self.options.spawn()?),
            Place::Inside => Running::Inside(Inside::start(self.member.0, &self.options.variables())?),
        });
        Ok(())
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        if self.place == Place::Child {
            return self.server()?.until_ready().await;
        }
        let name = format!("{} that is ready", self.name);
        until(&name, PATIENCE, async || self.is_ready().await).await
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.server()?;
        match self.running.take() {
            Some(Running::Child(server)) => server.kill(),
            _ => Ok(()),
        }
    }

    /// SIGTERM, or what is one inside, then waits for the end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        match self.running.take() {
            Some(Running::Child(server)) => server.stop().await,
            Some(Running::Inside(inside)) => {
                inside.stop().await.with_context(|| self.name.clone())?;
                Ok(ExitStatus::default())
            }
            None => bail!("{} does not run", self.name),
        }
    }

    /// kill -9, and back until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.start().await
    }

    /// How it ended, if it was started and ended by itself; it then counts as not running.
    pub fn take_end(&mut self) -> Result<Option<ExitStatus>> {
        let ended = match &mut self.running {
            Some(Running::Child(server)) => server.ended()?,
            Some(Running::Inside(inside)) if inside.has_ended() => bail!("{} ended by itself", self.name),
            _ => None,
        };
        if ended.is_some() {
            self.running = None;
        }
        Ok(ended)
    }

    /// Whether it answers that it is ready; an error if it has ended.
    pub async fn is_ready(&mut self) -> Result<bool> {
        let ended = match &mut self.running {
            Some(Running::Child(server)) => server.ended()?.map(|status| status.to_string()),
            Some(Running::Inside(inside)) => inside.has_ended().then(|| "an error".to_owned()),
            None => bail!("{} does not run", self.name),
        };
        if let Some(how) = ended {
            bail!("{} ended with {how}:\n{}", self.name, self.options.log());
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
