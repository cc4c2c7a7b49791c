//! A server that tells how far its queries have come, and answers them when the test says so.
//!
//! It holds what a client may rely on: the id of a query is the client's header, its state is asked for under that id
//! while it runs, and it ends when it is told to or when its connection closes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Int64Array, RecordBatch};
use arrow::ipc::writer::StreamWriter;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::watch;

/// How a query stands with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Runs,
    Answered,
    /// Its connection closed before it was answered.
    Dropped,
}

#[derive(Debug, Default)]
struct Seen {
    fates: BTreeMap<String, Fate>,
    /// How often the state of a query was asked for.
    asked: usize,
    told_to_end: Vec<String>,
}

/// The server and what it has seen.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    /// What it says of a query that runs; nothing is what a server says that knows nothing of ids.
    state: Arc<Option<Value>>,
    release: Arc<watch::Sender<bool>>,
}

/// A query that runs. Gone before it is answered, its client has gone.
struct Running {
    id: String,
    seen: Arc<Mutex<Seen>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fate @ Fate::Runs) = seen.fates.get_mut(&self.id) {
            *fate = Fate::Dropped;
        }
    }
}

impl Fake {
    pub(crate) async fn start(state: Option<Value>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let release = Arc::new(watch::channel(false).0);
        let fake = Self { url, seen: Arc::default(), state: Arc::new(state), release };
        let routes = Router::new()
            .route("/api/v3/query_sql", post(query))
            .route("/api/v3/queries/{id}", get(state_of).delete(end))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        fake
    }

    /// Queries are answered from now on.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    pub(crate) fn asked(&self) -> usize {
        self.seen.lock().unwrap().asked
    }

    pub(crate) fn told_to_end(&self) -> Vec<String> {
        self.seen.lock().unwrap().told_to_end.clone()
    }

    pub(crate) fn fates(&self) -> Vec<(String, Fate)> {
        self.seen.lock().unwrap().fates.iter().map(|(id, fate)| (id.clone(), *fate)).collect()
    }
}

async fn query(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response {
    let id = headers.get("x-gigapi-query-id").unwrap().to_str().unwrap().to_owned();
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(asked["format"], "arrow");
    fake.seen.lock().unwrap().fates.insert(id.clone(), Fate::Runs);
    let running = Running { id, seen: Arc::clone(&fake.seen) };
    fake.release.subscribe().wait_for(|released| *released).await.unwrap();
    fake.seen.lock().unwrap().fates.insert(running.id.clone(), Fate::Answered);
    let rows = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![42])) as _)]).unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    stream.write(&rows).unwrap();
    Response::new(Body::from(stream.into_inner().unwrap()))
}

async fn state_of(State(fake): State<Fake>, Path(id): Path<String>) -> Response {
    let mut seen = fake.seen.lock().unwrap();
    seen.asked += 1;
    match (seen.fates.get(&id), &*fake.state) {
        (Some(Fate::Runs), Some(state)) => axum::Json(state.clone()).into_response(),
        _ => (StatusCode::NOT_FOUND, axum::Json(json!({ "error": "no such query" }))).into_response(),
    }
}

async fn end(State(fake): State<Fake>, Path(id): Path<String>) -> StatusCode {
    let mut seen = fake.seen.lock().unwrap();
    seen.told_to_end.push(id.clone());
    match seen.fates.get(&id) {
        Some(Fate::Runs) => StatusCode::NO_CONTENT,
        _ => StatusCode::NOT_FOUND,
    }
}
