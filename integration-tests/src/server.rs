//! A server process.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::Client;
use crate::patience::signal;
use crate::ports::free_port;

/// How long a server may take to start or stop before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `gigapi` binary: `GIGAPI_BIN`, or the debug build in cargo's target folder.
pub fn binary() -> Result<PathBuf> {
    binary_named("gigapi")
}

/// A binary of the project: `gigapi` is [`binary`], others lie beside it.
pub fn binary_named(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("GIGAPI_BIN").map(PathBuf::from) {
        Some(path) if name == "gigapi" => return existing(path),
        Some(path) => path.parent().context("GIGAPI_BIN names no file")?.to_owned(),
        None => {
            let here = std::env::current_exe().context("this program has no path")?;
            let target = here.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release"));
            target.context("not in a target folder; set GIGAPI_BIN")?.to_owned()
        }
    };
    existing(folder.join(name))
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    if !path.is_file() {
        bail!(
            "{} does not exist: build it with `cargo build --workspace --features gigapi/crash-points`",
            path.display()
        );
    }
    Ok(path)
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    root: PathBuf,
    program: Option<String>,
    environment: Vec<(OsString, OsString)>,
    prefix: Vec<OsString>,
    log: PathBuf,
    port: u16,
}

impl ServerOptions {
    /// A server on that data folder, on a free port.
    pub fn new(root: &Path) -> Self {
        let log = root.with_extension("log");
        let (environment, prefix) = (Vec::new(), Vec::new());
        Self { root: root.to_owned(), program: None, environment, prefix, log, port: free_port() }
    }

    /// Runs that binary of the project, which plays one part and takes no command, in place of `gigapi serve`.
    #[must_use]
    pub fn program(mut self, name: &str) -> Self {
        self.program = Some(name.to_owned());
        self
    }

    /// With this setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Started through another command, which runs it in place of itself.
    #[must_use]
    pub fn through(mut self, command: &[&str]) -> Self {
        self.prefix = command.iter().map(OsString::from).collect();
        self
    }

    /// All settings, as variables of the environment.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let port = self.port.to_string();
        let own = [("HTTP_HOST", "127.0.0.1"), ("HTTP_PORT", port.as_str()), ("FLIGHTSQL_ENABLE", "false")];
        let own = own.map(|(name, value)| (name.into(), value.into()));
        let root = [("GIGAPI_ROOT".into(), self.root.clone().into_os_string())];
        root.into_iter().chain(own).chain(self.environment.iter().cloned()).collect()
    }

    /// Where the server will listen.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the server printed so far.
    pub fn log(&self) -> String {
        let mut text = String::new();
        // A server that never started has printed nothing.
        let _ = File::open(&self.log).and_then(|mut file| file.read_to_string(&mut text));
        text
    }

    /// Runs a verb of `gigapi` with the settings of this server, to its end.
    pub fn run(&self, verb: &[&str]) -> Result<Output> {
        self.run_program("gigapi", verb)
    }

    /// Runs another binary of the project with the settings of this server, to its end.
    pub fn run_program(&self, name: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary_named(name)?);
        command.args(arguments).envs(self.variables());
        Ok(command.stdin(Stdio::null()).output()?)
    }

    /// Starts the process without waiting for anything.
    pub fn spawn(&self) -> Result<Server> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let binary = binary_named(self.program.as_deref().unwrap_or("gigapi"))?;
        let mut command = match self.prefix.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        if self.program.is_none() {
            command.arg("serve");
        }
        let child = command
            .envs(self.variables())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the server cannot be started")?;
        Ok(Server { child, options: self.clone() })
    }

    /// Starts the process and waits until it is ready.
    pub async fn start(&self) -> Result<Server> {
        let mut server = self.spawn()?;
        server.until_ready().await?;
        Ok(server)
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    options: ServerOptions,
}

impl Server {
    /// Where it listens.
    pub fn url(&self) -> String {
        self.options.url()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.url())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it was started.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Waits until `/ready` says so.
    pub async fn until_ready(&mut self) -> Result<()> {
        self.until("/ready", 200).await
    }

    /// Waits until `path` answers with that status.
    pub async fn until(&mut self, path: &str, status: u16) -> Result<()> {
        let client = self.client();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.options.log());
            }
            if client.get(path).await.is_ok_and(|answer| answer.status == status) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{path} did not answer {status} within {PATIENCE:?}:\n{}", self.options.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// kill -9.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits for the end.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.terminate()?;
        self.until_ended().await
    }

    /// SIGTERM.
    pub fn terminate(&self) -> Result<()> {
        signal(&self.child, Signal::TERM)
    }

    /// SIGSTOP: the process does nothing and knows nothing of it; the longer, the more the others think it dead.
    pub fn pause(&self) -> Result<()> {
        signal(&self.child, Signal::STOP)
    }

    /// SIGCONT, after [`Self::pause`].
    pub fn resume(&self) -> Result<()> {
        signal(&self.child, Signal::CONT)
    }

    /// Waits until the process has ended by itself.
    pub async fn until_ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("the server did not end within {PATIENCE:?}:\n{}", self.options.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.ended()?.is_some())
    }

    /// How the process ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kib * 1024)
    }

    /// Processor seconds, user and system.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let after = stat.rsplit_once(')').context("no stat")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("no figure")?.parse::<f64>()?) };
        // utime and stime, in ticks of 10 ms as every Linux reports them.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
