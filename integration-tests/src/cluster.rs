//! A deployment of several machines on one: Redis, an S3 server or a shared folder, and processes with roots of their
//! own that share nothing else.
//!
//! Processes get the settings that `deploy/` gives them (`settings`), changed only where a test stands elsewhere:
//! addresses, folders, secrets, and what the test itself asks for. With [`ClusterBuilder::proxied`] each of them
//! reaches Redis and S3 through proxies of its own, so that any one link can be cut.

mod inside;
mod process;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gigapi_catalog::{Catalog, Limits, RedisCatalog, RedisOptions};
use gigapi_model::{LayerName, SystemIds};
use tempfile::TempDir;

pub use process::Process;

use crate::live::live_files;
use crate::{Client, LiveFile, Proxy, Redis, S3, ServerOptions, until};
use process::Place;
use settings::{COLD_LAYER, Settings};

/// The bucket of a cluster whose layer is in S3.
const BUCKET: &str = "gigapi";

/// The prefix of the layer in that bucket.
const PREFIX: &str = "data";

/// That of the layer behind it.
const COLD_PREFIX: &str = "cold";

/// Where the catalog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogKind {
    /// In a Redis of the cluster's own. Another one's URL can be given as `GIGAPI_METADATA_URL`.
    Redis,
    /// In a Redis of the cluster's own that speaks nothing but TLS.
    RedisTls,
}

/// Where the data files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// In a folder that all processes see.
    Fs,
    /// In an S3 server of the cluster's own.
    S3,
}

/// Which programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binaries {
    /// `gigapi`, told by `GIGAPI_MODE` which part to play.
    One,
    /// `gigapi-writer`, `gigapi-querier` and `gigapi-compactor`.
    Separate,
    /// None: the services run inside the test, where they can be told to stop and nothing worse.
    Inside,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Writer,
    /// Answers queries.
    Querier,
    /// Merges.
    Compactor,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Querier => "querier",
            Self::Compactor => "compactor",
        }
    }

    fn mode(self) -> &'static str {
        match self {
            Self::Writer => "writeonly",
            Self::Querier => "readonly",
            Self::Compactor => "compaction",
        }
    }
}

/// A process of the cluster: what it does and its number among those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member(pub Role, pub usize);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    counts: [(Role, usize); 3],
    catalog: CatalogKind,
    layer: LayerKind,
    binaries: Binaries,
    proxied: bool,
    cold_after: Option<String>,
    given: Vec<(Option<Role>, String, String)>,
}

impl ClusterBuilder {
    /// With that many writers.
    #[must_use]
    pub fn writers(mut self, count: usize) -> Self {
        self.counts[0].1 = count;
        self
    }

    /// With that many queriers.
    #[must_use]
    pub fn queriers(mut self, count: usize) -> Self {
        self.counts[1].1 = count;
        self
    }

    /// With that many compactors.
    #[must_use]
    pub fn compactors(mut self, count: usize) -> Self {
        self.counts[2].1 = count;
        self
    }

    /// With the catalog there.
    #[must_use]
    pub fn catalog(self, catalog: CatalogKind) -> Self {
        Self { catalog, ..self }
    }

    /// With the data files there.
    #[must_use]
    pub fn layer(self, layer: LayerKind) -> Self {
        Self { layer, ..self }
    }

    /// With a second layer of the same kind, to which data goes when it is that old, as `3s` or `1w`.
    #[must_use]
    pub fn cold_after(self, ttl: &str) -> Self {
        Self { cold_after: Some(ttl.to_owned()), ..self }
    }

    /// With those programs.
    #[must_use]
    pub fn binaries(self, binaries: Binaries) -> Self {
        Self { binaries, ..self }
    }

    /// With a proxy between each process and Redis, and one between each process and S3.
    #[must_use]
    pub fn proxied(self) -> Self {
        Self { proxied: true, ..self }
    }

    /// Rows wait in a writer's buffer for that long.
    #[must_use]
    pub fn save_timeout(self, timeout: Duration) -> Self {
        self.set("GIGAPI_SAVE_TIMEOUT_S", &timeout.as_secs_f64().to_string())
    }

    /// With this setting for every process.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.given.push((None, name.to_owned(), value.to_owned()));
        self
    }

    /// With this setting for all processes of a role.
    #[must_use]
    pub fn set_for(mut self, role: Role, name: &str, value: &str) -> Self {
        self.given.push((Some(role), name.to_owned(), value.to_owned()));
        self
    }

    /// Starts everything and waits until all of it is ready.
    pub async fn spawn(self) -> Result<Cluster> {
        let folder = tempfile::tempdir()?;
        let redis = match self.catalog {
            CatalogKind::Redis => Redis::start().await?,
            CatalogKind::RedisTls => Redis::start_tls(&[]).await?,
        };
        let s3 = match self.layer {
            LayerKind::Fs => None,
            LayerKind::S3 => {
                let s3 = S3::start().await?;
                s3.make_bucket(BUCKET)?;
                Some(s3)
            }
        };
        let mut cluster = Cluster { processes: Vec::new(), redis, s3, folder };
        for (role, count) in self.counts {
            for number in 0..count {
                let process = self.process(&cluster, Member(role, number)).await?;
                cluster.processes.push(process);
            }
        }
        for process in &mut cluster.processes {
            process.spawn()?;
        }
        cluster.until_ready(Duration::from_secs(60)).await?;
        Ok(cluster)
    }

    async fn process(&self, cluster: &Cluster, member: Member) -> Result<Process> {
        let Member(role, number) = member;
        let name = format!("{}-{number}", role.name());
        let root = cluster.folder.path().join(&name);
        std::fs::create_dir(&root)?;
        let mut settings = Settings::deployed(role)?;
        settings.place_caches(&root.join("cache"));
        let redis = self.proxy(Some(&cluster.redis.address())).await?;
        let s3 = self.proxy(cluster.s3.as_ref().map(S3::address).as_deref()).await?;
        let redis_address = redis.as_ref().map_or_else(|| cluster.redis.address(), Proxy::address);
        settings.set("GIGAPI_METADATA_URL", &cluster.redis.url_at(&redis_address));
        self.place_layers(cluster, &mut settings, s3.as_ref())?;
        if role == Role::Writer {
            settings.set("GIGAPI_WRITER_NAME", &name);
        }
        let mut options = ServerOptions::new(&root.join("data"));
        options = match self.binaries {
            Binaries::One => options.set("GIGAPI_MODE", role.mode()),
            Binaries::Separate => options.program(&format!("gigapi-{}", role.name())),
            Binaries::Inside => options,
        };
        if let Some(certificates) = cluster.redis.certificates() {
            options = options.set("SSL_CERT_FILE", certificates.authority());
        }
        for (_, name, value) in self.given.iter().filter(|(of, ..)| of.is_none_or(|of| of == role)) {
            settings.set(name, value);
        }
        for (name, value) in settings.into_pairs() {
            options = options.set(&name, value);
        }
        let place = if self.binaries == Binaries::Inside { Place::Inside } else { Place::Child };
        Ok(Process::new(member, name, place, options, redis, s3))
    }

    fn place_layers(&self, cluster: &Cluster, settings: &mut Settings, proxy: Option<&Proxy>) -> Result<()> {
        let account = cluster.s3.as_ref().map(|server| {
            let address = proxy.map_or_else(|| server.address(), Proxy::address);
            server.account().at(&address)
        });
        let keys = account.as_ref().map(|account| (account.key(), account.secret()));
        let kind = if account.is_some() { "s3" } else { "fs" };
        let url = |prefix: &str, folder: PathBuf| match &account {
            Some(account) => account.layer_url(BUCKET, prefix),
            None => folder.to_string_lossy().into_owned(),
        };
        settings.place_shared_layer(kind, &url(PREFIX, cluster.layer_folder()), keys)?;
        if let Some(ttl) = &self.cold_after {
            settings.add_cold_layer(ttl, kind, &url(COLD_PREFIX, cluster.cold_folder()), keys)?;
        }
        Ok(())
    }

    async fn proxy(&self, to: Option<&str>) -> Result<Option<Proxy>> {
        match to.filter(|_| self.proxied) {
            Some(address) => Ok(Some(Proxy::to(address).await?)),
            None => Ok(None),
        }
    }
}

/// A running cluster; everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Before the servers that they need, so that they end first.
    processes: Vec<Process>,
    /// What holds the catalog.
    pub redis: Redis,
    s3: Option<S3>,
    folder: TempDir,
}

impl Cluster {
    /// One writer and one querier around Redis and S3, until more is asked for.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            counts: [(Role::Writer, 1), (Role::Querier, 1), (Role::Compactor, 0)],
            catalog: CatalogKind::Redis,
            layer: LayerKind::S3,
            binaries: Binaries::Separate,
            proxied: false,
            cold_after: None,
            given: Vec::new(),
        }
    }

    /// All members.
    pub fn members(&self) -> Vec<Member> {
        self.processes.iter().map(Process::member).collect()
    }

    /// All members of a role.
    pub fn members_of(&self, role: Role) -> Vec<Member> {
        self.members().into_iter().filter(|member| member.0 == role).collect()
    }

    /// A process, which is there whether it runs or not.
    ///
    /// # Panics
    ///
    /// If there is no such member.
    pub fn process(&mut self, member: Member) -> &mut Process {
        let found = self.processes.iter_mut().find(|process| process.member() == member);
        found.unwrap_or_else(|| panic!("the cluster has no {member:?}"))
    }

    /// Writer `number`, from 0.
    pub fn writer(&mut self, number: usize) -> &mut Process {
        self.process(Member(Role::Writer, number))
    }

    /// Querier `number`, from 0.
    pub fn querier(&mut self, number: usize) -> &mut Process {
        self.process(Member(Role::Querier, number))
    }

    /// Compactor `number`, from 0.
    pub fn compactor(&mut self, number: usize) -> &mut Process {
        self.process(Member(Role::Compactor, number))
    }

    /// Clients of all processes of a role.
    pub fn clients(&self, role: Role) -> Vec<Client> {
        self.processes.iter().filter(|process| process.member().0 == role).map(Process::client).collect()
    }

    /// The S3 server.
    ///
    /// # Panics
    ///
    /// If the layer is a folder.
    pub fn s3(&self) -> &S3 {
        self.s3.as_ref().expect("the layer of this cluster is a folder")
    }

    /// Whether the layer is in S3.
    pub fn has_s3(&self) -> bool {
        self.s3.is_some()
    }

    /// The proxy between a process and Redis.
    pub fn redis_proxy(&mut self, of: Member) -> Result<&Proxy> {
        self.process(of).redis_proxy().context("the cluster is not proxied")
    }

    /// The proxy between a process and S3.
    pub fn s3_proxy(&mut self, of: Member) -> Result<&Proxy> {
        self.process(of).s3_proxy().context("the cluster is not proxied, or has no S3")
    }

    /// Where the objects of the layer lie, as files.
    pub fn layer_folder(&self) -> PathBuf {
        match &self.s3 {
            None => self.folder.path().join("layer"),
            Some(s3) => s3.folder().join(BUCKET).join(PREFIX),
        }
    }

    /// Where the objects of the layer behind it lie, if there is one.
    pub fn cold_folder(&self) -> PathBuf {
        match &self.s3 {
            None => self.folder.path().join("cold"),
            Some(s3) => s3.folder().join(BUCKET).join(COLD_PREFIX),
        }
    }

    /// A folder for what a test wants to keep as long as the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The live data files of a table, as the catalog lists them. Never to be asked while the catalog is lost: an
    /// empty Redis would be made a new catalog.
    pub async fn live_files(&self, database: &str, table: &str) -> Result<Vec<LiveFile>> {
        let catalog = self.catalog().await?;
        let folder = |layer: &LayerName| match layer.as_str() == COLD_LAYER {
            true => self.cold_folder(),
            false => self.layer_folder(),
        };
        live_files(&catalog, database, table, folder).await
    }

    /// Removed files that wait to be deleted; asked as [`Self::live_files`] is.
    pub async fn graves(&self) -> Result<usize> {
        Ok(self.catalog().await?.graveyard().await?.len())
    }

    async fn catalog(&self) -> Result<RedisCatalog> {
        let options = RedisOptions { accept_unsafe: true, ..RedisOptions::default() };
        Ok(RedisCatalog::open(&self.redis.url(), &options, Arc::new(SystemIds), Limits::default()).await?)
    }

    /// Waits until every process is ready; one that has ended by itself is an error.
    pub async fn until_ready(&mut self, patience: Duration) -> Result<()> {
        let processes = &mut self.processes;
        let ready = async || {
            for process in processes.iter_mut() {
                if !process.is_ready().await? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let outcome = until("processes that are all ready", patience, ready).await;
        outcome.with_context(|| self.logs())
    }

    /// The last lines that each process printed.
    pub fn logs(&self) -> String {
        const LINES: usize = 60;
        let tail = |process: &Process| {
            let log = process.options().log();
            let lines: Vec<&str> = log.lines().collect();
            format!("{}:\n{}\n", process.name(), lines[lines.len().saturating_sub(LINES)..].join("\n"))
        };
        self.processes.iter().map(tail).collect()
    }
}
