//! The writer as a service: what it needs of the catalog before it starts, what it keeps in store for the day the
//! catalog is lost, and its place in a process.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{ErrorKind, WriterId};
use gigapi_recovery::{Checkpointer, Guardian, Policy};
use gigapi_service::process::{self, BoxError, Host, Part};
use gigapi_service::settings::{HttpSettings, Settings};
use gigapi_service::{CatalogStatus, Components, Phase, Shutdown};
use gigapi_storage::OWN_FOLDER;

use crate::{Buffer, OpenError, WRITE_ENDPOINTS, Writer, WriterComponents, WriterOptions};

/// A writer that is up.
#[derive(Debug)]
pub struct WriterPart {
    /// Its routes and its work.
    pub part: Part,
    /// Whose rows these are in watermarks.
    pub id: WriterId,
    /// The rows that are not in committed files.
    pub buffer: Arc<Buffer>,
}

/// Runs a writer until the shutdown.
pub async fn run(host: Host) -> Result<(), BoxError> {
    let start = async |settings: &Settings, components: &Components, shutdown: &Shutdown| {
        Ok(vec![part(settings, components, shutdown).await?.part])
    };
    process::serve(host, WRITE_ENDPOINTS, |_, _| {}, start).await
}

/// How often opening is tried while the catalog is away.
const OPEN_INTERVAL: Duration = Duration::from_secs(1);

/// Brings a writer up: a catalog that serves, layers that are the catalog's, a log that is replayed.
pub async fn part(settings: &Settings, components: &Components, shutdown: &Shutdown) -> Result<WriterPart, BoxError> {
    let guardian = Guardian::new(Arc::clone(&components.catalog), Arc::clone(&components.layers), true);
    let status = CatalogStatus::register(&components.metrics, &components.readiness);
    status.follow(guardian.health(), |health| (health.word(), health.reason()));
    let mut is_rebuilt = false;
    let writer = loop {
        let epochs = guardian.settle().await?;
        components.claim_layers(epochs.catalog).await?;
        match open(settings, components).await {
            // Data files may know what the catalog has forgotten, but only once: what they do not tell is lost.
            Err(OpenError::CatalogBehind { table, known, found }) if !is_rebuilt => {
                let reason = format!(
                    "it has rows of table {table} up to {found}, the write-ahead log remembers commits up to {known}"
                );
                match guardian.rebuild(reason).await {
                    Ok(done) => is_rebuilt = done,
                    Err(gigapi_recovery::Error::Catalog(error)) if error.kind().is_transient() => away(&error).await,
                    Err(error) => return Err(error.into()),
                }
            }
            Err(OpenError::Catalog(error)) if error.kind() == ErrorKind::Unavailable => away(&error).await,
            opened => break opened?,
        }
    };
    status.up();
    let (id, buffer, routes) = (writer.id(), writer.buffer(), writer.routes());
    keep_checkpoints(components, shutdown);
    let guarding = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { guardian.run(shutdown.reached(Phase::Close)).await }
    });
    let shutdown = shutdown.clone();
    let work = Box::pin(async move {
        let ended = writer.run(shutdown).await;
        guarding.abort();
        ended.map_err(BoxError::from)
    });
    Ok(WriterPart { part: Part { routes, work }, id, buffer })
}

async fn away(error: &gigapi_catalog::Error) {
    tracing::warn!(%error, "the catalog went away while the log was being opened; trying again");
    tokio::time::sleep(OPEN_INTERVAL).await;
}

async fn open(settings: &Settings, components: &Components) -> Result<Writer, OpenError> {
    let place = match (&settings.metadata.redis, &settings.writer.name) {
        (None, _) => None,
        (Some(_), Some(name)) => Some(name.clone()),
        (Some(_), None) => Some(host_name()?),
    };
    let wal = settings.root.join(OWN_FOLDER).join("wal");
    gigapi_service::make_folder(&wal, "GIGAPI_ROOT").map_err(|error| OpenError::Start(error.to_string()))?;
    let address = own_address(&settings.http, settings.writer.address.as_deref())?;
    let options = WriterOptions { wal, place, address, settings: settings.writer.clone(), limits: settings.limits };
    let components = WriterComponents {
        catalog: Arc::clone(&components.catalog),
        layers: Arc::clone(&components.layers),
        clock: Arc::clone(&components.clock),
        ids: Arc::clone(&components.ids),
        metrics: components.metrics.clone(),
        readiness: components.readiness.clone(),
    };
    Writer::open(components, options).await
}

/// Where others reach the port, as far as this process can tell.
fn own_address(http: &HttpSettings, given: Option<&str>) -> Result<String, OpenError> {
    let port = http.port;
    let host = given.unwrap_or(&http.host);
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Ok(format!("{}:{port}", host_name()?)),
        Ok(ip) => Ok(SocketAddr::new(ip, port).to_string()),
        Err(_) if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => Ok(host.to_owned()),
        Err(_) => Ok(format!("{host}:{port}")),
    }
}

/// The name of the pod or machine.
fn host_name() -> Result<String, OpenError> {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() {
        return Err(OpenError::Start("the host has no name that can be read: set GIGAPI_WRITER_NAME".to_owned()));
    }
    Ok(name)
}

/// Writes checkpoints while the process runs, and once more when everything is flushed.
fn keep_checkpoints(components: &Components, shutdown: &Shutdown) {
    let participant = shutdown.join(Phase::Close, "checkpoints");
    let checkpointer =
        Checkpointer::new(Arc::clone(&components.catalog), components.layers.as_ref().clone(), Policy::default());
    tokio::spawn(async move {
        checkpointer.run(participant.called()).await;
        drop(participant);
    });
}

#[cfg(test)]
mod tests;
