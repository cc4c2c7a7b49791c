//! A Redis server, and what may become of it: stopped, killed, paused, emptied, loading, rolled back.

mod cluster;
mod resp;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

pub use cluster::RedisCluster;

use crate::certificates::Certificates;
use crate::patience::{signal, until};
use crate::ports::free_port;

/// How long a server may take to start or stop before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Commands without effect that a server reads when it has to take long to load: with the delay below, a minute.
const IDLE_COMMANDS: usize = 400_000;

/// Microseconds that a loading server waits after each command. It serves clients after every 1024.
const LOAD_DELAY: &str = "100";

/// A `redis-server` with a folder of its own; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    settings: Vec<String>,
    certificates: Option<Certificates>,
    process: Option<Child>,
    folder: TempDir,
}

/// What a server's disk held at one moment.
#[derive(Debug)]
pub struct RedisCopy(TempDir);

impl Redis {
    /// Starts a server that keeps what it acknowledges.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with further settings, as on the command line: `--appendfsync`, `everysec`.
    pub async fn start_with(settings: &[&str]) -> Result<Self> {
        let port = free_port().to_string();
        Self::on(tempfile::tempdir()?, None, &[&["--port", &port], settings].concat()).await
    }

    /// Starts a server that speaks nothing but TLS, with a certificate of [`Self::certificates`].
    pub async fn start_tls(settings: &[&str]) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port().to_string());
        let certificates = Certificates::make(folder.path())?;
        let paths = [certificates.server(), certificates.key(), certificates.authority()];
        let [server, key, authority] = paths.each_ref().map(|path| path.to_string_lossy());
        let own = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"];
        let files = ["--tls-cert-file", &server, "--tls-key-file", &key, "--tls-ca-cert-file", &authority];
        Self::on(folder, Some(certificates), &[&own, &files, settings].concat()).await
    }

    async fn on(folder: TempDir, certificates: Option<Certificates>, settings: &[&str]) -> Result<Self> {
        fs::create_dir(folder.path().join("data"))?;
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let given = settings.iter().zip(settings.iter().skip(1));
        let port = given
            .filter(|(name, _)| *name == "--port" || *name == "--tls-port")
            .filter_map(|(_, port)| port.parse().ok());
        let port = port.max().context("a server without a port")?;
        let mut redis = Self { port, settings, certificates, process: None, folder };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Starts the server where it was: same port, same folder, same settings.
    pub async fn start_again(&mut self) -> Result<()> {
        self.spawn(&[])?;
        self.until_loaded().await
    }

    /// Starts the server, which then answers every command with `LOADING` for up to a minute: see
    /// [`Self::finish_loading`]. What it holds stays the same, but every later start reads the same useless commands.
    pub async fn start_loading(&mut self) -> Result<()> {
        let mut file = File::options().append(true).open(self.append_only_file()?)?;
        file.write_all(b"*2\r\n$3\r\nDEL\r\n$7\r\nnothing\r\n".repeat(IDLE_COMMANDS).as_slice())?;
        self.spawn(&["--key-load-delay", LOAD_DELAY])?;
        let loading = async || Ok(self.command(&["PING"]).is_err_and(|error| error.to_string().starts_with("LOADING")));
        until("a Redis that is loading", PATIENCE, loading).await
    }

    /// Lets a loading server finish.
    pub async fn finish_loading(&mut self) -> Result<()> {
        self.config_set("key-load-delay", "0")?;
        self.until_loaded().await
    }

    fn spawn(&mut self, settings: &[&str]) -> Result<()> {
        if self.process.is_some() {
            bail!("the Redis on port {} is running", self.port);
        }
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes", "--dir"])
            .arg(self.data())
            .args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"])
            .args(&self.settings)
            .args(settings)
            .stdout(File::options().create(true).append(true).open(self.log())?)
            .spawn()
            .context("redis-server cannot be started; run `make test`, which installs it")?;
        self.process = Some(process);
        Ok(())
    }

    async fn until_loaded(&mut self) -> Result<()> {
        let answers = async || {
            if let Some(status) = self.process.as_mut().context("the Redis is not running")?.try_wait()? {
                bail!("redis-server ended with {status}:\n{}", fs::read_to_string(self.log())?);
            }
            Ok(self.command(&["PING"]).is_ok_and(|answer| answer == "PONG"))
        };
        until("a Redis that answers", PATIENCE, answers).await
    }

    /// Stops the server with SIGTERM.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the Redis is not running")?;
        signal(&process, Signal::TERM)?;
        let ended = until("the end of a Redis", PATIENCE, async || Ok(process.try_wait()?.is_some())).await;
        if ended.is_err() {
            self.process = Some(process);
        }
        ended
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the Redis is not running")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// SIGSTOP: connections stay, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        signal(self.process.as_ref().context("the Redis is not running")?, Signal::STOP)
    }

    /// SIGCONT, after [`Self::pause`].
    pub fn resume(&self) -> Result<()> {
        signal(self.process.as_ref().context("the Redis is not running")?, Signal::CONT)
    }

    /// What its disk holds at this moment.
    pub fn copy(&self) -> Result<RedisCopy> {
        let copy = tempfile::tempdir()?;
        if self.process.is_none() {
            copy_folder(&self.data(), copy.path())?;
            return Ok(RedisCopy(copy));
        }
        self.pause()?;
        let copied = copy_folder(&self.data(), copy.path());
        self.resume()?;
        copied?;
        Ok(RedisCopy(copy))
    }

    /// Starts the stopped server with what its disk held then. The copy can be used again.
    pub async fn start_from(&mut self, copy: &RedisCopy) -> Result<()> {
        if self.process.is_some() {
            bail!("the Redis on port {} is running", self.port);
        }
        fs::remove_dir_all(self.data())?;
        copy_folder(copy.0.path(), &self.data())?;
        self.start_again().await
    }

    /// Empties the server.
    pub fn flush_all(&self) -> Result<()> {
        self.command(&["FLUSHALL"]).map(drop)
    }

    /// Changes a setting until the next start.
    pub fn config_set(&self, name: &str, value: &str) -> Result<()> {
        self.command(&["CONFIG", "SET", name, value]).map(drop)
    }

    /// Has no memory left for writes, which are answered `OOM`, or has it again.
    pub fn run_out_of_memory(&self, out: bool) -> Result<()> {
        self.config_set("maxmemory", if out { "1" } else { "0" })
    }

    /// Takes no writes, which are answered `READONLY`, or takes them again: a replica that never finds its master
    /// keeps what it holds.
    pub fn refuse_writes(&self, refuse: bool) -> Result<()> {
        let nowhere = free_port().to_string();
        let master = if refuse { ["127.0.0.1", &nowhere] } else { ["NO", "ONE"] };
        self.command(&["REPLICAOF", master[0], master[1]]).map(drop)
    }

    /// Gives up what it holds for what `master` holds, and follows it.
    pub async fn follow(&self, master: &Self) -> Result<()> {
        self.command(&["REPLICAOF", "127.0.0.1", &master.port.to_string()])?;
        let linked = async || Ok(self.command(&["INFO", "replication"])?.contains("master_link_status:up"));
        until("a replica that follows its master", PATIENCE, linked).await
    }

    /// Makes a user, until the next start: `rules` as `ACL SETUSER` takes them, as `~gigapi:* +@all`.
    pub fn add_user(&self, name: &str, password: &str, rules: &str) -> Result<()> {
        let password = format!(">{password}");
        let mut command = vec!["ACL", "SETUSER", name, "on", &password];
        command.extend(rules.split_whitespace());
        self.command(&command).map(drop)
    }

    /// Runs one command as the default user. Answers what `redis-cli` would print: an array's elements one a line,
    /// nothing for nil. An answer that is an error is this error, in Redis' own words, as `READONLY You can't …`.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        resp::command(self.port, self.certificates.as_ref(), words)
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its URL, `redis://` or `rediss://`.
    pub fn url(&self) -> String {
        self.url_at(&self.address())
    }

    /// Its URL through somebody else's address, as a proxy's.
    pub fn url_at(&self, address: &str) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{address}")
    }

    /// Its URL for a user, with a database.
    pub fn url_of(&self, user: &str, password: &str, database: u8) -> String {
        let plain = self.url();
        let (scheme, address) = plain.split_once("://").unwrap_or_default();
        format!("{scheme}://{user}:{password}@{address}/{database}")
    }

    /// Its certificates, if it speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The file that the server appends to.
    fn append_only_file(&self) -> Result<PathBuf> {
        let folder = self.data().join("appendonlydir");
        let manifest = fs::read_to_string(folder.join("appendonly.aof.manifest"))?;
        let last = manifest.lines().rfind(|line| line.ends_with("type i")).context("no file to append to")?;
        Ok(folder.join(last.split(' ').nth(1).context("a file without a name")?))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // One that has ended already cannot be killed.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = (entry?.path(), to);
        let target = target.join(entry.file_name().context("a file without a name")?);
        if entry.is_dir() {
            copy_folder(&entry, &target)?;
        } else {
            fs::copy(&entry, &target)?;
        }
    }
    Ok(())
}
