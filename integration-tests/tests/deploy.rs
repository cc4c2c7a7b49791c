//! The files of `deploy/`: linted, and compared with each other and with the program.
//!
//! Nothing is built or started in a container here. What the files promise is checked on the rendered manifests,
//! by functions that list problems; a table of broken promises proves that each of them can find one.

use serde_json::Value;

mod breakages;
mod files;
mod pods;
mod shape;
mod tools;
mod wiring;

use breakages::{BREAKAGES, broken};
use shape::{Shape, Workload, at, items, text};
use tools::{file, kustomize, overlay, read, root, run, tool};

const CHECKS: [fn(&Shape) -> Vec<String>; 9] = [
    pods::are_restricted,
    pods::are_bounded,
    pods::have_time,
    pods::fit_their_settings,
    wiring::labels_are_complete,
    wiring::selectors_find_pods,
    wiring::numbers_agree,
    wiring::doors_are_closed,
    wiring::secrets_are_references,
];

/// The oldest and the newest Kubernetes that the manifests are meant for.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

const YAML_RULES: &str = "{extends: default, rules: {document-start: disable, line-length: {max: 140}, \
                          comments: {min-spaces-from-content: 1}}}";

fn problems(shape: &Shape) -> Vec<String> {
    CHECKS.iter().flat_map(|check| check(shape)).collect()
}

/// The manifests of an overlay of the tree.
fn shipped(name: &str) -> String {
    kustomize(&root().join("deploy/kustomize/overlays").join(name))
}

/// The manifests of the overlay that the documents show.
fn documented() -> String {
    let documents = read("deploy/README.md");
    let from = documents.find("# deploy/kustomize/overlays/mine/kustomization.yaml").expect("an example");
    let (example, _) = documents[from..].split_once("```").expect("a closed block");
    overlay(example)
}

/// The manifests of `distributed` with each component.
fn with_components() -> Vec<(String, String)> {
    let components = std::fs::read_dir(root().join("deploy/kustomize/components")).unwrap();
    let names = components.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let text = |name: &str| format!("resources:\n  - ../distributed\ncomponents:\n  - ../../components/{name}\n");
    let added = names.filter(|name| name != "redis");
    added.map(|name| (format!("distributed with {name}"), overlay(&text(&name)))).collect()
}

/// Every way to deploy.
fn all_manifests() -> Vec<(String, String)> {
    let mut all = with_components();
    assert!(all.len() >= 3, "the components were not found");
    all.extend(["single", "distributed"].map(|name| (name.to_owned(), shipped(name))));
    all.push(("the documented overlay".to_owned(), documented()));
    all
}

#[test]
fn manifests_keep_their_promises() {
    for (name, manifests) in all_manifests() {
        let shape = Shape::read(&manifests);
        assert!(shape.workloads().iter().any(Workload::is_ours), "{name}: no pods");
        assert_eq!(problems(&shape), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_broken_promise_is_noticed() {
    let shape = Shape::read(&documented());
    for (object, place, value, complaint) in BREAKAGES {
        let found = problems(&broken(&shape, object, place, value));
        assert!(found.iter().any(|problem| problem.contains(complaint)), "{object} {place}: {found:?}");
    }
}

#[test]
fn pods_are_started_with_settings_that_the_program_takes() {
    let image = files::binaries(&read("deploy/Dockerfile"));
    for (name, manifests) in all_manifests() {
        let shape = Shape::read(&manifests);
        for workload in shape.workloads() {
            let container = at(workload.template, "/spec/containers/0");
            if !workload.is_ours() {
                assert!(files::keeps_what_it_acknowledges(items(container, "/args")), "{name}: {}", workload.id());
                continue;
            }
            let environment = workload.environment(&shape).unwrap();
            files::is_accepted(&environment).unwrap_or_else(|said| panic!("{name}: {}: {said}", workload.id()));
            let program = text(container, "/command/0");
            assert!(image.contains(program), "{name}: {}: the image has no {program}", workload.id());
        }
    }
    let mut settings = files::variables(&read("deploy/kustomize/base/settings/single.env"));
    files::is_accepted(&settings).unwrap();
    for (variable, value) in [("GIGAPI_SAVE_TIMEOUT", "1"), ("GIGAPI_LAYERS_0_TYPE", "ftp")] {
        settings.insert(variable.to_owned(), value.to_owned());
        assert!(files::is_accepted(&settings).is_err(), "{variable} was not noticed");
        settings.remove(variable);
    }
    let forgetful: Value = serde_json::json!(["--appendonly", "yes", "--appendfsync", "everysec"]);
    assert!(!files::keeps_what_it_acknowledges(forgetful.as_array().unwrap()));
}

#[test]
fn settings_files_mean_the_same_to_everybody() {
    let settings = std::fs::read_dir(root().join("deploy/kustomize/base/settings")).unwrap();
    for path in settings.map(|entry| entry.unwrap().path()) {
        let variables = files::variables(&std::fs::read_to_string(&path).unwrap());
        assert!(!variables.is_empty(), "{}", path.display());
        for (name, value) in variables {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:?=&".contains(c);
            assert!(name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert!(!value.is_empty() && value.chars().all(is_plain), "{}: {name}={value}", path.display());
        }
    }
}

/// Validates; says what is wrong. Kinds of the Prometheus operator have no schema there.
fn against_schemas(manifests: &str) -> Result<(), String> {
    let (_folder, path) = file("manifests.yaml", manifests);
    for version in VERSIONS {
        let answer = run(tool("kubernetes-validate").args(["--strict", "-k", version]).arg(&path));
        let said = answer.text();
        let is_unknown = |line: &str| line.contains("find schema") && !line.contains("ServiceMonitor");
        if !answer.ok || said.lines().any(is_unknown) {
            return Err(said);
        }
    }
    Ok(())
}

#[test]
fn manifests_fit_the_schemas_of_kubernetes() {
    for (name, manifests) in all_manifests() {
        against_schemas(&manifests).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
    for name in ["namespace.yaml", "secrets.example.yaml"] {
        against_schemas(&read(&format!("deploy/kustomize/{name}"))).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
    let right = shipped("single");
    for (from, to) in [
        ("terminationGracePeriodSeconds: 120", "terminationGracePeriod: 120"),
        ("replicas: 1", "replicas: one"),
        ("kind: StatefulSet", "kind: StatfulSet"),
    ] {
        let wrong = right.replace(from, to);
        assert!(wrong != right && against_schemas(&wrong).is_err(), "{to} was not noticed");
    }
}

#[test]
fn the_dockerfile_is_clean() {
    let lint = |text: &str| {
        let (_folder, path) = file("Dockerfile", text);
        run(tool("hadolint").args(["--no-color", "--failure-threshold", "style"]).arg(path))
    };
    let dockerfile = read("deploy/Dockerfile");
    let answer = lint(&dockerfile);
    assert!(answer.ok, "{}", answer.text());
    assert_eq!(files::dockerfile_problems(&dockerfile), Vec::<String>::new());
    assert!(!lint(&dockerfile.replace("slim-bookworm", "latest").replace("rust:1.95-", "rust:")).ok);
    assert!(!lint(&dockerfile.replace("WORKDIR /source", "WORKDIR source")).ok);
    for (from, to) in [
        ("USER 65532:65532", "USER root"),
        ("rust:1.", "rust:0."),
        ("ENV HTTP_PORT=7972", "ENV HTTP_PORT=7971"),
        ("\nHEALTHCHECK ", "\n# "),
        ("FROM runtime AS gigapi", "FROM runtime AS other"),
        ("image.version=\"", "image.version=\"9"),
    ] {
        let wrong = dockerfile.replace(from, to);
        assert!(wrong != dockerfile && !files::dockerfile_problems(&wrong).is_empty(), "{to} was not noticed");
    }
}

#[test]
fn the_compose_file_is_sound() {
    let lint = |text: &str| {
        let (_folder, path) = file("compose.yaml", text);
        run(tool("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).arg(path))
    };
    let (compose, example) = (read("deploy/compose/compose.yaml"), read("deploy/compose/example.env"));
    let answer = lint(&compose);
    assert!(answer.ok, "{}", answer.text());
    assert_eq!(files::compose_problems(&compose, &example), Vec::<String>::new());
    assert!(!lint(&compose.replace("depends_on:", "depend_on:")).ok);
    for (from, to) in [
        ("redis:7.2-bookworm", "redis:latest"),
        ("\"127.0.0.1:7971:7971\"", "\"7971:7971\""),
        ("      - always\n", "      - everysec\n"),
        ("stop_grace_period: 75s", "stop_grace_period: 60s"),
        ("writer-2:/data", "writer-1:/data"),
        ("settings/querier.env", "settings/missing.env"),
        ("LOG_FORMAT: text", "LOG_FORMAT: prose"),
        ("${S3_ACCESS_KEY:?", "${S3_KEY:?"),
        ("${GIGAPI_SECRET:?copy example.env to .env}", "local-development-only"),
        ("  read_only: true\n", ""),
        ("  cap_drop: [ALL]\n", ""),
        ("127.0.0.1:7973:7973", "127.0.0.1:7973:7971"),
    ] {
        let wrong = compose.replace(from, to);
        assert!(wrong != compose && !files::compose_problems(&wrong, &example).is_empty(), "{to:?} was not noticed");
    }
}

#[test]
fn all_yaml_is_tidy() {
    let answer = run(tool("yamllint").args(["--strict", "-d", YAML_RULES]).arg(root().join("deploy")));
    assert!(answer.ok, "{}", answer.text());
    let (_folder, twice) = file("twice.yaml", "a: 1\na: 2\n");
    assert!(!run(tool("yamllint").args(["--strict", "-d", YAML_RULES]).arg(twice)).ok);
}
