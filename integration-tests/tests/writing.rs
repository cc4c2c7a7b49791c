//! What clients send, and what they are answered.

use integration_tests::{Server, ServerOptions};
use serde_json::json;
use tempfile::TempDir;

pub(crate) async fn server() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerOptions::new(&folder.path().join("data")).start().await.unwrap();
    (folder, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_route_stores_rows_and_answers_204_without_a_body() {
    let (_folder, server) = server().await;
    let client = server.client();
    let routes = [
        ("/write?db=a", "a"),
        ("/api/v2/write?bucket=b/autogen&org=o", "b"),
        ("/api/v3/write_lp?db=c", "c"),
        ("/gigapi/write?db=d", "d"),
        ("/gigapi/write/e", "e"),
        ("/gigapi/insert?db=f", "f"),
        ("/g/write", "g"),
        ("/write", "default"),
    ];
    for (route, database) in routes {
        let answer = client.post(route, &[], "m,t=x v=1i 1700000000000000000").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{route}");
        let count = client.number(database, "SELECT count(*) FROM m").await.unwrap();
        assert_eq!(count, 1.0, "{route}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_seen_by_the_query_after_its_acknowledgement() {
    for interval in ["0.01", "0.05", "0.2", "3600"] {
        let folder = tempfile::tempdir().unwrap();
        let options = ServerOptions::new(&folder.path().join("data")).set("GIGAPI_SAVE_TIMEOUT_S", interval);
        let server = options.start().await.unwrap();
        let client = server.client();
        for row in 1..=200_u32 {
            client.must_write("db", format!("m,host=a v={row}i {row}")).await.unwrap();
            let count = client.number("db", "SELECT count(*) FROM m").await.unwrap();
            assert_eq!(count, f64::from(row), "flushing every {interval} s");
        }
        let flushed = client.metric("gigapi_flush_rows_total").await.unwrap();
        assert_eq!(flushed > 0.0, interval != "3600", "{flushed} rows flushed, every {interval} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn precisions_mean_what_they_say() {
    let (_folder, server) = server().await;
    let client = server.client();
    let spellings = [
        ("ns", "1700000000000000001", 1_700_000_000_000_000_001_i64),
        ("n", "1700000000000000001", 1_700_000_000_000_000_001),
        ("nanosecond", "1700000000000000001", 1_700_000_000_000_000_001),
        ("us", "1700000000000001", 1_700_000_000_000_001_000),
        ("u", "1700000000000001", 1_700_000_000_000_001_000),
        ("microsecond", "1700000000000001", 1_700_000_000_000_001_000),
        ("ms", "1700000000001", 1_700_000_000_001_000_000),
        ("millisecond", "1700000000001", 1_700_000_000_001_000_000),
        ("s", "1700000001", 1_700_000_001_000_000_000),
        ("second", "1700000001", 1_700_000_001_000_000_000),
        ("m", "28333334", 1_700_000_040_000_000_000),
        ("h", "472223", 1_700_002_800_000_000_000),
        ("auto", "1700000001", 1_700_000_001_000_000_000),
    ];
    for (index, (precision, stamp, nanos)) in spellings.into_iter().enumerate() {
        let path = format!("/write?db=db&precision={precision}");
        let answer = client.post(&path, &[], format!("t{index} v=1i {stamp}")).await.unwrap();
        assert_eq!(answer.status, 204, "{precision}: {}", answer.body);
        let sql = format!("SELECT time::BIGINT AS t FROM t{index}");
        let rows = client.rows("db", &sql).await.unwrap();
        assert_eq!(rows, [json!({ "t": nanos.to_string() })], "{precision}");
    }
    let answer = client.post("/write?db=db&precision=fortnight", &[], "m v=1").await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("fortnight"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_lines_are_kept_and_bad_ones_are_named_in_the_dialect_of_the_path() {
    let (_folder, server) = server().await;
    let client = server.client();
    let body = "m v=1i 1\nm v= 2\nm v=3i 3\n";
    let v3 = client.post("/api/v3/write_lp?db=a&precision=ns", &[], body).await.unwrap();
    assert_eq!(v3.status, 400);
    let parsed = v3.json().unwrap();
    assert_eq!(parsed["error"], "partial write of line protocol occurred");
    assert_eq!(parsed["data"][0]["line_number"], 2);
    assert_eq!(parsed["data"][0]["original_line"], "m v= 2");
    let v1 = client.post("/write?db=b", &[], body).await.unwrap();
    assert_eq!(v1.status, 400);
    let message = v1.json().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(message.starts_with("partial write: line 2: ") && message.ends_with("dropped=1"), "{message}");
    let v2 = client.post("/api/v2/write?bucket=c", &[], body).await.unwrap();
    assert_eq!(v2.status, 400);
    assert_eq!((&v2.json().unwrap()["code"], &v2.json().unwrap()["line"]), (&json!("invalid"), &json!(2)));
    for database in ["a", "b", "c"] {
        assert_eq!(client.number(database, "SELECT count(*) FROM m").await.unwrap(), 2.0);
    }
    let whole = client.post("/api/v3/write_lp?db=d&accept_partial=false", &[], body).await.unwrap();
    assert_eq!(whole.status, 400);
    let error = whole.json().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("parsing failed for write_lp endpoint"), "{error}");
    assert!(!client.query("d", "SELECT count(*) FROM m").await.unwrap().body.contains("results"));
}

#[tokio::test(flavor = "multi_thread")]
async fn type_conflicts_are_400_before_and_after_a_flush() {
    let (_folder, server) = server().await;
    let client = server.client();
    let conflict = client.write("db", "m,a=x a=1 1").await.unwrap();
    assert_eq!(conflict.status, 400, "{}", conflict.body);
    assert!(conflict.body.contains("column a"), "{}", conflict.body);
    let time = client.write("db", "m time=1i 1").await.unwrap();
    assert_eq!(time.status, 400, "{}", time.body);
    client.must_write("db", "m f=1i 1").await.unwrap();
    let counted = async |name: &str| client.metric(&format!("gigapi_write_{name}_total")).await.unwrap();
    assert_eq!((counted("rows_accepted").await, counted("rows_rejected").await), (1.0, 2.0));
    assert_eq!((counted("bytes_accepted").await, counted("bytes_rejected").await), (8.0, 22.0));
    let committed = client.post("/write?db=db&durability=commit", &[], "m f=2i 2").await.unwrap();
    assert_eq!(committed.status, 204, "{}", committed.body);
    let text = client.write("db", "m f=\"x\" 3").await.unwrap();
    assert_eq!(text.status, 400);
    assert!(text.body.contains("f is a string field here but an integer field in the table"), "{}", text.body);
    client.must_write("db", "m f=3i,g=1 4").await.unwrap();
    assert_eq!(client.number("db", "SELECT sum(f) FROM m").await.unwrap(), 6.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_two_requests_race_for_has_one_winner() {
    let (_folder, server) = server().await;
    let client = server.client();
    for round in 0..25 {
        let write = |value: &str| {
            let (client, line) = (client.clone(), format!("r{round} v={value} 1"));
            async move { client.write("db", line).await.unwrap().status }
        };
        let (a, b, c) = tokio::join!(write("\"text\""), write("true"), write("7u"));
        let mut answers = [a, b, c];
        answers.sort_unstable();
        assert_eq!(answers, [204, 400, 400], "round {round}");
        assert_eq!(client.number("db", &format!("SELECT count(*) FROM r{round}")).await.unwrap(), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_arrive_while_a_flush_runs_are_new_columns() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data")).set("GIGAPI_SAVE_TIMEOUT_S", "0.02");
    let server = options.start().await.unwrap();
    let client = server.client();
    for column in 0..80 {
        client.must_write("db", format!("m,tag{column}=x f{column}={column}i {column}")).await.unwrap();
    }
    assert_eq!(client.number("db", "SELECT count(*) FROM m").await.unwrap(), 80.0);
    assert_eq!(client.number("db", "SELECT f79 FROM m WHERE tag79 = 'x'").await.unwrap(), 79.0);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_idempotency_key_changes_nothing_and_is_answered_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data"));
    let server = options.start().await.unwrap();
    let client = server.client();
    let headers = [("Idempotency-Key", "batch-1")];
    let send = async |client: &integration_tests::Client| {
        let body = "m v=1i\nm v=\nm v=3i";
        client.post("/write?db=db&key=none", &headers, body).await.unwrap()
    };
    let first = send(&client).await;
    let again = send(&client).await;
    assert_eq!((first.status, &first.body), (400, &again.body));
    assert_eq!(client.number("db", "SELECT count(*) FROM m").await.unwrap(), 2.0);
    server.kill().unwrap();
    let server = options.start().await.unwrap();
    let after = send(&server.client()).await;
    assert_eq!((after.status, after.body), (first.status, first.body));
    assert_eq!(server.client().number("db", "SELECT count(*) FROM m").await.unwrap(), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_guard_everything_but_health() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data"))
        .set("HTTP_BASIC_AUTH_USERNAME", "ada")
        .set("HTTP_BASIC_AUTH_PASSWORD", "canary-password")
        .set("GIGAPI_SECRET", "canary-token");
    let server = options.start().await.unwrap();
    let client = server.client();
    for path in ["/ping", "/health", "/ready"] {
        assert!(client.get(path).await.unwrap().status < 300, "{path}");
    }
    assert_eq!(client.get("/metrics").await.unwrap().status, 401);
    let refused = client.write("db", "m v=1").await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(refused.json().unwrap()["error"].is_string());
    let accepted = ["Token canary-token", "Bearer canary-token", "Basic YWRhOmNhbmFyeS1wYXNzd29yZA=="];
    for credentials in accepted {
        let answer = client.post("/write?db=db", &[("Authorization", credentials)], "m v=1").await.unwrap();
        assert_eq!(answer.status, 204, "{credentials}");
    }
    let wrong = client.post("/write?db=db", &[("Authorization", "Token wrong")], "m v=1").await.unwrap();
    assert_eq!(wrong.status, 401);
    assert!(!server.options().log().contains("canary"), "a secret was printed");
}
