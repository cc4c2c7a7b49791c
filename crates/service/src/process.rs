//! A process from its flags to its exit, whichever services it runs.
//!
//! The port opens first, before anything else is reached, and answers `/health` and `/ready`, so that an orchestrator
//! can tell a start that waits or takes its time from one that hangs; a service's own routes are let in when it is up.
//! What a service does is its own business: here it is routes and a future that ends with the shutdown.

use std::error::Error as StdError;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use clap::{Args as _, Command, FromArgMatches as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::components::Essentials;
use crate::http::{listen, local_address};
use crate::settings::{FlightSettings, HttpSettings, Loaded, Mode, Settings};
use crate::telemetry::{raise_open_files_limit, start_logging};
use crate::{Block, Components, Shutdown, Signals};

mod args;
mod door;

pub use args::SettingsArgs;
use door::Door;

/// Where queries go in the seed's examples; opened beside the default port if it is free.
const SECOND_QUERY_PORT: u16 = 7972;

/// Descriptors beyond the connections: data files, segments and the catalog.
const OPEN_FILES_WANTED: u64 = 8_192;

/// What `/ready` says while nothing in particular is waited for.
const STARTING: &str = "the process is starting";

/// How often a catalog that is away at the start is tried.
const CATALOG_INTERVAL: Duration = Duration::from_secs(1);

/// Why a service could not start or go on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A binary that runs one service.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it does, as one sentence.
    pub about: &'static str,
    /// The part that it plays, whatever `GIGAPI_MODE` says.
    pub mode: Mode,
    /// Settings whose defaults differ from the table's.
    pub defaults: &'static [(&'static str, &'static str)],
}

/// What a service starts with: it can be asked already, and has reached nothing yet.
#[derive(Debug)]
pub struct Host {
    /// What the operator set.
    pub settings: Settings,
    /// Open ports, with names for the log.
    pub listeners: Vec<(TcpListener, &'static str)>,
    /// The process's way to stop.
    pub shutdown: Shutdown,
}

impl Host {
    /// Opens the ports; none if the shutdown has begun. Whoever calls this is the process: it handles signals and logs
    /// as it likes.
    pub async fn open(settings: Settings, shutdown: &Shutdown) -> Result<Option<Self>, BoxError> {
        if shutdown.has_begun() {
            return Ok(None);
        }
        let listeners = listeners(&settings).await?;
        let mut settings = settings;
        if let Some((first, _)) = listeners.first() {
            // Where the system chose it, the port is what it chose from here on.
            settings.http.port = first.local_addr()?.port();
        }
        Ok(Some(Self { settings, listeners, shutdown: shutdown.clone() }))
    }
}

/// A service that is up.
pub struct Part {
    /// What it answers.
    pub routes: Router,
    /// What it does until the shutdown, which it takes part in; an error ends the process.
    pub work: Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").finish_non_exhaustive()
    }
}

/// The `main` of a binary that runs one service.
pub fn main(program: &Program, run: impl AsyncFnOnce(Host) -> Result<(), BoxError>) -> ExitCode {
    let command =
        Command::new(program.name).about(program.about).version(crate::telemetry::VERSION).max_term_width(100);
    let matches = SettingsArgs::augment_args(command).get_matches();
    let loaded = SettingsArgs::from_arg_matches(&matches).map_err(BoxError::from).and_then(|args| load(program, &args));
    exit(program, loaded.and_then(|loaded| launch(loaded, run)))
}

/// The settings of a binary that runs one service.
pub fn load(program: &Program, args: &SettingsArgs) -> Result<Loaded, BoxError> {
    let mut loaded = args.load(program.defaults)?;
    if loaded.settings.mode != program.mode && loaded.settings.mode != Mode::AllInOne {
        let warning = format!("GIGAPI_MODE={} is ignored: this is {}", loaded.settings.mode, program.name);
        loaded.warnings.push(warning);
    }
    loaded.settings.mode = program.mode;
    Ok(loaded)
}

/// Says what ended a program before its time.
pub fn exit(program: &Program, outcome: Result<ExitCode, BoxError>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {}", program.name, told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Does something that ends by itself, without a port: with catalog and layers open, or until a signal.
pub fn job(
    loaded: Loaded,
    work: impl AsyncFnOnce(&Settings, &Components) -> Result<ExitCode, BoxError>,
) -> Result<ExitCode, BoxError> {
    let settings = told_settings(loaded)?;
    raise_open_files_limit(OPEN_FILES_WANTED);
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let working = async {
            let components = Components::open(&settings).await?;
            work(&settings, &components).await
        };
        tokio::select! {
            ended = working => ended,
            signal = signals.next() => {
                tracing::warn!(signal, "stopping; what was not committed is done by the next run");
                Ok(ExitCode::FAILURE)
            }
        }
    });
    runtime.shutdown_background();
    outcome
}

/// Starts logging and says what is odd about the settings.
fn told_settings(loaded: Loaded) -> Result<Settings, BoxError> {
    let Loaded { settings, warnings, .. } = loaded;
    start_logging(&settings.log)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// Runs services until a signal, or until one of them fails.
pub fn launch(loaded: Loaded, run: impl AsyncFnOnce(Host) -> Result<(), BoxError>) -> Result<ExitCode, BoxError> {
    let settings = told_settings(loaded)?;
    raise_open_files_limit(settings.http.connections_max as u64 + OPEN_FILES_WANTED);
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async {
        let signals = Signals::listen()?;
        let shutdown = Shutdown::new();
        let running = async {
            match Host::open(settings, &shutdown).await? {
                Some(host) => run(host).await.map(|()| ExitCode::SUCCESS),
                None => Ok(ExitCode::SUCCESS),
            }
        };
        tokio::select! {
            ended = running => ended,
            signal = signals.drive(shutdown.clone()) => {
                tracing::warn!(signal, "stopping at once; what is not in files is in the write-ahead log");
                Ok(ExitCode::FAILURE)
            }
        }
    });
    runtime.shutdown_background();
    outcome
}

/// The port; a second one where the seed's query examples go if nobody chose a port; and FlightSQL's own.
async fn listeners(settings: &Settings) -> crate::Result<Vec<(TcpListener, &'static str)>> {
    let HttpSettings { host, port, port_given, .. } = &settings.http;
    let mut all = vec![(listen(host, *port, "HTTP_PORT").await?, "http")];
    if !port_given && settings.mode.reads() && *port != SECOND_QUERY_PORT {
        // Somebody else may have it: it is a convenience, not a promise.
        if let Ok(second) = listen(host, SECOND_QUERY_PORT, "HTTP_PORT").await {
            all.push((second, "http-query"));
        }
    }
    if let Some(flight) = flight_listener(settings).await? {
        all.push((flight, "flightsql"));
    }
    Ok(all)
}

/// FlightSQL's own port, which serves what the others serve.
///
/// A port that somebody chose is a promise. One that nobody chose is not worth a failed start: FlightSQL is on the HTTP
/// port too, and a second process on a machine is common.
async fn flight_listener(settings: &Settings) -> crate::Result<Option<TcpListener>> {
    let FlightSettings { enabled, port, port_given } = settings.flight;
    let is_http_port = port != 0 && port == settings.http.port;
    if !enabled || !settings.mode.reads() || is_http_port {
        return Ok(None);
    }
    match listen(&settings.http.host, port, "FLIGHTSQL_PORT").await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if port_given => Err(error),
        Err(error) => {
            tracing::warn!("{error}; until then FlightSQL is on the HTTP port only");
            Ok(None)
        }
    }
}

/// Opens the door, reaches what the services share, starts them, lets their requests in, and waits for the end of the
/// shutdown, which may begin at any moment of that.
///
/// `endpoints` are what the services answer, for whoever asks for something else; `ready` is told the first address
/// once they are up.
pub async fn serve(
    host: Host,
    endpoints: &[&'static str],
    ready: impl FnOnce(&str, &Settings),
    start: impl AsyncFnOnce(&Settings, &Components, &Shutdown) -> Result<Vec<Part>, BoxError>,
) -> Result<(), BoxError> {
    let Host { settings, listeners, shutdown } = host;
    let own = Essentials::of_process();
    let starting = own.readiness.block("starting", STARTING);
    let address = listeners.first().map(|(listener, _)| local_address(listener)).unwrap_or_default();
    let door = Door::open(listeners, endpoints, &settings, &own, &shutdown);
    let up = async {
        let components = reach(&settings, &own, &starting).await?;
        let parts = start(&settings, &components, &shutdown).await?;
        Ok::<_, BoxError>((components, parts))
    };
    let started = tokio::select! {
        started = up => started.map(Some),
        () = shutdown.begun() => Ok(None),
    };
    let mut parts: JoinSet<Result<(), BoxError>> = JoinSet::new();
    let (outcome, _held) = match started {
        Ok(Some((components, started))) => {
            let mut routes = Router::new();
            for part in started {
                routes = routes.merge(part.routes);
                parts.spawn(part.work);
            }
            door.admit(routes);
            drop(starting);
            if !shutdown.has_begun() {
                tracing::info!(address, "ready");
                ready(&address, &settings);
            }
            (Ok(()), Some(components))
        }
        Ok(None) => (Ok(()), None),
        Err(error) => {
            shutdown.begin();
            (Err(error), None)
        }
    };
    outcome.and(wait(parts, shutdown).await)
}

/// Opens what the services share. A Redis that is away is waited for: a process that starts during an outage is there
/// when it ends, and not only when a supervisor tries again.
async fn reach(settings: &Settings, own: &Essentials, starting: &Block) -> crate::Result<Components> {
    let mut told = String::new();
    loop {
        let error = match Components::open_with(settings, own.clone()).await {
            Err(crate::Error::Catalog(error)) if settings.metadata.redis.is_some() && error.kind().is_transient() => {
                error
            }
            opened => {
                starting.update(STARTING);
                return opened;
            }
        };
        let reason = error.to_string();
        if reason != told {
            tracing::warn!(reason, "waiting for the catalog");
            starting.update(format!("waiting for the catalog: {reason}"));
            told = reason;
        }
        tokio::time::sleep(CATALOG_INTERVAL).await;
    }
}

/// Waits for a part that ends early, or for the shutdown, and leads through it.
async fn wait(mut parts: JoinSet<Result<(), BoxError>>, shutdown: Shutdown) -> Result<(), BoxError> {
    let mut leading = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.run().await }
    });
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            Some(ended) = parts.join_next() => {
                if let Err(error) = ended.map_err(BoxError::from).and_then(|ended| ended) {
                    tracing::error!("{}; the process stops", told(error.as_ref()));
                    outcome = Err(error);
                }
                shutdown.begin();
            }
            _ = &mut leading => return outcome,
        }
    }
}

/// The error and its causes, without those whose words an earlier one has taken up.
pub fn told(error: &(dyn StdError + 'static)) -> String {
    with_causes(error.to_string(), error)
}

/// What is told of an error, and its causes in the same way.
pub fn with_causes(mut text: String, error: &(dyn StdError + 'static)) -> String {
    let mut cause = error.source();
    while let Some(current) = cause {
        let words = current.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests;
