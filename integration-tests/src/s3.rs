//! S3 servers: one in this process that can be told to fail, and `moto_server`, which nobody here wrote.
//!
//! [`S3`] is `s3s` with `s3s-fs` over a folder, made strict where the latter is lax (`strict`), behind a front that
//! counts requests and fails on purpose (`front`). It checks signatures and checksums. [`Moto`] checks neither, keeps
//! everything in memory, and is what the behaviour of ours is compared with.

mod account;
mod front;
mod metered;
mod moto;
mod serve;
mod strict;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, Result};
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

pub use account::Account;
pub use front::{Counts, S3Fault};
pub use moto::Moto;

use crate::background::background;
use crate::certificates::Certificates;
use crate::ports::free_port;
use front::Front;
use strict::Strict;

/// A server in this process; gone when dropped.
#[derive(Debug)]
pub struct S3 {
    account: Account,
    /// The same objects, past the front: nothing that the harness itself does there fails or is counted.
    beside: Account,
    front: Arc<Front>,
    tasks: [AbortHandle; 2],
    port: u16,
    data: PathBuf,
    certificates: Option<Certificates>,
    folder: Option<TempDir>,
}

impl S3 {
    /// Starts a server on a folder of its own, with keys of its own.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut started = Self::serve(folder.path(), free_port(), "harness", "a secret of the harness", None).await?;
        started.folder = Some(folder);
        Ok(started)
    }

    /// Starts a server that speaks nothing but TLS, with a certificate of [`Self::certificates`].
    pub async fn start_tls() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (data, certificates) = (folder.path().join("data"), Certificates::make(folder.path())?);
        std::fs::create_dir(&data)?;
        let keys = ("harness", "a secret of the harness");
        let mut started = Self::serve(&data, free_port(), keys.0, keys.1, Some(certificates)).await?;
        started.folder = Some(folder);
        Ok(started)
    }

    /// Serves that folder, whose folders are buckets, on that port.
    pub async fn at(folder: &Path, port: u16, key: &str, secret: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        Self::serve(folder, port, key, secret, None).await
    }

    async fn serve(folder: &Path, port: u16, key: &str, secret: &str, tls: Option<Certificates>) -> Result<Self> {
        let mut builder = S3ServiceBuilder::new(Strict::new(folder)?);
        builder.set_auth(SimpleAuth::from_single(key, secret));
        builder.set_host(Hosts);
        let service = builder.build();
        let acceptor = match &tls {
            Some(certificates) => Some(TlsAcceptor::from(certificates.serve()?)),
            None => None,
        };
        let (front, open) = (Arc::new(Front::default()), Arc::new(Front::default()));
        let beside = free_port();
        // A socket belongs to the runtime that it is made on.
        let listen =
            async |port: u16| background().spawn(TcpListener::bind(("127.0.0.1", port))).await?.map_err(Error::from);
        let (listener, beside_listener) = (listen(port).await?, listen(beside).await?);
        let served = serve::serve(listener, service.clone(), Arc::clone(&front), acceptor.clone());
        let served_beside = serve::serve(beside_listener, service, open, acceptor);
        let tasks = [background().spawn(served).abort_handle(), background().spawn(served_beside).abort_handle()];
        let authority = tls.as_ref().map(Certificates::authority);
        let account = |port: u16| Account::new(format!("127.0.0.1:{port}"), key, secret, authority.clone());
        let (account, beside) = (account(port), account(beside));
        Ok(Self { account, beside, front, tasks, port, data: folder.to_owned(), certificates: tls, folder: None })
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The way in for those under test.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The way in for the harness: never fails, is not counted.
    pub fn beside(&self) -> &Account {
        &self.beside
    }

    /// The folder, whose folders are buckets; below them objects lie under their keys.
    pub fn folder(&self) -> &Path {
        &self.data
    }

    /// Its certificates, if it speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Makes a bucket.
    pub fn make_bucket(&self, name: &str) -> Result<()> {
        Ok(std::fs::create_dir(self.data.join(name))?)
    }

    /// Makes this the only thing that is wrong, from the next request on; slow bodies change their pace at once.
    pub fn set(&self, fault: S3Fault) {
        self.front.set(fault);
    }

    /// Makes the server well again.
    pub fn restore(&self) {
        self.front.set(S3Fault::default());
    }

    /// What was asked and answered so far.
    pub fn counts(&self) -> Counts {
        self.front.counts()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Path style at every address, and the bucket as the first label of a name below `localhost`.
struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        match name.strip_suffix(".localhost") {
            Some(bucket) => Ok(VirtualHost::new("localhost").with_bucket(bucket)),
            None if name.is_empty() => Err(s3_error!(InvalidRequest, "no host")),
            None => Ok(VirtualHost::new(host)),
        }
    }
}
