//! The verbs of the binary.

mod fake;
mod filter;
mod progress;
mod shell;

use std::io::Write;
use std::process::{Command, Stdio};

use integration_tests::binary;

use crate::writing::server;

fn check_config(variables: &[(&str, &str)]) -> (bool, String, String) {
    let output = Command::new(binary().unwrap()).arg("check-config").envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn wrong_settings_are_all_named_and_secrets_never_shown() {
    let (ok, _, errors) = check_config(&[("GIGAPI_SAVE_TIMEOUT_S", "soon"), ("HTTP_PORT", "70000")]);
    assert!(!ok);
    assert!(errors.contains("GIGAPI_SAVE_TIMEOUT_S") && errors.contains("soon"), "{errors}");
    assert!(errors.contains("HTTP_PORT") && errors.contains("70000"), "{errors}");
    let (ok, shown, warnings) = check_config(&[("GIGAPI_SECRET", "canary"), ("GIGAPI_SAVE_TIMEOUT", "1")]);
    assert!(ok);
    assert!(!shown.contains("canary") && !warnings.contains("canary"), "{shown}");
    assert!(warnings.contains("GIGAPI_SAVE_TIMEOUT_S"), "no hint in: {warnings}");
}

#[test]
fn urls_are_shown_without_their_passwords_whether_they_are_right_or_wrong() {
    let nodes = "redis://u:canary@n1:6379,redis://u:canary@n2:6379";
    let (ok, shown, warnings) = check_config(&[("GIGAPI_METADATA_TYPE", "redis"), ("GIGAPI_METADATA_URL", nodes)]);
    assert!(ok, "{warnings}");
    assert!(shown.contains("redis://[redacted]@n1:6379,redis://[redacted]@n2:6379"), "{shown}");
    assert!(!shown.contains("canary") && !warnings.contains("canary"), "{shown}{warnings}");
    let layer = [("NAME", "s3"), ("TYPE", "s3"), ("URL", "s3://CANARY:ab/canary@host/b")];
    let layer = layer.map(|(part, value)| (format!("GIGAPI_LAYERS_0_{part}"), value));
    let layer: Vec<(&str, &str)> = layer.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let (ok, shown, errors) = check_config(&layer);
    assert!(!ok && errors.contains("holds keys") && errors.contains("s3://[redacted]@host/b"), "{errors}");
    assert!(!format!("{shown}{errors}").to_lowercase().contains("canary"), "{shown}{errors}");
}

#[test]
fn settings_without_an_effect_are_named() {
    let (ok, _, warnings) = check_config(&[("FLIGHTSQL_PORT", "8082"), ("GIGAPI_UI", "true")]);
    assert!(ok, "{warnings}");
    let told = |setting: &str| {
        warnings.lines().any(|line| line.contains(setting) && line.contains("no effect in this version"))
    };
    assert!(told("GIGAPI_UI") && !told("FLIGHTSQL_PORT"), "{warnings}");
    assert!(!check_config(&[]).2.contains("no effect in this version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_from_standard_input_are_written_and_bad_ones_named() {
    let (_folder, server) = server().await;
    let mut command = Command::new(binary().unwrap());
    command.args(["write", "-d", "db", "--batch-lines", "2"]).env("GIGAPI_HOST", server.url());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"m v=1i 1\nm v=2i 2\nm v=3i 3\nm v= 4\nm v=5i 5\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success(), "a refused line is a failure");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("<stdin>:4: "), "{errors}");
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 11.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_says_what_is_wrong_with_it() {
    let (folder, server) = server().await;
    let file = folder.path().join("x.csv");
    std::fs::write(&file, "when,v\n2024-01-01,1\n").unwrap();
    let import = |arguments: &[&str]| {
        let mut command = Command::new(binary().unwrap());
        command.arg("import").arg(&file).args(arguments).env("GIGAPI_HOST", server.url());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (ok, errors) = import(&["--table", "t", "--time", "date"]);
    assert!(!ok && errors.contains("there is no column \"date\"; there are: when, v"), "{errors}");
    let (ok, errors) = import(&["--table", "t", "--time", "when"]);
    assert!(ok, "{errors}");
    assert_eq!(server.client().number("default", "SELECT v FROM t").await.unwrap(), 1.0);
}
