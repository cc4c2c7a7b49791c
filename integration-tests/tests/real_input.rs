//! Public data through the front door, answers compared with those of another engine over the source files.

use std::path::PathBuf;
use std::process::{Command, Output};

use integration_tests::{Server, ServerOptions, binary};
use serde_json::Value;

fn path(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set; run `make test`"));
    PathBuf::from(value)
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments).env("GIGAPI_HOST", server.url()).env("GIGAPI_DATABASE", "demo");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn expected() -> Vec<Value> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("expected.py");
    let output = Command::new(path("GIGAPI_PYTHON")).arg(script).arg(path("VEGA_DATA")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// Rows in the order of their columns; numbers are equal to nine digits.
fn assert_same(answer: &Value, expected: &Value, sql: &str) {
    let (answer, expected) = (answer.as_array().unwrap(), expected.as_array().unwrap());
    assert_eq!(answer.len(), expected.len(), "{sql}");
    for (row, wanted) in answer.iter().zip(expected) {
        let row = row.as_object().unwrap();
        for (index, wanted) in wanted.as_array().unwrap().iter().enumerate() {
            let value = &row[&format!("c{index}")];
            match (number(value), number(wanted)) {
                (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{sql}: {a} is not {b}"),
                _ => assert_eq!(value, wanted, "{sql}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_data_answers_as_another_engine_does() {
    let data = path("VEGA_DATA");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = ServerOptions::new(&root).set("GIGAPI_SAVE_TIMEOUT_S", "1").start().await.unwrap();
    let file = |name: &str| data.join(name).display().to_string();
    run(
        &server,
        &["import", &file("seattle-weather.csv"), "--table", "weather", "--time", "date", "--tag", "weather", "--key"],
    );
    run(
        &server,
        &["import", &file("flights-3m.parquet"), "--table", "flights", "--time", "date", "--tag", "origin,destination"],
    );
    let quakes = [
        "--records",
        "features",
        "--time",
        "properties.time:ms",
        "--tag",
        "properties.net",
        "--skip",
        "properties.updated",
    ];
    run(&server, &[&["import", &file("earthquakes.json"), "--table", "quakes"], &quakes[..]].concat());
    let questions = [
        "SELECT date_part('year', time) AS c0, sum(precipitation) AS c1, max(temp_max) AS c2 FROM weather GROUP BY 1 ORDER BY 1",
        "SELECT origin AS c0, count(*) AS c1, avg(delay) AS c2 FROM flights GROUP BY 1 ORDER BY c1 DESC, c0 LIMIT 5",
        "SELECT date_part('month', time) AS c0, count(*) AS c1, avg(delay) AS c2, sum(distance) AS c3 FROM flights GROUP BY 1 ORDER BY 1",
        "SELECT count(*) AS c0, max(delay) AS c1, min(delay) AS c2 FROM flights WHERE origin = 'ORD' AND time >= '2001-02-05' AND time < '2001-02-12'",
        "SELECT \"properties.net\" AS c0, count(*) AS c1, max(\"properties.mag\") AS c2 FROM quakes GROUP BY 1 ORDER BY c1 DESC, c0",
    ];
    let expected = expected();
    for _ in 0..2 {
        // Once with rows in the buffer, once from files alone.
        for (sql, expected) in questions.iter().zip(&expected) {
            let rows = server.client().rows("demo", sql).await.unwrap();
            assert_same(&Value::Array(rows), expected, sql);
        }
        let answer = server.client().post("/write?db=demo&durability=commit", &[], "done v=1i").await.unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    assert!(files(&root.join("demo/flights")) < 200);
    assert!(files(&root.join("demo/weather")) <= 16);
    let csv = run(&server, &["query", "--format", "csv", "SELECT count(*) AS n FROM flights"]);
    assert_eq!(String::from_utf8_lossy(&csv.stdout), "n\n3000000\n");
}

fn files(folder: &std::path::Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        count +=
            if path.is_dir() { files(&path) } else { usize::from(path.extension().is_some_and(|e| e == "parquet")) };
    }
    count
}
