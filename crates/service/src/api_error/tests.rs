use http_body_util::BodyExt as _;

use super::*;

async fn answer(error: &ApiError, dialect: Dialect) -> (StatusCode, http::HeaderMap, String) {
    let (parts, body) = error.response(dialect, &RequestId::unknown()).into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn each_dialect_has_its_own_body_and_the_same_status() {
    let lines = vec![RefusedLine::new(3, b"cpu value=", "missing field value"), RefusedLine::new(9, b"x", "y")];
    let error = ApiError::invalid("partial write of line protocol occurred").with_lines(lines);
    let (status, headers, body) = answer(&error, Dialect::V1).await;
    assert_eq!((status.as_u16(), body.as_str()), (400, "{\"error\":\"partial write of line protocol occurred\"}\n"));
    assert_eq!(headers["x-influxdb-error"], "partial write of line protocol occurred");
    assert_eq!(headers["content-type"], "application/json");
    let (status, headers, body) = answer(&error, Dialect::V2).await;
    assert_eq!(status.as_u16(), 400);
    assert_eq!(body, "{\"code\":\"invalid\",\"message\":\"partial write of line protocol occurred\",\"line\":3}\n");
    assert_eq!(headers["x-platform-error-code"], "invalid");
    let (status, _, body) = answer(&error, Dialect::V3).await;
    assert_eq!(status.as_u16(), 400);
    assert_eq!(
        body,
        "{\"error\":\"partial write of line protocol occurred\",\"data\":[\
         {\"error_message\":\"missing field value\",\"line_number\":3,\"original_line\":\"cpu value=\"},\
         {\"error_message\":\"y\",\"line_number\":9,\"original_line\":\"x\"}]}\n"
    );
}

#[tokio::test]
async fn every_kind_has_a_status_and_none_is_429() {
    let kinds = [
        (ErrorKind::Invalid, 400, "invalid"),
        (ErrorKind::NotFound, 404, "not found"),
        (ErrorKind::Conflict, 409, "conflict"),
        (ErrorKind::Unauthorized, 401, "unauthorized"),
        (ErrorKind::Forbidden, 403, "forbidden"),
        (ErrorKind::TooLarge, 413, "request too large"),
        (ErrorKind::Busy, 503, "unavailable"),
        (ErrorKind::Unavailable, 503, "unavailable"),
        (ErrorKind::Corrupt, 500, "internal error"),
        (ErrorKind::Internal, 500, "internal error"),
    ];
    for (kind, status, code) in kinds {
        let (found, headers, _) = answer(&ApiError::new(kind, "x"), Dialect::V2).await;
        assert_eq!((found.as_u16(), headers["x-platform-error-code"].to_str().unwrap()), (status, code));
        assert_eq!(headers.contains_key("retry-after"), status == 503);
        assert_eq!(headers.contains_key("www-authenticate"), status == 401);
    }
    assert_eq!(ApiError::unsupported_media("x").status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn retry_after_is_whole_seconds_and_at_least_one() {
    for (pause, header) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (7_000, "7")] {
        let error = ApiError::new(ErrorKind::Busy, "full").with_retry_after(Duration::from_millis(pause));
        assert_eq!(answer(&error, Dialect::V1).await.1["retry-after"], header);
    }
}

#[tokio::test]
async fn internal_details_are_not_sent() {
    for kind in [ErrorKind::Internal, ErrorKind::Corrupt] {
        for dialect in [Dialect::V1, Dialect::V2, Dialect::V3] {
            let error = ApiError::new(kind, "canary-message").with_detail("canary-detail");
            let (_, headers, body) = answer(&error, dialect).await;
            assert!(!format!("{headers:?}{body}").contains("canary"), "{headers:?} {body}");
            assert!(body.contains("request id unknown"), "{body}");
        }
    }
    let catalog = gigapi_catalog::Error::Unavailable { reason: "canary".to_owned() };
    let (status, _, body) = answer(&ApiError::from(catalog), Dialect::V1).await;
    assert_eq!(status.as_u16(), 503);
    assert!(!body.contains("canary"), "{body}");
}

#[tokio::test]
async fn foreign_bytes_in_messages_stay_out_of_the_headers_grammar() {
    let (_, headers, body) = answer(&ApiError::invalid("a\r\nSet-Cookie: x\u{e9}\0"), Dialect::V1).await;
    assert_eq!(headers["x-influxdb-error"], "a??Set-Cookie: x??");
    assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
    let (_, headers, _) = answer(&ApiError::invalid("x".repeat(5_000)), Dialect::V1).await;
    assert_eq!(headers["x-influxdb-error"].len(), 1024);
}

#[test]
fn lines_are_cut_and_counted() {
    let line = RefusedLine::new(1, &[0xff; 1000], "not UTF-8");
    assert_eq!(line.original_line.chars().count(), 256);
    let many = (0..500).map(|n| RefusedLine::new(n, b"", "")).collect();
    assert_eq!(ApiError::invalid("x").with_lines(many).lines.len(), LINES_MAX);
}

#[test]
fn dialects_follow_the_path() {
    assert_eq!(Dialect::of_path("/api/v3/write_lp"), Dialect::V3);
    assert_eq!(Dialect::of_path("/api/v2/write"), Dialect::V2);
    assert_eq!(Dialect::of_path("/write"), Dialect::V1);
    assert_eq!(Dialect::of_path("/api/v30"), Dialect::V1);
}
