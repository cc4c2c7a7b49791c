//! The server of this binary: the services that `GIGAPI_MODE` asks for, in one process.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use gigapi_querier::{QUERY_ENDPOINTS, Unflushed};
use gigapi_service::process::{self, BoxError, Host, Part, SettingsArgs};
use gigapi_service::settings::{Mode, Settings};
use gigapi_service::{Components, Shutdown};
use gigapi_writer::WRITE_ENDPOINTS;

use crate::unflushed::WriterRows;

pub(crate) fn serve(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    process::launch(args.load(&[])?, run).map_err(|error| anyhow!(error))
}

async fn run(host: Host) -> Result<(), BoxError> {
    let mode = host.settings.mode;
    let mut endpoints = Vec::new();
    if mode.writes() {
        endpoints.extend(WRITE_ENDPOINTS);
    }
    if mode.reads() {
        endpoints.extend(QUERY_ENDPOINTS);
    }
    process::serve(host, &endpoints, announce, start).await
}

async fn start(settings: &Settings, components: &Components, shutdown: &Shutdown) -> Result<Vec<Part>, BoxError> {
    match settings.mode {
        Mode::AllInOne => {
            let writer = gigapi_writer::part(settings, components, shutdown).await?;
            let unflushed: Arc<dyn Unflushed> = Arc::new(WriterRows { writer: writer.id, buffer: writer.buffer });
            let querier = gigapi_querier::part(settings, components, shutdown, Some(unflushed))?;
            Ok(vec![writer.part, querier, gigapi_compactor::beside(settings, components, shutdown)?])
        }
        Mode::WriteOnly => Ok(vec![gigapi_writer::part(settings, components, shutdown).await?.part]),
        Mode::ReadOnly => Ok(vec![gigapi_querier::alone(settings, components, shutdown).await?]),
        Mode::Compaction => Ok(vec![gigapi_compactor::part(settings, components, shutdown).await?]),
    }
}

/// Says where to write and query, in words that can be pasted.
fn announce(address: &str, settings: &Settings) {
    let root = std::fs::canonicalize(&settings.root).unwrap_or_else(|_| settings.root.clone());
    println!("GigAPI {} keeps its data in {}", env!("CARGO_PKG_VERSION"), root.display());
    if settings.mode.writes() {
        println!(
            "  write:  curl -i 'http://{address}/write?db=mydb' --data-binary 'weather,city=Oslo temperature=3.5'"
        );
    }
    if settings.mode.reads() {
        println!(
            "  query:  curl 'http://{address}/query?db=mydb' -H 'Content-Type: application/json' -d '{{\"query\":\"SELECT * FROM weather\"}}'"
        );
    }
    println!("  health: http://{address}/health   metrics: http://{address}/metrics");
}
