//! Measures the HTTP server: requests per second over keep-alive connections, server and clients in one
//! process on all cores. `cargo run --release -p gigapi-service --example http_load -- 256 5`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use gigapi_model::{SystemClock, SystemIds};
use gigapi_service::http::{
    ConnectionLimit, Health, HttpMetrics, RequestIds, ServeOptions, Shell, collect_body, serve,
};
use gigapi_service::{Authenticator, Metrics, Readiness, Settings, Shutdown};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const BODY: &str =
    "cpu,host=server01,region=us-east usage_user=58i,usage_system=2i,usage_idle=24i 1451606400000000000\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let connections: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shutdown = Shutdown::new();
    tokio::spawn(server(listener, &shutdown));

    let answered = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..connections).map(|_| tokio::spawn(client(address, end, Arc::clone(&answered)))).collect();
    let began = Instant::now();
    for client in clients {
        client.await??;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let answered = answered.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = answered as f64 / elapsed;
    println!("{connections} connections: {answered} requests in {elapsed:.2} s = {rate:.0} a second");
    shutdown.begin();
    shutdown.run().await;
    Ok(())
}

/// A router as a service has it: a write route that reads its body, the shell and the health routes.
fn server(listener: TcpListener, shutdown: &Shutdown) -> impl Future<Output = ()> + Send + 'static {
    let settings = Settings::defaults();
    let clock = Arc::new(SystemClock);
    let metrics = Metrics::new(clock.clone());
    let http = HttpMetrics::register(&metrics);
    let write = |body: axum::body::Body| async move {
        collect_body(body, 25 << 20).await.map_or(StatusCode::BAD_REQUEST, |_| StatusCode::NO_CONTENT)
    };
    let router =
        Router::new().route("/write", post(write)).merge(Health::new(Readiness::new(), metrics, clock).router());
    let shell = Shell {
        ids: RequestIds::new(&SystemIds),
        auth: Arc::new(Authenticator::new(&settings.auth)),
        metrics: http.clone(),
        endpoints: Arc::new(["POST /write"]),
    };
    let limit = ConnectionLimit::new(settings.http.connections_max);
    let options = ServeOptions::new("http", &settings.http, limit, http);
    serve(listener, gigapi_service::http::shell(router, shell), options, shutdown)
}

async fn client(address: std::net::SocketAddr, end: Instant, answered: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "POST /write?db=load HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut answer = [0; 4096];
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await?;
        let mut length = 0;
        // A 204 ends with its head.
        while !answer[..length].ends_with(b"\r\n\r\n") {
            length += stream.read(&mut answer[length..]).await?;
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
