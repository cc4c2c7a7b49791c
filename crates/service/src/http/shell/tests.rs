use axum::routing::{get, post};
use gigapi_model::{ManualClock, SystemIds};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::http::Health;
use crate::settings::AuthSettings;
use crate::{Metrics, Readiness, Secret, Shutdown};

struct Service {
    router: Router,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: Shutdown,
}

fn service(token: Option<&str>) -> Service {
    let clock: Arc<ManualClock> = Arc::default();
    let metrics = Metrics::new(clock.clone());
    let readiness = Readiness::new();
    let shutdown = Shutdown::new();
    let inner = Router::new()
        .route("/write", post(|id: RequestId| async move { id.to_string() }))
        .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "own words") }))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("canary")
                }
            }),
        )
        .merge(Health::new(readiness.clone(), metrics.clone(), clock).until(&shutdown).router());
    let options = Shell {
        ids: RequestIds::new(&SystemIds),
        auth: Arc::new(Authenticator::new(&AuthSettings { user: None, token: token.map(Secret::new) })),
        metrics: HttpMetrics::register(&metrics),
        endpoints: Arc::new(["POST /write", "GET /ping"]),
    };
    Service { router: shell(inner, options), readiness, metrics, shutdown }
}

impl Service {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn ping_answers_every_method_that_clients_use() {
    let service = service(None);
    for method in ["GET", "HEAD", "POST"] {
        let (status, headers, body) = service.ask(method, "/ping", &[]).await;
        assert_eq!((status, body.as_str()), (204, ""), "{method}");
        assert_eq!(headers["x-influxdb-version"], crate::telemetry::VERSION);
        assert_eq!(headers["x-influxdb-build"], "OSS");
        assert_eq!(headers["x-request-id"], headers["request-id"]);
    }
    let (status, _, body) = service.ask("GET", "/ping?verbose=true", &[]).await;
    assert_eq!((status, body), (200, format!("{{\"version\":\"{}\"}}\n", crate::telemetry::VERSION)));
}

#[tokio::test]
async fn health_has_the_fields_of_the_original() {
    let (status, headers, body) = service(None).ask("GET", "/health", &[]).await;
    assert_eq!((status, &headers["content-type"]), (200, &HeaderValue::from_static("application/json")));
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["checks", "commit", "message", "name", "status", "version"]);
    assert_eq!((&report["status"], &report["name"]), (&"pass".into(), &"GigAPI".into()));
}

#[tokio::test]
async fn ready_names_the_reasons_until_the_last_block_is_lifted() {
    let service = service(None);
    let recovering = service.readiness.block("recovering", "replaying 7 segments");
    let other = service.readiness.block("draining", "");
    recovering.update("replaying 3 segments");
    let (status, headers, body) = service.ask("GET", "/ready", &[]).await;
    assert_eq!((status, &headers["retry-after"]), (503, &HeaderValue::from_static("1")));
    assert!(body.contains("\"status\":\"recovering\"") && body.contains("replaying 3 segments"), "{body}");
    drop(recovering);
    assert_eq!(service.ask("GET", "/readyz", &[]).await.0, 503);
    drop(other);
    let (status, _, body) = service.ask("GET", "/ready", &[]).await;
    assert_eq!(status, 200);
    assert!(body.contains("\"status\":\"ready\"") && !body.contains("reasons"), "{body}");
    service.shutdown.begin();
    let (status, _, body) = service.ask("GET", "/ready", &[]).await;
    assert_eq!(status, 503);
    assert!(body.contains("\"status\":\"draining\""), "{body}");
    assert_eq!(service.ask("GET", "/livez", &[]).await.0, 200);
}

#[tokio::test]
async fn credentials_guard_everything_but_the_probes() {
    let service = service(Some("t0ken"));
    for path in ["/ping", "/health", "/ready", "/livez", "/readyz", "/api/v1/health"] {
        assert_ne!(service.ask("GET", path, &[]).await.0, 401, "{path}");
    }
    for (method, path) in [("POST", "/write"), ("GET", "/metrics"), ("GET", "/nowhere"), ("GET", "/ping/")] {
        let (status, headers, body) = service.ask(method, path, &[]).await;
        assert_eq!((status, &headers["www-authenticate"]), (401, &HeaderValue::from_static("Basic realm=\"gigapi\"")));
        assert!(body.contains("\"error\":\"credentials are needed"), "{body}");
    }
    let (status, _, body) = service.ask("POST", "/api/v2/write", &[("authorization", "Token nope")]).await;
    assert_eq!(status, 401);
    assert!(body.starts_with("{\"code\":\"unauthorized\",\"message\":\"the credentials are wrong"), "{body}");
    assert_eq!(service.ask("POST", "/write", &[("authorization", "bearer t0ken")]).await.0, 200);
    assert_eq!(service.ask("POST", "/write?u=x&p=t0ken", &[]).await.0, 200);
    assert_eq!(service.ask("OPTIONS", "/write", &[]).await.0, 200);
}

#[tokio::test]
async fn grpc_calls_are_refused_in_their_own_way() {
    let service = service(Some("t0ken"));
    let grpc = ("content-type", "application/grpc+proto");
    let (status, headers, _) = service.ask("POST", "/arrow.Flight/DoGet", &[grpc]).await;
    assert_eq!((status, &headers["grpc-status"]), (200, &HeaderValue::from_static("16")));
    assert_eq!(headers["content-type"], "application/grpc+proto");
    let authorized = [grpc, ("authorization", "Bearer t0ken")];
    let (status, headers, _) = service.ask("POST", "/arrow.Flight/DoGet", &authorized).await;
    assert_eq!((status, &headers["grpc-status"]), (200, &HeaderValue::from_static("12")));
}

#[tokio::test]
async fn a_panic_in_a_grpc_call_is_an_internal_error_of_grpc() {
    let service = service(None);
    let (status, headers, _) = service.ask("GET", "/panic", &[("content-type", "application/grpc-web+proto")]).await;
    assert_eq!((status, &headers["grpc-status"]), (200, &HeaderValue::from_static("13")));
    let message = headers["grpc-message"].to_str().unwrap();
    assert!(message.contains("see the server's log") && !message.contains("canary"), "{message}");
}

#[tokio::test]
async fn preflights_allow_what_is_asked_for_and_answers_are_readable_from_anywhere() {
    let service = service(Some("t0ken"));
    let asked = [("origin", "http://ui"), ("access-control-request-headers", "authorization,x-api-key")];
    let (status, headers, body) = service.ask("OPTIONS", "/query", &asked).await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(headers["access-control-allow-headers"], "authorization,x-api-key");
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    let (_, headers, _) = service.ask("OPTIONS", "/query", &[]).await;
    assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("Authorization"));
    let (_, headers, _) = service.ask("POST", "/write", &[]).await;
    assert_eq!(headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn unknown_paths_and_methods_say_what_exists() {
    let service = service(None);
    let (status, headers, body) = service.ask("GET", "/nowhere", &[]).await;
    assert_eq!((status, &headers["content-type"]), (404, &HeaderValue::from_static("application/json")));
    assert_eq!(body, "{\"error\":\"GET /nowhere does not exist; there is: POST /write, GET /ping\"}\n");
    let (status, headers, body) = service.ask("GET", "/write", &[]).await;
    assert_eq!((status, &headers["allow"]), (405, &HeaderValue::from_static("POST")));
    assert_eq!(body, "{\"error\":\"/write does not take GET; use POST\"}\n");
    // A handler's own 404 is left alone.
    assert_eq!(service.ask("GET", "/missing", &[]).await.2, "own words");
}

#[tokio::test]
async fn a_panic_is_one_failed_request_and_is_counted() {
    let service = service(None);
    let (status, headers, body) = service.ask("GET", "/panic", &[("x-request-id", "abc")]).await;
    assert_eq!(status, 500);
    assert!(body.contains("see the server's log (request id abc)") && !body.contains("canary"), "{body}");
    assert_eq!(headers["x-request-id"], "abc");
    assert_eq!(service.ask("GET", "/ping", &[]).await.0, 204);
    let (status, _, text) = service.ask("GET", "/metrics", &[]).await;
    assert_eq!((status, &text), (200, &text.clone()));
    assert!(text.contains("gigapi_http_panics_total 1"), "{text}");
    assert!(text.contains("gigapi_http_requests_total{status=\"204\"} 1"), "{text}");
    assert!(service.metrics.encode().contains("gigapi_http_requests_in_flight 0"));
}

#[tokio::test]
async fn request_ids_are_the_clients_if_plain_and_else_our_own() {
    let service = service(None);
    let (_, headers, body) = service.ask("POST", "/write", &[("request-id", "mine-1")]).await;
    assert_eq!((headers["x-request-id"].to_str().unwrap(), body.as_str()), ("mine-1", "mine-1"));
    let long = "x".repeat(65);
    let mut seen = std::collections::HashSet::new();
    for given in ["", "with space", long.as_str(), "gr\u{fc}n"] {
        let (_, _, body) = service.ask("POST", "/write", &[("x-request-id", given)]).await;
        assert!(body != given && body.len() >= 18, "{given}: {body}");
        assert!(seen.insert(body));
    }
}
