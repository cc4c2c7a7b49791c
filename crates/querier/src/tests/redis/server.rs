//! A `redis-server` of a test's own, with a writer's and a querier's handle on the catalog in it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::{Catalog, Limits, RedisCatalog, RedisOptions};
use gigapi_model::{Clock, ManualClock, SystemClock, SystemIds};

use super::super::world::World;
use crate::{Querier, QueryOptions};

pub(super) struct Shared {
    server: Child,
    /// What a writer elsewhere does.
    pub(super) world: World,
    /// The catalog as the querier's process holds it.
    catalog: Arc<RedisCatalog>,
    _folder: tempfile::TempDir,
}

impl Shared {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is not installed; run `make test`");
        let writers = open(port).await;
        writers.found().await.unwrap();
        // The server's own clock decides how old a file id may be.
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let world = World::over(Arc::new(writers), clock).await;
        Self { server, world, catalog: Arc::new(open(port).await), _folder: folder }
    }

    pub(super) fn querier(&self, snapshot_age_max: Duration) -> Querier {
        let options = QueryOptions { snapshot_age_max, ..QueryOptions::default() };
        self.world.querier_of(Arc::clone(&self.catalog) as Arc<dyn Catalog>, options)
    }

    /// How often the querier's process has asked so far.
    pub(super) fn round_trips(&self) -> u64 {
        self.catalog.round_trips()
    }

    /// Redis goes away for good.
    pub(super) fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // One that was stopped already cannot be killed.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Opens the catalog as soon as its server answers.
async fn open(port: u16) -> RedisCatalog {
    let options = RedisOptions { response_timeout: Duration::from_secs(5), ..RedisOptions::default() };
    let mut refused = None;
    for _ in 0..500 {
        let url = format!("redis://127.0.0.1:{port}");
        match RedisCatalog::open(&url, &options, Arc::new(SystemIds), Limits::default()).await {
            Ok(catalog) => return catalog,
            Err(error) => refused = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Redis does not answer: {refused:?}");
}
