//! `gigapi query` at a terminal.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use integration_tests::{Server, Terminal, binary, until};

use crate::writing::server;

/// Takes longer than any test waits, and needs no table.
const ENDLESS: &str = "SELECT sum(value) FROM generate_series(1, 1000000000000);";

fn shell(server: &Server, home: &Path, columns: u16) -> Terminal {
    let url = server.url();
    let variables = [("HOME", home.to_str().unwrap()), ("GIGAPI_HOST", url.as_str()), ("NO_COLOR", "1")];
    let mut terminal = Terminal::start(&binary().unwrap(), &["query", "-d", "db"], &variables, columns).unwrap();
    terminal.until(&format!("at {url}")).unwrap();
    terminal.until("db> ").unwrap();
    terminal
}

/// Types a line and waits for that text, then for the prompt; everything shown in between comes back.
fn asked(terminal: &mut Terminal, line: &str, expected: &str, prompt: &str) -> String {
    terminal.press(&format!("{line}\r")).unwrap();
    let shown = terminal.until(expected).unwrap();
    format!("{shown}{}", terminal.until(prompt).unwrap())
}

async fn some_weather() -> (tempfile::TempDir, Server) {
    let (folder, server) = server().await;
    let client = server.client();
    client
        .must_write("db", "weather,city=Oslo t=3.5 1\nweather,city=Rome t=14.25 2\nwind,city=Oslo v=7i 1")
        .await
        .unwrap();
    client.must_write("other", "cpu,host=a v=1i 1").await.unwrap();
    (folder, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_statements_and_commands() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 100);
    // A statement of three lines, a quote that goes over two of them.
    terminal.press("SELECT city, t, 'a;\r").unwrap();
    terminal.press("b' AS s FROM weather\r").unwrap();
    let shown = asked(&mut terminal, "ORDER BY city;", "2 rows in ", "db> ");
    let table = " city │     t │ s\n──────┼───────┼───────\n Oslo │   3.5 │ a;\\nb\n Rome │ 14.25 │ a;\\nb\n";
    assert!(shown.contains(table), "{shown}");
    let shown = asked(&mut terminal, ".tables", "2 tables", "db> ");
    assert!(shown.contains("\nweather\nwind\n"), "{shown}");
    let shown = asked(&mut terminal, ".tables wi*", "1 table\n", "db> ");
    assert!(!shown.contains("\nweather\n") && shown.contains("\nwind\n"), "{shown}");
    let shown = asked(&mut terminal, ".schema weather", "3 columns", "db> ");
    assert!(shown.contains(" city        │ VARCHAR") && shown.contains(" t           │ DOUBLE"), "{shown}");
    asked(&mut terminal, ".timer off", "\n", "db> ");
    let shown = asked(&mut terminal, "SELECT 1 AS one;", "1 row\n", "db> ");
    assert!(!shown.contains(" in "), "{shown}");
    for (mode, answer) in [
        ("csv", "city,t\nOslo,3.5\n"),
        ("json", "[{\"city\":\"Oslo\",\"t\":3.5}]\n"),
        ("ndjson", "{\"city\":\"Oslo\",\"t\":3.5}\n"),
        ("line", "city: Oslo\n   t: 3.5\n"),
    ] {
        asked(&mut terminal, &format!(".mode {mode}"), "\n", "db> ");
        asked(&mut terminal, "SELECT city, t FROM weather LIMIT 1;", answer, "db> ");
    }
    asked(&mut terminal, ".mode tabel", "\"tabel\" is no mode", "db> ");
    asked(&mut terminal, ".tabels", "there is no .tabels; did you mean .tables?", "db> ");
    asked(&mut terminal, ".mode table", "\n", "db> ");
    asked(&mut terminal, ".databases", "db\nother\n2 databases", "db> ");
    asked(&mut terminal, ".use othr", "there is no database \"othr\"; did you mean other?", "db> ");
    asked(&mut terminal, ".use other", "\n", "other> ");
    asked(&mut terminal, "SELECT host FROM cpu;", " host\n──────\n a\n1 row\n", "other> ");
    terminal.press("\x04").unwrap();
    assert!(terminal.until_ended().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_the_servers_words_with_the_place_marked() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 100);
    let shown = asked(&mut terminal, "SELECT city FORM weather;", "^\n", "db> ");
    let lines: Vec<&str> = shown.lines().collect();
    let error = lines.iter().position(|line| line.starts_with("error: SQL syntax: ")).unwrap();
    assert_eq!(lines[error + 1], "  SELECT city FORM weather", "{shown}");
    assert_eq!(lines[error + 2].find('^'), Some("  SELECT city FORM ".len()), "{shown}");
    asked(&mut terminal, "SELECT * FROM nope;", "error: table \"nope\" does not exist in database \"db\"", "db> ");
    asked(&mut terminal, "SELECT 1; SELECT x; SELECT 2;", "error: ", "db> ");
    assert!(terminal.press("quit\r").is_ok() && terminal.until_ended().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_query_that_runs_and_clears_the_line_that_does_not() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 100);
    let active = async |wanted: f64| Ok(server.client().metric("gigapi_queries_active").await? == wanted);
    terminal.press(&format!("{ENDLESS}\r")).unwrap();
    until("the query runs", Duration::from_secs(30), async || active(1.0).await).await.unwrap();
    terminal.press("\x03").unwrap();
    terminal.until("cancelled\n").unwrap();
    terminal.until("db> ").unwrap();
    until("the query ends on the server", Duration::from_secs(30), async || active(0.0).await).await.unwrap();
    terminal.press("SELECT half of a statement\x03").unwrap();
    terminal.until("SELECT half of a statement\ndb> ").unwrap();
    let shown = asked(&mut terminal, "SELECT 'whole' AS s;", "1 row in ", "db> ");
    assert!(shown.contains(" s\n───────\n whole\n"), "{shown}");
    terminal.press(".quit\r").unwrap();
    assert!(terminal.until_ended().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_completed_from_the_server() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 100);
    terminal.press("select ci\t from wea\t order by 1;").unwrap();
    terminal.until("select city from weather order by 1;").unwrap();
    let shown = asked(&mut terminal, "", "2 rows in ", "db> ");
    assert!(shown.contains(" Oslo\n Rome\n"), "{shown}");
    terminal.press("SELECT * FROM w\t").unwrap();
    // What two tables begin with is ambiguous, so both are listed.
    terminal.until("weather").unwrap();
    terminal.until("wind").unwrap();
    terminal.press("\x03").unwrap();
    terminal.until("SELECT * FROM w\ndb> ").unwrap();
    terminal.press(".use oth\t\r").unwrap();
    terminal.until("other> ").unwrap();
    terminal.press("SELECT count(*) AS n FROM c\t;\r").unwrap();
    terminal.until(" n\n───\n 1\n").unwrap();
    terminal.until("other> ").unwrap();
    terminal.press("\x04").unwrap();
    assert!(terminal.until_ended().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_as_much_as_it_has_room_for() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 40);
    let long = "SELECT value AS n, repeat('x', 100) AS s FROM generate_series(1, 5000);";
    let shown = asked(&mut terminal, long, "5,000 rows in ", "db> ");
    assert!(shown.contains("…\n"), "{shown}");
    assert!(shown.contains("… 4,900 more rows; .rows 0 shows all"), "{shown}");
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains("│ xxx")).collect();
    assert_eq!(rows.len(), 100);
    assert!(rows.iter().all(|row| row.chars().count() <= 40), "{shown}");
    asked(&mut terminal, ".rows 3", "\n", "db> ");
    asked(&mut terminal, "SELECT value FROM generate_series(1, 5);", "… 2 more rows; .rows 0", "db> ");
    terminal.press("\x04").unwrap();
    terminal.until_ended().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_to_files_and_statements_come_from_them() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 120);
    let (script, output) = (folder.path().join("script.sql"), folder.path().join("out.csv"));
    std::fs::write(&script, "SELECT city FROM weather ORDER BY 1;\nSELECT nope;\nSELECT 3;\n").unwrap();
    asked(&mut terminal, ".mode csv", "\n", "db> ");
    asked(&mut terminal, &format!(".output {}", output.display()), "\n", "db> ");
    let shown = asked(&mut terminal, &format!(".read {}", script.display()), "error: ", "db> ");
    assert!(shown.contains("written to") && shown.contains("script.sql, line 2: "), "{shown}");
    asked(&mut terminal, ".output -", "\n", "db> ");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "city\nOslo\nRome\n");
    asked(&mut terminal, ".read /nonexistent", "error: cannot read /nonexistent", "db> ");
    asked(&mut terminal, "SELECT 4 AS four;", "four\n4\n", "db> ");
    terminal.press("\x04").unwrap();
    terminal.until_ended().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_kept_for_the_user_alone_and_not_for_every_line() {
    let (folder, server) = some_weather().await;
    let mut terminal = shell(&server, folder.path(), 100);
    asked(&mut terminal, "SELECT 'kept' AS s;", "1 row in ", "db> ");
    asked(&mut terminal, " SELECT 'secret' AS s;", "1 row in ", "db> ");
    terminal.press("\x04").unwrap();
    assert!(terminal.until_ended().unwrap().success());
    let history = folder.path().join(".local/state/gigapi/history");
    let text = std::fs::read_to_string(&history).unwrap();
    assert!(text.contains("SELECT 'kept' AS s;") && !text.contains("secret"), "{text}");
    assert_eq!(history.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(history.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    // The next session finds it with the arrow.
    let mut terminal = shell(&server, folder.path(), 100);
    terminal.press("\x1b[A\r").unwrap();
    terminal.until(" kept\n1 row in ").unwrap();
    terminal.until("db> ").unwrap();
    terminal.press("\x04").unwrap();
    terminal.until_ended().unwrap();
}
