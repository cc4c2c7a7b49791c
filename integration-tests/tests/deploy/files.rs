//! The Dockerfile and the compose file, and the settings that containers get.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use integration_tests::binary;
use serde_json::Value;

use super::shape::{at, items, quantity, text};
use super::tools::{read, root, run, yaml};

/// What a Redis has to be told to keep what it acknowledges.
const REDIS: [(&str, &str); 3] =
    [("--appendonly", "yes"), ("--appendfsync", "always"), ("--maxmemory-policy", "noeviction")];

/// Whether the command line of a Redis says that it keeps what it acknowledges.
pub(super) fn keeps_what_it_acknowledges(arguments: &[Value]) -> bool {
    let pairs: Vec<(&str, &str)> =
        arguments.windows(2).map(|pair| (pair[0].as_str().unwrap_or(""), pair[1].as_str().unwrap_or(""))).collect();
    REDIS.iter().all(|wanted| pairs.contains(wanted))
}

/// Whether the program knows all of these variables, takes their values and lets none of them be idle.
pub(super) fn is_accepted(environment: &BTreeMap<String, String>) -> Result<(), String> {
    let answer = run(Command::new(binary().unwrap()).arg("check-config").env_clear().envs(environment));
    let idle = ["is not a setting", "has no effect", "is ignored", "given twice"];
    if !answer.ok || idle.iter().any(|words| answer.stderr.contains(words)) {
        return Err(answer.stderr);
    }
    for name in environment.keys() {
        let origin = format!("# environment variable {name}");
        if !answer.stdout.lines().any(|line| line.starts_with(&format!("{name}=")) && line.ends_with(&origin)) {
            return Err(format!("{name} is not in effect:\n{}", answer.stdout));
        }
    }
    Ok(())
}

/// The variables of an env file as kustomize reads it.
pub(super) fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The stages of a Dockerfile by name, each with its lines.
fn stages(dockerfile: &str) -> Vec<(String, String)> {
    let mut stages: Vec<(String, String)> = Vec::new();
    for line in dockerfile.lines() {
        if line.starts_with("FROM ") {
            stages.push((line.rsplit(' ').next().unwrap_or_default().to_owned(), String::new()));
        }
        if let Some((_, lines)) = stages.last_mut() {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    stages
}

/// What is wrong with the Dockerfile beside what a linter sees.
pub(super) fn dockerfile_problems(dockerfile: &str) -> Vec<String> {
    let stages = stages(dockerfile);
    let stage = |name: &str| stages.iter().find(|(each, _)| each == name).map_or("", |(_, lines)| lines.as_str());
    let mut problems = Vec::new();
    let mut wants = |stage_name: &str, wanted: String| {
        if !stage(stage_name).lines().any(|line| line.trim().trim_end_matches(" \\") == wanted) {
            problems.push(format!("stage {stage_name}: no line `{wanted}`"));
        }
    };
    wants("build", format!("FROM rust:{}-slim-bookworm AS build", env!("CARGO_PKG_RUST_VERSION")));
    wants("runtime", "USER 65532:65532".to_owned());
    wants("runtime", format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION")));
    for name in ["writer", "querier", "compactor"] {
        let settings = variables(&read(&format!("deploy/kustomize/base/settings/{name}.env")));
        wants(name, format!("FROM runtime AS {name}"));
        wants(name, format!("ENV HTTP_PORT={}", settings["HTTP_PORT"]));
        wants(name, format!("EXPOSE {}", settings["HTTP_PORT"]));
        wants(name, format!("ENTRYPOINT [\"/usr/local/bin/gigapi-{name}\"]"));
    }
    wants("gigapi", "ENTRYPOINT [\"/usr/local/bin/gigapi\"]".to_owned());
    for (name, lines) in &stages {
        if lines.contains("ENTRYPOINT") && !lines.contains("\nHEALTHCHECK ") {
            problems.push(format!("stage {name}: has no health check"));
        }
    }
    if stages.last().is_none_or(|(name, _)| name != "gigapi") {
        problems.push("the last stage is not the default image".to_owned());
    }
    problems
}

/// The paths under which the image holds binaries.
pub(super) fn binaries(dockerfile: &str) -> BTreeSet<String> {
    let build = dockerfile.split_whitespace().filter_map(|word| word.strip_prefix("/target/dist/"));
    build.map(|name| format!("/usr/local/bin/{name}")).collect()
}

/// Seconds of a compose duration such as `75s` or `2m`.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        _ => return None,
    };
    number.parse::<u64>().ok().map(|number| number * factor)
}

/// `${NAME:?…}` replaced from the example; names that are not there are problems.
fn interpolated(compose: &str, example: &BTreeMap<String, String>, problems: &mut Vec<String>) -> String {
    let mut text = String::new();
    let mut parts = compose.split("${");
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (reference, rest) = part.split_once('}').unwrap_or((part, ""));
        let name = reference.split(':').next().unwrap_or_default();
        match example.get(name) {
            Some(value) => text.push_str(value),
            None => problems.push(format!("{name} is not in example.env")),
        }
        text.push_str(rest);
    }
    text
}

/// What is wrong with the compose file beside what its schema sees.
pub(super) fn compose_problems(compose: &str, example: &str) -> Vec<String> {
    let (mut problems, example) = (Vec::new(), variables(example));
    for name in example.keys().filter(|name| !compose.contains(&format!("${{{name}:?"))) {
        problems.push(format!("example.env: {name} is used nowhere, or nowhere asked for"));
    }
    for value in example.values().filter(|value| compose.contains(value.as_str())) {
        problems.push(format!("compose.yaml holds the secret {value}"));
    }
    let document = yaml(&interpolated(compose, &example, &mut problems)).swap_remove(0);
    let mut logs = BTreeSet::new();
    for (name, service) in at(&document, "/services").as_object().unwrap() {
        let image = text(service, "/image");
        let tag = image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        if tag == "latest" || (image.starts_with("gigapi") && tag != env!("CARGO_PKG_VERSION")) {
            problems.push(format!("{name}: the image {image}"));
        }
        let open = |port: &&Value| !port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:"));
        if items(service, "/ports").iter().find(open).is_some() {
            problems.push(format!("{name}: is open beyond this machine"));
        }
        if at(service, "/cap_drop/0") != "ALL" {
            problems.push(format!("{name}: keeps capabilities"));
        }
        if name == "redis" && !keeps_what_it_acknowledges(items(service, "/command")) {
            problems.push("redis: may lose what it acknowledged".to_owned());
        }
        if !items(service, "/env_file").is_empty() {
            problems.extend(our_service(service).into_iter().map(|problem| format!("{name}: {problem}")));
        }
        if name.starts_with("writer") && !logs.insert(text(service, "/volumes/0").to_owned()) {
            problems.push(format!("{name}: shares its log with another writer"));
        }
    }
    problems
}

fn our_service(service: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut environment = BTreeMap::new();
    for file in items(service, "/env_file") {
        let path = root().join("deploy/compose").join(file.as_str().unwrap_or_default());
        match std::fs::read_to_string(&path) {
            Ok(text) => environment.extend(variables(&text)),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    for (name, value) in at(service, "/environment").as_object().into_iter().flatten() {
        environment.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    if let Err(said) = is_accepted(&environment) {
        problems.push(said);
    }
    let drain = environment.get("GIGAPI_DRAIN_TIMEOUT_S").and_then(|text| quantity(text)).unwrap_or(u64::MAX - 10);
    if seconds(text(service, "/stop_grace_period")).is_none_or(|grace| grace < drain + 10) {
        problems.push("is killed before it has drained".to_owned());
    }
    if at(service, "/read_only") != true {
        problems.push("may write to its image".to_owned());
    }
    let port = environment.get("HTTP_PORT").map_or("", String::as_str);
    if !text(service, "/ports/0").ends_with(&format!(":{port}")) {
        problems.push(format!("does not publish port {port}"));
    }
    problems
}
