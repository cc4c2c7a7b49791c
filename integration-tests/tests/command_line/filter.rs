//! `gigapi query` between pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use integration_tests::{Server, Terminal, binary, until};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::writing::server;

/// Fails after more than the server holds back in order to answer with a status.
const FAILS_LATE: &str = "SELECT random() AS a, random() AS b, random() AS c, 1 / (1000000 - value) AS x \
    FROM generate_series(1, 1500000)";

#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    errors: String,
}

fn query(server: &Server, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(binary().unwrap());
    command.arg("query").args(arguments).env("GIGAPI_HOST", server.url()).env("GIGAPI_DATABASE", "db");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command line that is wrong is refused before anything is read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), errors: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_run_in_order_wherever_they_come_from() {
    let (folder, server) = server().await;
    server.client().must_write("db", "weather,city=Oslo t=3.5 1\nweather,city=Rome t=14.25 2").await.unwrap();
    let script =
        "-- a script; with a comment\nSELECT city FROM weather ORDER BY 1;\n\nSELECT ';' AS s, $$it's;$$ AS d;";
    let expected = "city\nOslo\nRome\ns,d\n;,it's;\n";
    let file = folder.path().join("script.sql");
    std::fs::write(&file, script).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, input) in [
        (vec!["--format", "csv"], script),
        (vec!["--format", "csv", "-"], script),
        (vec!["--format", "csv", "-f", file], ""),
        (vec!["--format", "csv", "-c", script], ""),
        (vec!["--format", "csv", &script[script.find("SELECT").unwrap()..]], ""),
        (
            vec![
                "--format",
                "csv",
                "-c",
                "SELECT city FROM weather ORDER BY 1",
                "-c",
                "SELECT ';' AS s, $$it's;$$ AS d",
            ],
            "",
        ),
    ] {
        let ran = query(&server, &arguments, input);
        assert_eq!((ran.code, ran.out.as_str(), ran.errors.as_str()), (0, expected, ""), "{arguments:?}");
    }
    let nothing = query(&server, &[], " -- nothing;\n");
    assert_eq!((nothing.code, nothing.out.as_str(), nothing.errors.as_str()), (0, "", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_that_fails_is_named_and_is_the_last() {
    let (_folder, server) = server().await;
    server.client().must_write("db", "m v=1i 1").await.unwrap();
    let ran = query(&server, &["--format", "csv"], "SELECT 1 AS n;\nSELECT 2 AS n,\n  v v v FROM m;\nSELECT 3 AS n;");
    assert_eq!((ran.code, ran.out.as_str()), (1, "n\n1\n"));
    assert!(
        ran.errors
            .starts_with("gigapi: statement 2 of 3 failed, line 2 of standard input (SELECT 2 AS n,): SQL syntax: "),
        "{}",
        ran.errors
    );
    let mut marked = ran.errors.lines().skip(1);
    assert_eq!(marked.next(), Some("    v v v FROM m"), "{}", ran.errors);
    assert_eq!(marked.next(), Some("        ^"), "{}", ran.errors);
    let ran = query(&server, &["SELECT * FROM nope"], "");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.errors.starts_with("gigapi: table \"nope\" does not exist in database \"db\""), "{}", ran.errors);
    let ran = query(&server, &["--db", "nowhere", "SELECT 1"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.errors.contains("\"nowhere\" does not exist") && ran.errors.contains("404"), "{}", ran.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_cannot_be_meant_is_refused_with_2() {
    let (folder, server) = server().await;
    server.client().must_write("db", "m v=1i 1").await.unwrap();
    let target = folder.path().join("x.parquet");
    for (arguments, told) in [
        (vec!["-c", "SELECT 1", "SELECT 2"], "cannot be used with"),
        (vec!["--format", "xml", "SELECT 1"], "possible values: table, line, csv, json, ndjson, parquet"),
        (
            vec!["--format", "parquet", "-o", target.to_str().unwrap(), "SELECT 1; SELECT 2"],
            "a Parquet file holds one answer, and these are 2 statements",
        ),
        (vec!["--host", "https://x", "SELECT 1"], "http only"),
    ] {
        let ran = query(&server, &arguments, "");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.errors.contains(told), "{}", ran.errors);
    }
    let variables = [("GIGAPI_HOST", server.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let arguments = ["query", "--format", "parquet", "SELECT 1"];
    let mut terminal = Terminal::start(&binary().unwrap(), &arguments, &variables, 80).unwrap();
    terminal.until("name a file with --output").unwrap();
    assert_eq!(terminal.until_ended().unwrap().code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_streams_into_pipes_and_files() {
    let (folder, server) = server().await;
    server.client().must_write("db", "m,t=a v=1i 1\nm,t=b v=2i 2").await.unwrap();
    let sql = "SELECT t, v FROM m ORDER BY v";
    for (format, expected) in [
        ("csv", "t,v\na,1\nb,2\n"),
        ("json", "[{\"t\":\"a\",\"v\":1},{\"t\":\"b\",\"v\":2}]\n"),
        ("ndjson", "{\"t\":\"a\",\"v\":1}\n{\"t\":\"b\",\"v\":2}\n"),
        ("jsonl", "{\"t\":\"a\",\"v\":1}\n{\"t\":\"b\",\"v\":2}\n"),
        ("table", " t │ v\n───┼───\n a │ 1\n b │ 2\n"),
        ("line", "t: a\nv: 1\n\nt: b\nv: 2\n"),
    ] {
        let ran = query(&server, &["--format", format, sql], "");
        assert_eq!((ran.code, ran.out.as_str(), ran.errors.as_str()), (0, expected, ""), "{format}");
        let file = folder.path().join(format);
        let ran = query(&server, &["--format", format, "-o", file.to_str().unwrap(), sql], "");
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.errors);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected, "{format}");
    }
    let file = folder.path().join("answer.parquet");
    let many = "SELECT value AS v FROM generate_series(1, 1000000)";
    let ran = query(&server, &["--format", "parquet", "-o", file.to_str().unwrap(), many], "");
    assert_eq!(ran.code, 0, "{}", ran.errors);
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&file).unwrap()).unwrap();
    let sum: i64 = reader
        .build()
        .unwrap()
        .flat_map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>())
        .sum();
    assert_eq!(sum, 500_000_500_000);
    let table = query(&server, &["SELECT value FROM generate_series(1, 5000)"], "");
    assert_eq!(table.out.lines().count(), 5_002, "a pipe gets all rows and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_leaves_no_file_and_says_so() {
    let (folder, server) = server().await;
    server.client().must_write("db", "m v=1i 1").await.unwrap();
    for format in ["csv", "parquet", "table"] {
        let file = folder.path().join(format!("answer.{format}"));
        std::fs::write(&file, "before").unwrap();
        let ran = query(&server, &["--format", format, "-o", file.to_str().unwrap(), FAILS_LATE], "");
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{format}");
        assert!(ran.errors.contains("the answer broke off and is incomplete"), "{}", ran.errors);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
    }
    let left = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_ends_the_query_quietly() {
    let (_folder, server) = server().await;
    server.client().must_write("db", "m v=1i 1").await.unwrap();
    for format in ["csv", "table"] {
        let mut command = Command::new(binary().unwrap());
        let endless = "SELECT value FROM generate_series(1, 1000000000000)";
        command.args(["query", "--db", "db", "--format", format, endless]).env("GIGAPI_HOST", server.url());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "value");
        drop(lines);
        assert!(child.wait().unwrap().success(), "{format}");
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "", "{format}");
        let idle = async || Ok(server.client().metric("gigapi_queries_active").await? == 0.0);
        until("the query ends on the server", Duration::from_secs(30), idle).await.unwrap();
    }
}
