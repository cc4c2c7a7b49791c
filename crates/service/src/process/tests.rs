use axum::body::Body;
use http::StatusCode;

use super::*;

#[test]
fn no_cause_is_told_twice() {
    let disk = || std::io::Error::other("disk on fire");
    let quoted =
        crate::Error::Folder { path: "/data".into(), user: "5:7".into(), setting: "GIGAPI_ROOT", source: disk() };
    let folder = "folder /data cannot be used: disk on fire; this process runs as 5:7: give it the folder with \
        `chown -R 5:7`, or set GIGAPI_ROOT";
    assert_eq!(told(&quoted), folder);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] std::io::Error);
    assert_eq!(told(&Outer(disk())), "cannot start: disk on fire");
}

#[tokio::test]
async fn requests_are_told_to_come_again_until_the_services_are_up() {
    let door = Door::default();
    let ask = || Request::builder().uri("/write").body(Body::empty()).unwrap();
    let early = door.clone().call(ask()).await.unwrap();
    assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(early.headers().contains_key(http::header::RETRY_AFTER));
    door.admit(Router::new().route("/write", axum::routing::get(|| async { StatusCode::NO_CONTENT })));
    assert_eq!(door.clone().call(ask()).await.unwrap().status(), StatusCode::NO_CONTENT);
}
