//! SQL over unflushed rows and files.

use std::path::Path;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::writing::server;

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_questions_work_as_pasted() {
    let (_folder, server) = server().await;
    let client = server.client();
    client.must_write("mydb", "weather,city=Oslo temperature=3.5 1745452800000000000").await.unwrap();
    let rows = client.rows("mydb", "SELECT * FROM weather").await.unwrap();
    assert_eq!(rows, [json!({ "city": "Oslo", "temperature": 3.5, "time": "2025-04-24T00:00:00Z" })]);
    let rows = client.rows("mydb", "select count(*), avg(temperature) from weather").await.unwrap();
    assert_eq!(rows, [json!({ "count_star()": "1", "avg(temperature)": 3.5 })]);
    let databases = client.rows("mydb", "SHOW DATABASES").await.unwrap();
    assert_eq!(databases, [json!({ "database_name": "mydb" })]);
    let tables = client.rows("mydb", "show tables").await.unwrap();
    assert_eq!(tables, [json!({ "table_name": "weather" })]);
    let columns = client.rows("mydb", "DESCRIBE weather").await.unwrap();
    let types: Vec<_> = columns.iter().map(|row| (row["column_name"].clone(), row["column_type"].clone())).collect();
    assert!(types.contains(&(json!("temperature"), json!("DOUBLE"))), "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_look_alike_are_kept_apart() {
    let (_folder, server) = server().await;
    let client = server.client();
    client.must_write("db", "system.cpu v=1i 1\ncpu,cpu=cpu0 usage_cpu=7i 1").await.unwrap();
    assert_eq!(client.number("db", "SELECT v FROM \"system.cpu\"").await.unwrap(), 1.0);
    let rows = client.rows("db", "SELECT cpu, usage_cpu FROM cpu WHERE cpu = 'cpu0'").await.unwrap();
    assert_eq!(rows, [json!({ "cpu": "cpu0", "usage_cpu": "7" })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_are_found_by_bounded_and_one_sided_times() {
    let (_folder, server) = server().await;
    let client = server.client();
    const DAY: i64 = 86_400_000_000_000;
    let start = 1_767_225_600_000_000_000_i64; // 2026-01-01T00:00:00Z
    let lines: String = (0..60).map(|day| format!("m v={day}i {}\n", start + day * DAY)).collect();
    let answer = client.post("/write?db=db&durability=commit", &[], lines).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    let counts = [
        ("time >= '2026-01-31T00:00:00Z' AND time < '2026-02-01T00:00:00Z'", 1.0),
        ("time >= '2026-01-31T00:00:00'", 30.0),
        ("time < '2026-01-11'", 10.0),
        ("'2026-01-11' > time", 10.0),
        ("time BETWEEN '2026-01-02' AND '2026-01-04'", 3.0),
        ("time >= cast('2026-01-31T00:00:00Z' as timestamp)", 30.0),
        ("time >= epoch_ns('2026-01-31T00:00:00'::TIMESTAMP)", 30.0),
        ("time >= 1769817600000000000", 30.0),
        ("time BETWEEN 1767225600000000000 AND 1767225600000000000", 1.0),
        ("date = '2026-01-05'", 1.0),
    ];
    for (predicate, expected) in counts {
        let sql = format!("select count(*) from m where {predicate}");
        assert_eq!(client.number("db", &sql).await.unwrap(), expected, "{predicate}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn later_writes_overwrite_field_by_field_in_the_buffer_and_in_a_flush() {
    let (_folder, server) = server().await;
    let client = server.client();
    client.must_write("db", "m,h=a x=1i,y=1i 1").await.unwrap();
    client.must_write("db", "m,h=a x=2i 1").await.unwrap();
    let expected = [json!({ "x": "2", "y": "1" })];
    assert_eq!(client.rows("db", "SELECT x, y FROM m").await.unwrap(), expected);
    let answer = client.post("/write?db=db&durability=commit", &[], "other v=1").await.unwrap();
    assert_eq!(answer.status, 204);
    assert_eq!(client.rows("db", "SELECT x, y FROM m").await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_reaches_nothing_but_tables() {
    let (folder, server) = server().await;
    let client = server.client();
    client.must_write("db", "m v=1i 1").await.unwrap();
    let target = folder.path().join("stolen");
    let attempts = [
        format!("COPY m TO '{}'", target.display()),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}'", target.display()),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW w AS SELECT 1".to_owned(),
        "INSERT INTO m SELECT * FROM m".to_owned(),
        "DELETE FROM m".to_owned(),
        "DROP TABLE m".to_owned(),
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "SELECT * FROM read_parquet('/etc/passwd')".to_owned(),
        "SELECT * FROM information_schema.df_settings".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "ATTACH 'x'".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
    ];
    for sql in attempts {
        let answer = client.query("db", &sql).await.unwrap();
        assert_eq!(answer.status, 400, "{sql} was answered {}", answer.body);
        assert!(answer.json().unwrap()["error"].is_string());
    }
    assert!(!target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_of_the_v3_endpoint_answers() {
    let (_folder, server) = server().await;
    let client = server.client();
    client.must_write("db", "m,h=a v=1i 1700000000000000000\nm,h=b v=2i 1700000000000000000").await.unwrap();
    let get = async |format: &str| {
        let path = format!("/api/v3/query_sql?db=db&format={format}&q=SELECT%20h,v%20FROM%20m%20ORDER%20BY%20h");
        client.get(&path).await.unwrap()
    };
    assert_eq!(get("json").await.json().unwrap(), json!([{ "h": "a", "v": 1 }, { "h": "b", "v": 2 }]));
    assert_eq!(get("jsonl").await.body, "{\"h\":\"a\",\"v\":1}\n{\"h\":\"b\",\"v\":2}\n");
    assert_eq!(get("csv").await.body, "h,v\na,1\nb,2\n");
    assert!(get("parquet").await.body.starts_with("PAR1"));
    assert_eq!(get("arrow").await.status, 200);
}

/// What a client that speaks HTTP/1.0 gets, up to the end of the connection.
async fn ask_in_old_http(port: u16, sql: &str) -> String {
    let body = json!({ "db": "db", "query": sql }).to_string();
    let head =
        format!("POST /query HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_older_http_never_takes_a_broken_answer_for_a_whole_one() {
    let (_folder, server) = server().await;
    let answer = ask_in_old_http(server.port(), "SELECT value FROM generate_series(1, 100000)").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_ascii_lowercase().contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
    assert!(body.ends_with("{\"value\":\"100000\"}]}\n"));
    // Rows come, and then an error: without a length and without pieces there is no way to tell.
    for sql in [
        "SELECT CAST(CASE WHEN value = 200000 THEN 'x' ELSE '1' END AS BIGINT) AS x FROM generate_series(1, 300000)",
        "SELECT value FROM generate_series(1, 1000000000000)",
    ] {
        let answer = ask_in_old_http(server.port(), sql).await;
        assert!(answer.lines().next().unwrap().contains(" 400 "), "{}", &answer[..answer.len().min(500)]);
    }
}

/// The folders of processes in which queries spill.
fn spill_folders(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("_gigapi").join("spill")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_has_spilled_is_removed_at_the_next_start() {
    let (folder, server) = server().await;
    let root = folder.path().join("data");
    let before = spill_folders(&root);
    assert_eq!(before.len(), 1);
    std::fs::write(root.join("_gigapi").join("spill").join(&before[0]).join("rows"), "rows").unwrap();
    let options = server.options().clone();
    server.kill().unwrap();
    let server = options.start().await.unwrap();
    let after = spill_folders(&root);
    assert!(after.len() == 1 && after != before, "{before:?}, then {after:?}");
    assert!(server.stop().await.unwrap().success());
    assert!(spill_folders(&root).is_empty());
}
