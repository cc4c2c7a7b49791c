use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::routing::{get, post};
use gigapi_model::SystemClock;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use tokio::time::Instant;

use super::*;
use crate::Metrics;
use crate::http::{collect_body, listen};

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(20);
/// A deadline that tests wait for; a busy machine stalls a test for less.
const SHORT: Duration = Duration::from_millis(400);

struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
    metrics: HttpMetrics,
}

/// What the slow route tells its test.
#[derive(Default)]
struct Slow {
    entered: Notify,
    released: Notify,
    finished: AtomicUsize,
}

fn router(slow: Arc<Slow>) -> Router {
    let slowly = |State(slow): State<Arc<Slow>>| async move {
        slow.entered.notify_one();
        slow.released.notified().await;
        slow.finished.fetch_add(1, Ordering::SeqCst);
        "slow"
    };
    let echo = |body: Body| async move {
        match collect_body(body, 1 << 16).await {
            Ok(bytes) => Response::new(Body::from(bytes)),
            Err(error) => error.response(crate::Dialect::V1, &crate::http::RequestId::unknown()),
        }
    };
    Router::new()
        .route("/quick", get(|| async { "quick" }))
        .route("/slow", get(slowly))
        .route("/echo", post(echo))
        .with_state(slow)
}

async fn start(slow: &Arc<Slow>, change: impl FnOnce(&mut ServeOptions)) -> Running {
    let listener = listen("127.0.0.1", 0, "HTTP_PORT").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = HttpMetrics::register(&Metrics::new(Arc::new(SystemClock)));
    let mut options = ServeOptions {
        name: "test",
        connections: ConnectionLimit::new(100),
        header_timeout: PATIENCE,
        body_idle_timeout: PATIENCE,
        keep_alive_timeout: PATIENCE,
        drain_timeout: PATIENCE,
        metrics: metrics.clone(),
    };
    change(&mut options);
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(serve(listener, router(Arc::clone(slow)), options, &shutdown));
    Running { address, shutdown, serving, metrics }
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.unwrap()
}

/// Everything until the server closes.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let closed = read.expect("the server left the connection open");
    // A reset is a close too.
    drop(closed);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Everything until `end` was read.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while !bytes.ends_with(end.as_bytes()) {
            bytes.push(stream.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the answer did not come");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn requests_share_a_connection_and_may_be_pipelined() {
    let running = start(&Arc::default(), |_| {}).await;
    let mut stream = connect(&running).await;
    for _ in 0..3 {
        stream.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(read_until(&mut stream, "quick").await.starts_with("HTTP/1.1 200"));
    }
    stream.write_all(&b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5)).await.unwrap();
    for _ in 0..5 {
        read_until(&mut stream, "quick").await;
    }
}

#[tokio::test]
async fn a_client_that_sends_its_head_slowly_is_cut_off() {
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET /quick HTT", "GET /quick HTTP/1.1\r\nHost: x\r\nA: "] {
        let running = start(&Arc::default(), |options| options.header_timeout = SHORT).await;
        let mut stream = connect(&running).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let began = Instant::now();
        assert_eq!(read_to_end(&mut stream).await, "", "{beginning:?}");
        assert!(began.elapsed() < PATIENCE / 2, "{beginning:?}");
    }
}

#[tokio::test]
async fn dripping_bytes_do_not_extend_the_time_for_a_head() {
    let running = start(&Arc::default(), |options| options.header_timeout = SHORT).await;
    let (mut reading, mut writing) = connect(&running).await.into_split();
    let dripping = tokio::spawn(async move {
        writing.write_all(b"GET /quick HTTP/1.1\r\nA: ").await?;
        loop {
            writing.write_all(b"x").await?;
            tokio::time::sleep(SHORT / 10).await;
        }
        #[expect(unreachable_code, reason = "states the type of the errors that end the loop")]
        std::io::Result::Ok(())
    });
    let mut bytes = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut bytes)).await;
    assert!(closed.is_ok(), "the connection stayed open");
    assert_eq!(bytes, b"");
    dripping.abort();
}

#[tokio::test]
async fn a_second_slow_head_is_cut_off_and_idling_has_its_own_limit() {
    let slow_head = |options: &mut ServeOptions| options.header_timeout = SHORT;
    let running = start(&Arc::default(), slow_head).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "quick").await;
    // Idle for longer than a head may take: still served.
    tokio::time::sleep(SHORT * 3).await;
    stream.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "quick").await;
    stream.write_all(b"GET /qui").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");

    let running = start(&Arc::default(), |options| options.keep_alive_timeout = SHORT).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "quick").await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_slow_answer_is_not_cut_off_by_the_deadlines_of_heads() {
    let slow = Arc::new(Slow::default());
    let running = start(&slow, |options| {
        options.header_timeout = SHORT;
        options.keep_alive_timeout = SHORT;
    })
    .await;
    let mut stream = connect(&running).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    slow.entered.notified().await;
    tokio::time::sleep(SHORT * 3).await;
    slow.released.notify_one();
    assert!(read_until(&mut stream, "slow").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_answered_and_a_slow_one_is_read() {
    let running = start(&Arc::default(), |options| options.body_idle_timeout = SHORT).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    let mut stream = connect(&running).await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n").await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(SHORT / 10).await;
        stream.write_all(b"z").await.unwrap();
    }
    assert!(read_until(&mut stream, &"z".repeat(20)).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_stated_and_by_its_actual_length() {
    let running = start(&Arc::default(), |_| {}).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n").await.unwrap();
    assert!(read_until(&mut stream, "}\n").await.starts_with("HTTP/1.1 413"));

    let mut stream = connect(&running).await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = [b"8000\r\n".as_slice(), &[b'a'; 0x8000], b"\r\n"].concat();
    for _ in 0..3 {
        stream.write_all(&chunk).await.unwrap();
    }
    assert!(read_until(&mut stream, "}\n").await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn draining_finishes_requests_in_flight_and_refuses_new_connections() {
    let slow = Arc::new(Slow::default());
    let running = start(&slow, |_| {}).await;
    let mut idle = connect(&running).await;
    idle.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut idle, "quick").await;
    let mut silent = connect(&running).await;
    let mut busy = connect(&running).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    slow.entered.notified().await;

    running.shutdown.begin();
    let leading = tokio::spawn({
        let shutdown = running.shutdown.clone();
        async move { shutdown.run().await }
    });
    assert_eq!(read_to_end(&mut idle).await, "");
    assert_eq!(read_to_end(&mut silent).await, "");
    running.shutdown.reached(Phase::Drain).await;
    assert!(TcpStream::connect(running.address).await.is_err(), "a new connection was accepted");
    assert_eq!(running.shutdown.pending(Phase::Drain), ["test: requests in flight"]);

    slow.released.notify_one();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
    running.serving.await.unwrap();
    leading.await.unwrap();
    assert_eq!(running.metrics.connections.get(), 0);
}

#[tokio::test]
async fn what_outlives_the_drain_timeout_is_cut_off() {
    let slow = Arc::new(Slow::default());
    let running = start(&slow, |options| options.drain_timeout = SHORT).await;
    let mut busy = connect(&running).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    slow.entered.notified().await;
    running.shutdown.begin();
    assert_eq!(read_to_end(&mut busy).await, "");
    tokio::time::timeout(PATIENCE, running.serving).await.expect("the server did not stop").unwrap();
    assert_eq!(slow.finished.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connections_over_the_limit_get_503_and_the_others_go_on() {
    let running = start(&Arc::default(), |options| options.connections = ConnectionLimit::new(2)).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&running).await;
        stream.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        read_until(&mut stream, "quick").await;
        kept.push(stream);
    }
    let mut over = connect(&running).await;
    over.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = read_until(&mut over, "}\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
    assert_eq!((running.metrics.connections.get(), running.metrics.connections_refused.get()), (2, 1));

    kept[0].write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut kept[0], "quick").await;
    drop(kept.pop());
    // The place is free once the server has seen the close.
    let freed = async {
        loop {
            let mut stream = connect(&running).await;
            stream.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            if read_to_end(&mut stream).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place stayed taken");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken_on_the_same_port_and_may_idle() {
    let running = start(&Arc::default(), |options| {
        options.header_timeout = SHORT;
        options.keep_alive_timeout = SHORT;
    })
    .await;
    let mut stream = connect(&running).await;
    let (before, after) = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".split_at(10);
    stream.write_all(before).await.unwrap();
    stream.flush().await.unwrap();
    stream.write_all(after).await.unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut head = [0; 9];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("no answer").unwrap();
    assert_eq!(head[3], 4, "the first frame is not SETTINGS: {head:?}");
    tokio::time::sleep(SHORT * 3).await;
    // A ping after longer than any HTTP/1 deadline is answered.
    stream.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.unwrap();
    let mut bytes = Vec::new();
    let answered = async {
        while !bytes.ends_with(&[1, 2, 3, 4, 5, 6, 7, 8]) {
            bytes.push(stream.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("the connection is gone");
}

#[tokio::test]
async fn the_wildcard_of_ipv6_takes_ipv4_too() {
    let listener = listen("::", 0, "HTTP_PORT").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert_eq!(crate::http::local_address(&listener), format!("localhost:{port}"));
    let error = listen("::", port, "HTTP_PORT").await.unwrap_err().to_string();
    assert!(error.contains(&format!("[::]:{port}")) && error.contains("set HTTP_PORT"), "{error}");
}
