use std::net::SocketAddr;
use std::path::Path;

use axum::routing::get;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::settings::{Sources, load};

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn no_cause_is_told_twice() {
    let disk = || std::io::Error::other("disk on fire");
    let quoted = crate::Error::Folder {
        path: "/data".into(),
        user: "5:7".into(),
        setting: "GIGAPI_ROOT".into(),
        source: disk(),
    };
    let folder = "folder /data cannot be used: disk on fire; this process runs as 5:7: give it the folder with \
        `chown -R 5:7`, or set GIGAPI_ROOT";
    assert_eq!(told(&quoted), folder);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] std::io::Error);
    assert_eq!(told(&Outer(disk())), "cannot start: disk on fire");
}

/// The ports of a process with these settings beside the usual ones.
async fn host(root: &Path, more: &[(&str, &str)], shutdown: &Shutdown) -> Host {
    let own = [("HTTP_HOST", "127.0.0.1"), ("HTTP_PORT", "0"), ("GIGAPI_ROOT", root.to_str().unwrap())];
    let environment = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = load(&Sources { environment: environment.collect(), ..Sources::default() }).unwrap();
    Host::open(loaded.settings, shutdown).await.unwrap().unwrap()
}

fn address(host: &Host) -> SocketAddr {
    host.listeners[0].0.local_addr().unwrap()
}

/// The status and everything else of an answer.
async fn ask(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Asks a process whose catalog is in a Redis at that address, then tells it to stop.
async fn ask_one_that_waits(redis: SocketAddr, asking: impl AsyncFnOnce(SocketAddr)) {
    let root = tempfile::tempdir().unwrap();
    let url = format!("redis://user:canary@{redis}");
    let redis =
        [("GIGAPI_METADATA_TYPE", "redis"), ("GIGAPI_METADATA_URL", &url), ("GIGAPI_METADATA_TIMEOUT_S", "600")];
    let shutdown = Shutdown::new();
    let host = host(root.path(), &redis, &shutdown).await;
    let address = address(&host);
    let start = async |_: &Settings, _: &Components, _: &Shutdown| panic!("started without a catalog");
    let served = serve(host, &[], |_, _| panic!("ready without a catalog"), start);
    let asked = async {
        asking(address).await;
        shutdown.begin();
    };
    let both = async { tokio::join!(asked, served) };
    let ((), ended) = tokio::time::timeout(PATIENCE, both).await.expect("it does not end");
    ended.unwrap();
}

async fn answers_all_but_its_services(address: SocketAddr) {
    assert_eq!(ask(address, "/health").await.0, StatusCode::OK);
    assert_eq!(ask(address, "/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, metrics) = ask(address, "/metrics").await;
    assert!(status == StatusCode::OK && metrics.contains("gigapi_http_requests"), "{metrics}");
    let (status, answer) = ask(address, "/query?db=x").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && answer.contains("retry-after: "), "{answer}");
}

#[tokio::test]
async fn a_process_whose_catalog_is_away_answers_says_so_and_can_be_stopped() {
    // A port that is taken, and on which nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    ask_one_that_waits(socket.local_addr().unwrap(), async |address| {
        answers_all_but_its_services(address).await;
        loop {
            let (status, answer) = ask(address, "/ready").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.contains("\"status\":\"starting\"") && !answer.contains("canary"), "{answer}");
            if answer.contains("waiting for the catalog: ") {
                break;
            }
        }
        answers_all_but_its_services(address).await;
    })
    .await;
}

#[tokio::test]
async fn a_process_whose_catalog_does_not_answer_answers_and_can_be_stopped() {
    // Connections are taken by the system, and then nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ask_one_that_waits(silent.local_addr().unwrap(), answers_all_but_its_services).await;
}

#[tokio::test]
async fn a_process_lets_requests_in_when_its_services_are_up() {
    let root = tempfile::tempdir().unwrap();
    let shutdown = Shutdown::new();
    let host = host(root.path(), &[], &shutdown).await;
    let address = address(&host);
    let start = async |_: &Settings, components: &Components, shutdown: &Shutdown| {
        assert!(!components.readiness.is_ready());
        // The process's own figures and the parts' are told together.
        components.metrics.register(|registry| {
            registry.register("part", "x", prometheus_client::metrics::counter::Counter::<u64>::default());
        });
        assert_eq!(ask(address, "/query").await.0, StatusCode::SERVICE_UNAVAILABLE);
        let routes = Router::new().route("/query", get(|| async { "up" }));
        let shutdown = shutdown.clone();
        let work = async move {
            shutdown.reached(crate::Phase::Close).await;
            Ok(())
        };
        Ok(vec![Part { routes, work: Box::pin(work) }])
    };
    let (told_ready, ready) = tokio::sync::oneshot::channel();
    let served = serve(host, &[], |_, _| told_ready.send(()).unwrap(), start);
    let asked = async {
        ready.await.unwrap();
        assert_eq!(ask(address, "/ready").await.0, StatusCode::OK);
        assert!(ask(address, "/query").await.1.ends_with("up"));
        assert!(ask(address, "/metrics").await.1.contains("gigapi_part"));
        shutdown.begin();
    };
    let both = async { tokio::join!(asked, served) };
    tokio::time::timeout(PATIENCE, both).await.expect("it does not end").1.unwrap();
}

/// The names of a process's listeners, or why there are none.
async fn listening(more: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
    let root = tempfile::tempdir().unwrap();
    let own = [("HTTP_HOST", "127.0.0.1"), ("HTTP_PORT", "0"), ("GIGAPI_ROOT", root.path().to_str().unwrap())];
    let environment = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = load(&Sources { environment: environment.collect(), ..Sources::default() }).unwrap();
    let listeners = listeners(&loaded.settings).await.map_err(|error| told(&error))?;
    Ok(listeners.into_iter().map(|(_, name)| name).collect())
}

#[tokio::test]
async fn flightsql_has_a_port_where_queries_are_answered_and_it_is_wanted() {
    let chosen = ("FLIGHTSQL_PORT", "0");
    assert_eq!(listening(&[chosen]).await.unwrap(), ["http", "flightsql"]);
    assert_eq!(listening(&[chosen, ("GIGAPI_MODE", "readonly")]).await.unwrap(), ["http", "flightsql"]);
    assert_eq!(listening(&[chosen, ("GIGAPI_MODE", "compaction")]).await.unwrap(), ["http"]);
    assert_eq!(listening(&[chosen, ("FLIGHTSQL_ENABLE", "false")]).await.unwrap(), ["http"]);
}

#[tokio::test]
async fn a_port_that_is_taken_stops_the_start_only_if_somebody_chose_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = listening(&[("FLIGHTSQL_PORT", &port.to_string())]).await.unwrap_err();
    assert!(error.contains("FLIGHTSQL_PORT") && error.contains(&port.to_string()), "{error}");
    let mut settings = Settings::defaults();
    settings.http.host = "127.0.0.1".to_owned();
    settings.flight.port = port;
    assert!(flight_listener(&settings).await.unwrap().is_none());
    // Whoever wants both on one port has both on it.
    settings.flight = FlightSettings { enabled: true, port, port_given: true };
    settings.http.port = port;
    assert!(flight_listener(&settings).await.unwrap().is_none());
}

#[tokio::test]
async fn a_process_whose_shutdown_has_begun_opens_nothing() {
    let shutdown = Shutdown::new();
    shutdown.begin();
    assert!(Host::open(Settings::defaults(), &shutdown).await.unwrap().is_none());
}
