//! One port for HTTP/1.1, gRPC and gRPC-web.

use arrow_flight::FlightInfo;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::*;

const GET_FLIGHT_INFO: &str = "/arrow.flight.protocol.FlightService/GetFlightInfo";

struct Told {
    head: String,
    body: Vec<u8>,
}

/// One request of HTTP/1.1 on a connection of its own.
async fn http1(served: &Served, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    let body = answer[end..].to_vec();
    let body = if head.contains("transfer-encoding: chunked") { unchunked(&body) } else { body };
    Told { head, body }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 2 + length + 2..];
    }
}

/// A message in gRPC's frame.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// The frames of a body: what marks each, and what it holds.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [mark, a, b, c, d, rest @ ..] = body {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        frames.push((*mark, rest[..length].to_vec()));
        body = &rest[length..];
    }
    frames
}

const WEB: (&str, &str) = ("Content-Type", "application/grpc-web+proto");

#[tokio::test]
async fn browsers_read_over_http_1_what_others_read_over_http_2() {
    let served = Served::of(weather().await.querier()).await;
    let asked = framed(&statement("SELECT n FROM weather").encode_to_vec());
    let headers = [WEB, ("database", "mydb"), ("Origin", "http://ui"), ("X-Grpc-Web", "1")];
    let told = http1(&served, "POST", GET_FLIGHT_INFO, &headers, &asked).await;
    assert!(told.head.starts_with("http/1.1 200"), "{}", told.head);
    assert!(told.head.contains("content-type: application/grpc-web+proto"), "{}", told.head);
    assert!(told.head.contains("access-control-allow-origin: *"), "{}", told.head);
    assert!(
        told.head.contains("access-control-expose-headers: ") && told.head.contains("grpc-status"),
        "{}",
        told.head
    );
    let frames = frames(&told.body);
    let info = FlightInfo::decode(&*frames[0].1).unwrap();
    let (mark, trailers) = frames.last().unwrap();
    assert_eq!(*mark, 0x80);
    assert!(String::from_utf8_lossy(trailers).contains("grpc-status:0"), "{trailers:?}");

    let ticket = framed(&info.endpoint[0].ticket.clone().unwrap().encode_to_vec());
    let path = "/arrow.flight.protocol.FlightService/DoGet";
    let told = http1(&served, "POST", path, &[WEB], &ticket).await;
    // The columns, a batch, and how it ended.
    let marks: Vec<u8> = self::frames(&told.body).iter().map(|(mark, _)| *mark).collect();
    assert_eq!(marks, [0, 0, 0x80]);

    // An error is told in the frame of trailers or in the head; both are where such clients look.
    let asked = framed(&statement("SELEC 1").encode_to_vec());
    let told = http1(&served, "POST", GET_FLIGHT_INFO, &[WEB], &asked).await;
    let whole = format!("{}{}", told.head, String::from_utf8_lossy(&told.body));
    assert!(whole.contains("grpc-status:3") || whole.contains("grpc-status: 3"), "{whole}");
}

#[tokio::test]
async fn browsers_ask_first_and_are_allowed() {
    let auth = credentials(None, Some("t0ken"));
    let served = Served::guarded(weather().await.querier(), auth).await;
    let wanted = [
        ("Origin", "http://ui"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,database,x-grpc-web"),
    ];
    let told = http1(&served, "OPTIONS", GET_FLIGHT_INFO, &wanted, b"").await;
    assert!(told.head.starts_with("http/1.1 200"), "{}", told.head);
    assert!(told.head.contains("access-control-allow-headers: authorization,content-type,database,x-grpc-web"));
    let asked = framed(&statement("SELECT 1").encode_to_vec());
    let told = http1(&served, "POST", GET_FLIGHT_INFO, &[WEB], &asked).await;
    assert!(
        told.head.contains("grpc-status: 16") && told.head.contains("access-control-allow-origin: *"),
        "{}",
        told.head
    );
    let told = http1(&served, "POST", GET_FLIGHT_INFO, &[WEB, ("Authorization", "Bearer t0ken")], &asked).await;
    assert_eq!(frames(&told.body)[0].0, 0, "{}", told.head);
}

#[tokio::test]
async fn one_port_speaks_all_of_it() {
    let served = Served::of(weather().await.querier()).await;
    let sql = "{\"query\": \"SELECT count(*) AS c FROM weather\"}";
    let told = http1(&served, "POST", "/query?db=mydb", &[], sql.as_bytes()).await;
    assert_eq!(String::from_utf8_lossy(&told.body).trim_end(), "{\"results\":[{\"c\":\"2\"}]}");
    assert_eq!(answer_to(&mut served.client().await, "SELECT count(*) AS c FROM weather").await, ["c", "2"]);
    // gRPC proper needs HTTP/2.
    let asked = framed(&statement("SELECT 1").encode_to_vec());
    let told = http1(&served, "POST", GET_FLIGHT_INFO, &[("Content-Type", "application/grpc")], &asked).await;
    assert!(told.head.starts_with("http/1.1 400"), "{}", told.head);
    let told = http1(&served, "GET", GET_FLIGHT_INFO, &[], b"").await;
    assert!(told.head.starts_with("http/1.1 4"), "{}", told.head);
}

#[tokio::test]
async fn methods_that_do_not_exist_are_unimplemented() {
    let served = Served::of(weather().await.querier()).await;
    for path in ["/arrow.flight.protocol.FlightService/Nope", "/other.Service/Get"] {
        let told = http1(&served, "POST", path, &[WEB], &framed(b"")).await;
        let whole = format!("{}{}", told.head, String::from_utf8_lossy(&told.body));
        assert!(whole.contains("grpc-status:12") || whole.contains("grpc-status: 12"), "{path}: {whole}");
    }
}
