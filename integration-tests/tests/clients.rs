//! Real clients against one port of one server, and the requests of those that cannot be installed here.
//!
//! Each script uses its client as its users do, and fails if an answer is not what that client makes of a good one, or an
//! error does not reach its user as the client's own kind of error.

use std::path::{Path, PathBuf};

use async_compression::tokio::write::GzipEncoder;
use integration_tests::{Server, ServerOptions, free_port};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const TOKEN: &str = "t0ken";

/// A server that asks for credentials, with three rows in the databases of clients that only read.
async fn server() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data"))
        .set("GIGAPI_SECRET", TOKEN)
        .set("HTTP_BASIC_AUTH_USERNAME", "ann")
        .set("HTTP_BASIC_AUTH_PASSWORD", "secret");
    (folder, options.start().await.unwrap())
}

async fn runs(server: &Server, database: &str) {
    let lines = "runs,runner=ann distance=5 1000000000\nruns,runner=bob distance=10 2000000000\n\
        runs,runner=ann distance=21.1 3000000000";
    let path = format!("/write?db={database}&u=ann&p=secret");
    let answer = server.client().post(&path, &[], lines).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; run `make test`")))
}

/// Runs a script to its end.
async fn run(mut command: Command, name: &str, arguments: &[&str]) {
    // A proxy of the machine is not for its own addresses.
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "grpc_proxy", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let output = command.arg(script(name)).args(arguments).env("TOKEN", TOKEN).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.trim_end().ends_with("done"), "{name}: {out}{err}");
}

async fn python(name: &str, arguments: &[&str]) {
    run(Command::new(variable("GIGAPI_PYTHON")), name, arguments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb_client_for_python_writes_and_is_told_its_mistakes() {
    let (_folder, server) = server().await;
    python("influxdb_v2.py", &[&server.url()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb3_python_writes_and_reads() {
    let (_folder, server) = server().await;
    python("influxdb3_python.py", &[&server.url()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flightsql_dbapi_does_what_its_readme_says() {
    let (_folder, server) = server().await;
    runs(&server, "of_dbapi").await;
    python("flightsql_dbapi.py", &["127.0.0.1", &server.port().to_string()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc_connects_reads_and_looks_around() {
    let (_folder, server) = server().await;
    runs(&server, "of_adbc").await;
    runs(&server, "another").await;
    python("adbc.py", &[&format!("grpc://127.0.0.1:{}", server.port())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flightsql_is_served_on_its_own_port_where_one_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let on_port = |root: &str| {
        let options = ServerOptions::new(&folder.path().join(root)).set("GIGAPI_SECRET", TOKEN);
        options.set("FLIGHTSQL_ENABLE", "true").set("FLIGHTSQL_PORT", port.to_string())
    };
    let options = on_port("data").set("HTTP_BASIC_AUTH_USERNAME", "ann").set("HTTP_BASIC_AUTH_PASSWORD", "secret");
    let server = options.start().await.unwrap();
    runs(&server, "of_adbc").await;
    python("adbc.py", &[&format!("grpc://127.0.0.1:{port}")]).await;

    // Whoever wants the same port is told, and by which setting.
    let options = on_port("other");
    let mut second = options.spawn().unwrap();
    assert!(!second.until_ended().await.unwrap().success());
    let log = options.log();
    assert!(log.contains("FLIGHTSQL_PORT") && log.contains(&port.to_string()), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_grafana_are_answered() {
    let (_folder, server) = server().await;
    runs(&server, "of_grafana").await;
    python("grafana.py", &[&format!("grpc://127.0.0.1:{}", server.port())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb3_js_writes_and_reads() {
    let (_folder, server) = server().await;
    let mut node = Command::new("node");
    node.env("CLIENTS", variable("GIGAPI_CLIENTS"));
    run(node, "influxdb3.mjs", &[&server.url()]).await;
}

async fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(text.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// The requests of Telegraf's outputs `influxdb`, `influxdb_v2` and `influxdb_v3`, from their sources.
#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_telegraf_are_answered() {
    let (_folder, server) = server().await;
    let client = server.client();
    let agent = ("user-agent", "Telegraf/1.38.0 Go/1.26.0");
    let basic = ("authorization", "Basic YW5uOnNlY3JldA==");
    let plain = ("content-type", "text/plain; charset=utf-8");
    let gzip = ("content-encoding", "gzip");

    // At its start the first output makes its database; anything but JSON without an error in it is a warning.
    let form = [("content-type", "application/x-www-form-urlencoded"), agent, basic];
    let made = client.post("/query", &form, "q=CREATE+DATABASE+%22telegraf%22").await.unwrap();
    assert_eq!((made.status, made.json().unwrap()), (200, json!({ "results": [{ "statement_id": 0 }] })));

    let lines = "cpu,cpu=cpu0,host=a usage_idle=98.5,n=3i 1700000000000000000\n\
        mem,host=a used=12i,free=88i 1700000000000000000\n";
    let headers = [plain, gzip, agent, basic];
    let written = client.post("/write?consistency=any&db=telegraf&rp=autogen", &headers, gzipped(lines).await).await;
    let written = written.unwrap();
    assert_eq!((written.status, written.body.as_str()), (204, ""), "any other status is sent again for ever");
    let token = ("authorization", "Token t0ken");
    let headers = [plain, gzip, agent, token, ("accept", "application/json")];
    let written = client.post("/api/v2/write?bucket=telegraf2&org=any", &headers, gzipped(lines).await).await.unwrap();
    assert_eq!((written.status, written.body.as_str()), (204, ""));
    let bearer = ("authorization", "Bearer t0ken");
    let headers = [plain, gzip, agent, bearer];
    // The third output writes unsigned integers as such.
    let unsigned = lines.replace("12i", "12u");
    let path = "/api/v3/write_lp?db=telegraf3&no_sync=false";
    let written = client.post(path, &headers, gzipped(&unsigned).await).await.unwrap();
    assert_eq!((written.status, written.body.as_str()), (204, ""));

    // The first output looks for words in the error; the third shows the lines if they are an array.
    let bad = format!("{lines}cpu,host=b usage_idle=oops 1\n");
    let told = client.post("/write?db=telegraf", &[plain, gzip, agent, basic], gzipped(&bad).await).await.unwrap();
    assert_eq!(told.status, 400);
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert!(told.json().unwrap()["error"].as_str().unwrap().contains("partial write"), "{}", told.body);
    let told = client.post(path, &headers, gzipped(&bad.replace("12i", "12u")).await).await.unwrap();
    let body = told.json().unwrap();
    assert_eq!((told.status, &body["error"]), (400, &json!("partial write of line protocol occurred")));
    assert_eq!(body["data"][0]["line_number"], 3, "{body}");
    assert!(body["data"][0]["error_message"].is_string() && body["data"][0]["original_line"].is_string(), "{body}");
    let headers = [plain, gzip, agent, token];
    let told = client.post("/api/v2/write?bucket=telegraf2&org=any", &headers, gzipped(&bad).await).await.unwrap();
    let body = told.json().unwrap();
    assert_eq!((told.status, &body["code"], &body["line"]), (400, &json!("invalid"), &json!(3)), "{body}");

    let stranger = [plain, agent, ("authorization", "Basic YW5uOndyb25n")];
    let told = client.post("/write?db=telegraf", &stranger, lines).await.unwrap();
    assert_eq!(told.status, 401);
    assert!(told.json().unwrap()["error"].is_string(), "{}", told.body);

    for database in ["telegraf", "telegraf2", "telegraf3"] {
        let body = json!({ "query": "SELECT count(*) AS c FROM cpu", "db": database }).to_string();
        let counted = client.post("/query", &[("content-type", "application/json"), bearer], body).await.unwrap();
        assert_eq!(counted.json().unwrap(), json!({ "results": [{ "c": "1" }] }), "{database}");
    }
}
