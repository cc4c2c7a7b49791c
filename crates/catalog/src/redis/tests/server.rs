//! A `redis-server` of the tests' own, on a free port, with a folder that goes away with it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{Clock, SystemIds};

use crate::redis::{RedisCatalog, RedisOptions};
use crate::{Catalog, Limits};

pub(crate) struct TestServer {
    port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl TestServer {
    /// Starts a server that keeps what it acknowledges, unless `settings` say otherwise.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"])
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is not installed; run `make test`");
        Self { port, process, _folder: folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The catalog on this server, as soon as it answers, with an identity.
    pub(crate) async fn catalog(&self, limits: Limits, clock: Option<Arc<dyn Clock>>) -> RedisCatalog {
        let catalog = self.open(limits, clock).await;
        catalog.found().await.unwrap();
        catalog
    }

    /// What is on this server, as soon as it answers.
    pub(crate) async fn open(&self, limits: Limits, clock: Option<Arc<dyn Clock>>) -> RedisCatalog {
        // Long enough for a busy machine, short enough to wait for in a test.
        let options = RedisOptions { response_timeout: Duration::from_secs(2), ..RedisOptions::default() };
        open(&self.url(), &options, limits, clock).await
    }

    /// The server stops answering without going away.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// It answers again.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits until the server answers a command with this word.
    fn until(&self, command: &[&str], word: &str) {
        for _ in 0..1_000 {
            let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
            if String::from_utf8_lossy(&output.stdout).contains(word) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server on port {} does not answer {command:?} with {word}", self.port);
    }
}

/// Opens a catalog as soon as its server answers.
pub(crate) async fn open(
    url: &str,
    options: &RedisOptions,
    limits: Limits,
    clock: Option<Arc<dyn Clock>>,
) -> RedisCatalog {
    let mut refused = None;
    for _ in 0..500 {
        match RedisCatalog::open_at(url, options, Arc::new(SystemIds), limits.clone(), clock.clone()).await {
            Ok(catalog) => return catalog,
            Err(error) => refused = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Redis does not answer: {refused:?}");
}

/// Three servers that share the slots.
pub(crate) struct TestCluster(Vec<TestServer>);

impl TestCluster {
    pub(crate) fn start() -> Self {
        let settings =
            || ["--cluster-enabled".to_owned(), "yes".to_owned(), "--cluster-port".to_owned(), free_port().to_string()];
        let nodes: Vec<TestServer> =
            (0..3).map(|_| TestServer::start(&settings().iter().map(String::as_str).collect::<Vec<_>>())).collect();
        nodes.iter().for_each(|node| node.until(&["ping"], "PONG"));
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .arg("--cluster-yes")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        nodes.iter().for_each(|node| node.until(&["cluster", "info"], "cluster_state:ok"));
        Self(nodes)
    }

    pub(crate) fn url(&self) -> String {
        self.0.iter().map(TestServer::url).collect::<Vec<_>>().join(",")
    }

    /// From here on clients have to give this password.
    pub(crate) fn require(&self, password: &str) {
        self.0.iter().for_each(|node| node.until(&["config", "set", "requirepass", password], "OK"));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
