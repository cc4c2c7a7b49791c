//! The all-in-one server: one set of components, the parts that the mode asks for, one shutdown.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use gigapi_querier::{Querier, QuerierComponents, QueryOptions, Unflushed};
use gigapi_service::http::{
    ConnectionLimit, HEALTH_ENDPOINTS, Health, HttpMetrics, RequestIds, ServeOptions, Shell, listen, local_address,
    serve as serve_http, shell,
};
use gigapi_service::settings::{HttpSettings, Mode, Settings};
use gigapi_service::telemetry::{raise_open_files_limit, start_logging};
use gigapi_service::{Authenticator, Components, Shutdown, Signals};
use gigapi_storage::OWN_FOLDER;
use gigapi_writer::{WRITE_ENDPOINTS, Writer, WriterComponents, WriterOptions};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::cli::told;
use crate::recovery;
use crate::settings::SettingsArgs;
use crate::unflushed::WriterRows;

/// Where queries go in the seed's examples; opened beside the default port if it is free.
const SECOND_QUERY_PORT: u16 = 7972;

/// Descriptors beyond the connections: data files, segments and the catalog.
const OPEN_FILES_WANTED: u64 = 8_192;

pub(crate) fn serve(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let loaded = args.load()?;
    start_logging(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files_limit(loaded.settings.http.connections_max as u64 + OPEN_FILES_WANTED);
    let runtime = Runtime::new().context("cannot start the runtime")?;
    // Queries have threads of their own, so that a wide one does not hold up writes.
    let queries = tokio::runtime::Builder::new_multi_thread()
        .thread_name("query")
        .worker_threads(loaded.settings.query.threads.unwrap_or_else(threads))
        .enable_all()
        .build()
        .context("cannot start the queries' runtime")?;
    let outcome = runtime.block_on(run(loaded.settings, &queries));
    queries.shutdown_background();
    runtime.shutdown_background();
    outcome
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

async fn run(settings: Settings, queries: &Runtime) -> anyhow::Result<ExitCode> {
    if settings.mode == Mode::Compaction {
        bail!("GIGAPI_MODE=compaction: merging is not part of this version; use aio, writeonly or readonly");
    }
    let signals = Signals::listen()?;
    let shutdown = Shutdown::new();
    let components = Components::open_unclaimed(&settings).await?;
    if settings.mode.writes() {
        recovery::recover(&components).await?;
    }
    components.claim_layers().await?;
    let starting = components.readiness.block("starting", "the server is starting");
    let listener = listen(&settings.http.host, settings.http.port, "HTTP_PORT").await?;
    let writer = match settings.mode.writes() {
        true => Some(open_writer(&components, &settings).await?),
        false => None,
    };
    let routes = routes(&components, &settings, writer.as_ref(), queries, &shutdown)?;
    let mut parts: JoinSet<anyhow::Result<()>> = JoinSet::new();
    if let Some(writer) = writer {
        let shutdown = shutdown.clone();
        recovery::keep_checkpoints(&components, &shutdown);
        parts.spawn(async move { writer.run(shutdown).await.map_err(Into::into) });
    }
    announce(&listener, &settings);
    let limit = ConnectionLimit::new(settings.http.connections_max);
    let metrics = HttpMetrics::register(&components.metrics);
    let app = shell(routes.router, wrapping(&components, &settings, metrics.clone(), routes.endpoints));
    for (listener, name) in listeners(listener, &settings.http).await {
        let options = ServeOptions::new(name, &settings.http, limit.clone(), metrics.clone());
        tokio::spawn(serve_http(listener, app.clone(), options, &shutdown));
    }
    drop(starting);
    wait(parts, signals, shutdown).await
}

/// Waits for a signal or for a part that ends early, then leads the shutdown.
async fn wait(
    mut parts: JoinSet<anyhow::Result<()>>,
    signals: Signals,
    shutdown: Shutdown,
) -> anyhow::Result<ExitCode> {
    let mut leading = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.run().await }
    });
    let mut outcome = Ok(ExitCode::SUCCESS);
    let second_signal = signals.drive(shutdown.clone());
    tokio::pin!(second_signal);
    loop {
        tokio::select! {
            Some(ended) = parts.join_next() => {
                let ended = ended.map_err(anyhow::Error::from).and_then(|ended| ended);
                if let Err(error) = ended {
                    tracing::error!("{}; the server stops", told(&error));
                    outcome = Err(error);
                }
                shutdown.begin();
            }
            signal = &mut second_signal => {
                tracing::warn!(signal, "stopping at once; what is not in files is in the write-ahead log");
                return Ok(ExitCode::FAILURE);
            }
            _ = &mut leading => break,
        }
    }
    outcome
}

async fn open_writer(components: &Components, settings: &Settings) -> anyhow::Result<Writer> {
    let place = match (&settings.metadata.redis, &settings.writer.name) {
        (None, _) => None,
        (Some(_), Some(name)) => Some(name.clone()),
        (Some(_), None) => Some(host_name()?),
    };
    let options = WriterOptions {
        wal: settings.root.join(OWN_FOLDER).join("wal"),
        place,
        settings: settings.writer.clone(),
        limits: settings.limits,
    };
    let components = WriterComponents {
        catalog: Arc::clone(&components.catalog),
        layers: Arc::clone(&components.layers),
        clock: Arc::clone(&components.clock),
        ids: Arc::clone(&components.ids),
        metrics: components.metrics.clone(),
        readiness: components.readiness.clone(),
    };
    Ok(Writer::open(components, options).await?)
}

/// The name of the pod or machine.
fn host_name() -> anyhow::Result<String> {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() {
        bail!("the host has no name that can be read: set GIGAPI_WRITER_NAME");
    }
    Ok(name)
}

struct Routes {
    router: Router,
    endpoints: Vec<&'static str>,
}

fn routes(
    components: &Components,
    settings: &Settings,
    writer: Option<&Writer>,
    queries: &Runtime,
    shutdown: &Shutdown,
) -> anyhow::Result<Routes> {
    let health = Health::new(components.readiness.clone(), components.metrics.clone(), Arc::clone(&components.clock));
    let mut router = health.until(shutdown).router();
    let mut endpoints = HEALTH_ENDPOINTS.to_vec();
    if let Some(writer) = writer {
        router = router.merge(writer.routes());
        endpoints.extend(WRITE_ENDPOINTS);
    }
    if settings.mode.reads() {
        let unflushed = writer
            .map(|writer| Arc::new(WriterRows { writer: writer.id(), buffer: writer.buffer() }) as Arc<dyn Unflushed>);
        let spill = settings.root.join(OWN_FOLDER).join("spill");
        std::fs::create_dir_all(&spill).with_context(|| {
            format!("the folder {} cannot be made; set GIGAPI_ROOT to one that this user may write to", spill.display())
        })?;
        let querier = QuerierComponents {
            catalog: Arc::clone(&components.catalog),
            store: components.layers.front(),
            clock: Arc::clone(&components.clock),
            unflushed,
            options: QueryOptions::new(&settings.query, Some(spill)),
            runtime: queries.handle().clone(),
        };
        let querier = components.metrics.register(|registry| Querier::new(querier, registry))?;
        router = router.merge(gigapi_querier::routes(querier));
        endpoints.extend(gigapi_querier::QUERY_ENDPOINTS);
    }
    Ok(Routes { router, endpoints })
}

fn wrapping(components: &Components, settings: &Settings, metrics: HttpMetrics, endpoints: Vec<&'static str>) -> Shell {
    let auth = Arc::new(Authenticator::new(&settings.auth));
    Shell { ids: RequestIds::new(components.ids.as_ref()), auth, metrics, endpoints: endpoints.into() }
}

/// The first listener, and a second one on the port of the seed's query examples if nobody chose a port.
async fn listeners(first: TcpListener, settings: &HttpSettings) -> Vec<(TcpListener, &'static str)> {
    let mut all = vec![(first, "http")];
    if !settings.port_given {
        // Somebody else may have it: it is a convenience, not a promise.
        if let Ok(second) = listen(&settings.host, SECOND_QUERY_PORT, "HTTP_PORT").await {
            all.push((second, "http-query"));
        }
    }
    all
}

/// Says where to write and query, in words that can be pasted.
fn announce(listener: &TcpListener, settings: &Settings) {
    let address = local_address(listener);
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
