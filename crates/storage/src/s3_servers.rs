//! S3 servers for tests: moto, which keeps its promises about conditions, lists and parts; s3s-fs, which checks
//! signatures and checksums; and one that answers what a test says. All listen on a free port and end with their handle.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gigapi_model::{LayerName, SystemIds};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::ObjectStore;
use parking_lot::Mutex;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{HiddenText, Layer, LayerKind, LayerSettings, S3Credentials, S3Settings, S3Timing};

pub(crate) const BUCKET: &str = "gigapi";
pub(crate) const KEY: &str = "access-key-of-tests";
pub(crate) const SECRET: &str = "secret-key-of-tests";

/// How long a server may take to start before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn keys(secret: &str) -> S3Credentials {
    S3Credentials::Keys { key: HiddenText::new(KEY), secret: HiddenText::new(secret) }
}

pub(crate) const TIMING: S3Timing = S3Timing {
    connect_timeout: Duration::from_secs(5),
    request_timeout: Duration::from_secs(30),
    retry_timeout: Duration::from_secs(60),
    retries_max: 10,
};

/// Settings of a layer below a prefix of the bucket on that server.
pub(crate) fn settings(server: SocketAddr, prefix: &str, credentials: S3Credentials) -> LayerSettings {
    LayerSettings {
        name: LayerName::new("cold").unwrap(),
        kind: LayerKind::S3(S3Settings { credentials, region: None, timing: TIMING }),
        url: format!("s3://{server}/{BUCKET}/{prefix}?secure=false&url-style=path"),
        global: true,
        ttl: None,
    }
}

pub(crate) fn layer(server: SocketAddr, prefix: &str) -> Layer {
    Layer::open(&settings(server, prefix, keys(SECRET)), &SystemIds).unwrap()
}

pub(crate) fn store(server: SocketAddr, prefix: &str) -> Arc<dyn ObjectStore> {
    layer(server, prefix).store
}

/// A running `moto_server`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Moto {
    pub(crate) address: SocketAddr,
    _process: Child,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        let python = std::env::var("GIGAPI_PYTHON").expect(
            "GIGAPI_PYTHON is not set: run `make test`, or `bash integration-tests/install-tools.sh` and set it to .tools/venv/bin/python",
        );
        let mut process = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{python} cannot be started: {error}; run `make test`"));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("Running on http://") {
                    return address.trim().parse().unwrap();
                }
                said.push(line);
            }
            panic!("moto_server ended; run `make test`, which installs it:\n{}", said.join("\n"));
        });
        let address = address.await.expect("moto_server did not start in time");
        // It logs every request: unread, the pipe would fill up and stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        make_bucket(address);
        Self { address, _process: process }
    }
}

fn make_bucket(server: SocketAddr) {
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    let head = format!("PUT /{BUCKET} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "the bucket was not made: {answer}");
}

/// A server in this process that checks signatures and checksums and keeps objects in a folder.
#[derive(Debug)]
pub(crate) struct CheckingServer {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl CheckingServer {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A client that goes away is no failure of the test.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, serving, _folder: folder }
    }
}

/// What a [`ScriptedServer`] was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
}

/// A server that answers what the test says; it never answers where the test says nothing.
#[derive(Debug)]
pub(crate) struct ScriptedServer {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

pub(crate) type Answer = http::Response<Full<Bytes>>;

pub(crate) fn answer(status: u16, body: &'static str) -> Answer {
    http::Response::builder().status(status).header("ETag", "\"tag\"").body(Full::from(body)).unwrap()
}

impl ScriptedServer {
    /// `script` gets the request and its number, from 0.
    pub(crate) async fn start(script: impl Fn(&Asked, usize) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, log) = (Arc::new(script), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                    async move {
                        let (parts, body) = request.into_parts();
                        // Left unread, a body would break the connection.
                        let _ = body.collect().await;
                        let (method, target) = (parts.method.to_string(), parts.uri.to_string());
                        let asked = Asked { method, target, headers: parts.headers };
                        let number = log.lock().len();
                        log.lock().push(asked.clone());
                        match script(&asked, number) {
                            Some(answer) => Ok::<_, Infallible>(answer),
                            None => std::future::pending().await,
                        }
                    }
                });
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A client that goes away is no failure of the test.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, asked, serving }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Drop for CheckingServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
