use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that gives these answers, one per connection, and keeps what it was asked.
async fn server(answers: Vec<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"END") && !text.ends_with(b"END\"}") {
                if stream.read_buf(&mut text).await.unwrap() == 0 {
                    break;
                }
            }
            seen.lock().unwrap().push(String::from_utf8_lossy(&text).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

/// Arguments that name a database and a user.
pub(crate) fn connect_args() -> ConnectArgs {
    let user = Some(Secret::new("ann:pa:ss"));
    ConnectArgs { host: None, database: Some("my db".to_owned()), token: None, user, retries: 3, timeout: Some(5) }
}

fn client(host: &str) -> Client {
    Client::new(&ConnectArgs { host: Some(host.to_owned()), ..connect_args() }).unwrap()
}

const BUSY: &str = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const DONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).unwrap();
    line.split_once(": ").unwrap().1
}

#[tokio::test]
async fn a_write_is_repeated_under_one_key_until_the_server_takes_it() {
    // The second connection is dropped without an answer.
    let (url, asked) = server(vec![BUSY, "", DONE]).await;
    let bad = client(&url).write(&[("precision", "s")], Bytes::from_static(b"m f=1 END")).await.unwrap();
    assert_eq!(bad, []);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    for request in asked.iter() {
        assert!(
            request.starts_with("POST /api/v3/write_lp?db=my+db&accept_partial=true&precision=s HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.ends_with("m f=1 END"));
        assert_eq!(header(request, "idempotency-key"), header(&asked[0], "idempotency-key"));
        assert_eq!(header(request, "authorization"), "Basic YW5uOnBhOnNz");
    }
}

#[tokio::test]
async fn refused_lines_come_back_and_a_refused_request_is_an_error() {
    let partial = concat!(
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        r#"{"error":"partial write of line protocol occurred","data":[{"error_message":"no","line_number":2,"original_line":"x"}]}"#
    );
    let none = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{\"error\":\"precision is unknown\"}";
    let (url, _) = server(vec![partial, none]).await;
    let bad = client(&url).write(&[], Bytes::from_static(b"END")).await.unwrap();
    assert_eq!(bad, [BadLine { number: 2, message: "no".to_owned() }]);
    let error = client(&url).write(&[], Bytes::from_static(b"END")).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused the request with 400 Bad Request: precision is unknown");
}

#[tokio::test]
async fn a_server_that_stays_busy_or_away_is_given_up() {
    let (url, asked) = server(vec![BUSY; 9]).await;
    let error = client(&url).write(&[], Bytes::from_static(b"END")).await.unwrap_err();
    assert!(error.to_string().starts_with("the server refused the request with 503"), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 4);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client(&gone.to_string()).write(&[], Bytes::from_static(b"END")).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("http://{gone} cannot be reached (4 attempts)")), "{error}");
}

#[tokio::test]
async fn a_query_is_asked_under_its_id_and_refused_in_the_servers_words() {
    let refused = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{\"error\":\"SQL syntax: no\"}";
    let (url, asked) = server(vec![BUSY, refused]).await;
    let error = client(&url).query("SELECT END", "csv", "one").await.unwrap_err();
    assert_eq!(error.downcast_ref::<Refusal>().unwrap().message, "SQL syntax: no");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    for request in asked.iter() {
        assert!(request.starts_with("POST /api/v3/query_sql HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with(r#"{"db":"my db","format":"csv","q":"SELECT END"}"#), "{request}");
        assert_eq!(header(request, "x-gigapi-query-id"), "one");
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_not_asked_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let args = ConnectArgs { host: Some(host.clone()), timeout: Some(1), ..connect_args() };
    let error = Client::for_queries(&args).unwrap().query("SELECT 1", "csv", "one").await.unwrap_err();
    assert_eq!(error.to_string(), format!("http://{host} did not answer in time; --timeout gives it longer"));
    listener.set_nonblocking(true).unwrap();
    listener.accept().unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn hosts_are_checked_and_passwords_in_them_are_not_shown() {
    assert_eq!(base_url("127.0.0.1:7971").unwrap(), "http://127.0.0.1:7971");
    assert_eq!(base_url("http://x/gigapi/").unwrap(), "http://x/gigapi");
    for (host, part) in
        [("https://x", "http only"), ("http://u:canary@x", "must not hold a password"), ("http://[x", "is not a URL")]
    {
        let error = format!("{:#}", base_url(host).unwrap_err());
        assert!(error.contains(part) && !error.contains("canary"), "{error}");
    }
}

#[test]
fn secrets_do_not_show() {
    let client = client("127.0.0.1:1");
    assert!(!format!("{client:?}").contains("pa:ss"));
}
