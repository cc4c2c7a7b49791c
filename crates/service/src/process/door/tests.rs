use axum::body::Body;
use http::StatusCode;

use super::*;

#[tokio::test]
async fn requests_are_told_to_come_again_until_the_services_are_up() {
    let door = Door::default();
    let ask = || Request::builder().uri("/write").body(Body::empty()).unwrap();
    let early = door.clone().call(ask()).await.unwrap();
    assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(early.headers().contains_key(http::header::RETRY_AFTER));
    let call = Request::post("/arrow.flight.protocol.FlightService/DoGet")
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .unwrap();
    let early = door.clone().call(call).await.unwrap();
    assert_eq!(early.status(), StatusCode::OK);
    assert_eq!(early.headers()["grpc-status"], "14");
    assert!(early.headers()["grpc-message"].to_str().unwrap().contains("starting"));
    door.admit(Router::new().route("/write", axum::routing::get(|| async { StatusCode::NO_CONTENT })));
    assert_eq!(door.clone().call(ask()).await.unwrap().status(), StatusCode::NO_CONTENT);
}
