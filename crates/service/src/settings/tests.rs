use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::source::gather;
use super::*;
use crate::Secret;

fn sources(flags: &[(&str, &str)], environment: &[(&str, &str)], file: Option<&str>) -> Sources {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Sources {
        flags: owned(flags),
        environment: owned(environment),
        file: file.map(|text| ConfigFile { path: PathBuf::from("gigapi.toml"), text: text.to_owned() }),
        defaults: Vec::new(),
    }
}

fn environment(pairs: &[(&str, &str)]) -> Sources {
    sources(&[], pairs, None)
}

fn wrong(sources: &Sources) -> Vec<WrongSetting> {
    load(sources).unwrap_err().wrong().to_vec()
}

#[test]
fn nothing_set_yields_the_documented_defaults() {
    let settings = Settings::defaults();
    assert_eq!(settings.root, PathBuf::from("./data"));
    assert_eq!(settings.mode, Mode::AllInOne);
    assert_eq!((settings.http.port, settings.http.port_given), (7971, false));
    assert_eq!(settings.writer.save_timeout, Duration::from_secs(1));
    assert_eq!(settings.writer.durability, Durability::Wal);
    assert_eq!(settings.writer.buffer_bytes_max, 512 << 20);
    assert_eq!(settings.limits.body_bytes_max, 25 << 20);
    assert_eq!(settings.metadata.folder, PathBuf::from("./data/_gigapi/catalog"));
    assert_eq!(settings.query.memory_bytes_max, None);
    let [layer] = settings.layers.as_slice() else { panic!("{:?}", settings.layers) };
    assert_eq!((layer.name.as_str(), layer.url.as_str(), layer.global), ("default", "./data", true));
}

#[test]
fn every_default_parses_and_every_setting_of_the_table_is_read() {
    let gathered = gather(&Sources::default());
    let mut reader = build::Reader::new(&gathered, &[]);
    build::build(&mut reader);
    assert_eq!(reader.wrong, []);
    let table: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(reader.read, table);
    assert_eq!(table.len(), SETTINGS.len(), "a name is in the table twice");
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "http_port = 1\nquery_threads = 1\n[query]\nconcurrency = 1\n";
    let variables = [("HTTP_PORT", "2"), ("GIGAPI_QUERY_THREADS", "2")];
    let loaded = load(&sources(&[("HTTP_PORT", "3")], &variables, Some(file))).unwrap();
    assert_eq!((loaded.settings.http.port, loaded.settings.http.port_given), (3, true));
    assert_eq!(loaded.settings.query.threads, Some(2));
    assert_eq!(loaded.settings.query.concurrency_max, Some(1));
    assert_eq!(loaded.settings.flight.port, 8082);
    let origin = |name: &str| loaded.effective.iter().find(|e| e.name == name).unwrap().origin.to_string();
    assert_eq!(origin("HTTP_PORT"), "flag for HTTP_PORT");
    assert_eq!(origin("GIGAPI_QUERY_THREADS"), "environment variable GIGAPI_QUERY_THREADS");
    assert_eq!(origin("GIGAPI_QUERY_CONCURRENCY"), "gigapi.toml:4, key query.concurrency");
    assert_eq!(origin("FLIGHTSQL_PORT"), "default");
}

#[test]
fn a_programs_own_default_yields_to_everything_typed() {
    let mut own = environment(&[]);
    own.defaults = vec![("HTTP_PORT", "7972")];
    let settings = load(&own).unwrap().settings;
    assert_eq!((settings.http.port, settings.http.port_given), (7972, false));
    own.environment = vec![("PORT".to_owned(), "9000".to_owned())];
    assert_eq!(load(&own).unwrap().settings.http.port, 9000);
}

#[test]
fn a_settings_name_wins_over_its_alias_and_the_loser_is_reported() {
    for pairs in [[("PORT", "1"), ("HTTP_PORT", "2")], [("HTTP_PORT", "2"), ("PORT", "1")]] {
        let loaded = load(&environment(&pairs)).unwrap();
        assert_eq!(loaded.settings.http.port, 2);
        assert!(loaded.warnings[0].contains("variable PORT is ignored"), "{:?}", loaded.warnings);
    }
    // An alias of a stronger source wins over the name in a weaker one.
    let loaded = load(&sources(&[("DATA_DIR", "/a")], &[("GIGAPI_ROOT", "/b")], None)).unwrap();
    assert_eq!(loaded.settings.root, PathBuf::from("/a"));
}

#[test]
fn empty_values_count_as_not_given() {
    let loaded = load(&environment(&[("GIGAPI_ROOT", ""), ("HTTP_PORT", ""), ("GIGAPI_LAYERS_0_NAME", "")])).unwrap();
    assert_eq!(loaded.settings.root, PathBuf::from("./data"));
    assert!(!loaded.settings.http.port_given);
    assert_eq!(loaded.settings.layers.len(), 1);
}

#[test]
fn every_wrong_value_is_named_with_its_origin_and_what_is_allowed() {
    let variables = [
        ("GIGAPI_SAVE_TIMEOUT_S", "0"),
        ("GIGAPI_MODE", "all"),
        ("GIGAPI_DURABILITY", "fsync"),
        ("GIGAPI_METADATA_TYPE", "etcd"),
        ("GIGAPI_ALLOW_SAVE_TO_HD", "false"),
        ("LOGLEVEL", "loud"),
        ("GIGAPI_QUERY_MEMORY", "lots"),
        ("GIGAPI_LAYERS_0_TTL", "4 weeks"),
    ];
    let error =
        load(&sources(&[("HTTP_PORT", "70000")], &variables, Some("ui = true\n\ncolumns_max = 0"))).unwrap_err();
    let named: BTreeSet<&str> = error.wrong().iter().map(|wrong| wrong.setting.as_str()).collect();
    let mut expected: BTreeSet<&str> = variables.iter().map(|(name, _)| *name).collect();
    expected.extend(["HTTP_PORT", "GIGAPI_COLUMNS_MAX", "GIGAPI_LAYERS_0_NAME", "GIGAPI_LAYERS_0_URL"]);
    assert_eq!(named, expected);
    let text = error.to_string();
    for part in [
        "12 settings are wrong",
        "HTTP_PORT (flag for HTTP_PORT): the value `70000` is not a port; allowed: a port, 0 to 65535",
        "GIGAPI_COLUMNS_MAX (gigapi.toml:3, key columns_max): the value `0` is zero",
        "the value `etcd` is not a kind of catalog; allowed: embedded (also called json) or redis",
        "the value `fsync` is not one of memory, wal, commit; allowed: memory, wal or commit",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn unknown_names_are_wrong_in_files_and_flags_and_warned_about_in_the_environment() {
    let found = wrong(&sources(&[("HTTP_PROT", "1")], &[], Some("[query]\nmemry = 1")));
    assert!(found[0].to_string().contains("gigapi.toml:2, key query.memry"), "{}", found[0]);
    assert!(found[0].allowed.contains("did you mean GIGAPI_QUERY_MEMORY?"), "{}", found[0]);
    assert!(found[1].allowed.contains("did you mean HTTP_PORT?"), "{}", found[1]);

    let loaded =
        load(&environment(&[("GIGAPI_SECERT", "canary"), ("UNRELATED", "1"), ("GIGAPI_XYZZY_FOO", "1")])).unwrap();
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].ends_with("did you mean GIGAPI_SECRET?"), "{}", loaded.warnings[0]);
    assert!(!loaded.warnings[1].contains("did you mean"), "{}", loaded.warnings[1]);
    assert!(!loaded.warnings[0].contains("canary"));
}

#[test]
fn variables_that_kubernetes_makes_for_services_are_left_alone() {
    let loaded = load(&environment(&[
        ("GIGAPI_SERVICE_HOST", "10.0.0.1"),
        ("GIGAPI_PORT", "tcp://10.0.0.1:7971"),
        ("GIGAPI_PORT_7971_TCP_ADDR", "10.0.0.1"),
        ("GIGAPI_WRITER_SERVICE_PORT_HTTP", "7971"),
    ]))
    .unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let loaded = load(&environment(&[("FLIGHTSQL_PORT", "tcp://10.0.0.1:8082")])).unwrap();
    assert_eq!((loaded.settings.flight.port, loaded.warnings.len()), (8082, 1));
}

#[test]
fn a_file_takes_tables_full_names_and_lists_of_layers() {
    let file = r#"
GIGAPI_SAVE_TIMEOUT_S = 0.5
[http]
host = "127.0.0.1"
port = 0
[[layers]]
name = "hot"
url = "/fast"
ttl = "12h"
[[layers]]
name = "cold"
url = "file:///slow%20disk"
global = true
"#;
    let settings = load(&sources(&[], &[], Some(file))).unwrap().settings;
    assert_eq!(settings.writer.save_timeout, Duration::from_millis(500));
    assert_eq!((settings.http.host.as_str(), settings.http.port), ("127.0.0.1", 0));
    let layers: Vec<_> = settings.layers.iter().map(|l| (l.name.as_str(), l.url.as_str(), l.global, l.ttl)).collect();
    let half_a_day = Some(Duration::from_secs(43_200));
    assert_eq!(layers, [("hot", "/fast", false, half_a_day), ("cold", "/slow disk", true, None)]);
}

#[test]
fn a_file_that_is_not_toml_is_named_with_its_line() {
    let found = wrong(&sources(&[], &[], Some("a = 1\nsecret = canary oops\n")));
    assert!(found[0].to_string().contains("gigapi.toml:2"), "{}", found[0]);
    assert!(!found[0].to_string().contains("canary"), "{}", found[0]);
    let missing = Sources::of_process(Vec::new(), Some(std::path::Path::new("/nowhere/x.toml"))).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/x.toml"), "{missing}");
}

#[test]
fn layers_need_names_and_places_of_their_own_and_a_kind_that_exists() {
    let found = wrong(&environment(&[
        ("GIGAPI_LAYERS_0_NAME", "a"),
        ("GIGAPI_LAYERS_0_URL", "/a"),
        ("GIGAPI_LAYER_1_NAME", "a"),
        ("GIGAPI_LAYER_1_URL", "file:///a"),
        ("GIGAPI_LAYERS_2_NAME", "b"),
        ("GIGAPI_LAYERS_2_TYPE", "ftp"),
        ("GIGAPI_LAYERS_3_NAME", "c"),
        ("GIGAPI_LAYERS_3_URL", "s3://host/bucket"),
    ]));
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 4, "{text:#?}");
    assert!(text[0].starts_with("GIGAPI_LAYERS_1_NAME (environment variable GIGAPI_LAYER_1_NAME)"), "{}", text[0]);
    assert!(text[1].starts_with("GIGAPI_LAYERS_1_URL"), "{}", text[1]);
    assert!(text[2].contains("`ftp` is not a kind of layer; allowed: fs or s3"), "{}", text[2]);
    assert!(text[3].contains("is the URL of a bucket: the layer's TYPE has to be s3"), "{}", text[3]);
}

#[test]
fn half_a_pair_of_credentials_or_an_empty_secret_stops_the_start() {
    let named = |pairs: &[(&str, &str)]| wrong(&environment(pairs))[0].setting.clone();
    assert_eq!(named(&[("HTTP_BASIC_AUTH_USERNAME", "u")]), "HTTP_BASIC_AUTH_PASSWORD");
    assert_eq!(named(&[("HTTP_BASIC_AUTH_PASSWORD", "p")]), "HTTP_BASIC_AUTH_USERNAME");
    assert_eq!(named(&[("GIGAPI_SECRET", "")]), "GIGAPI_SECRET");
    let both_empty = environment(&[("HTTP_BASIC_AUTH_USERNAME", ""), ("HTTP_BASIC_AUTH_PASSWORD", "")]);
    assert!(load(&both_empty).unwrap().warnings[0].contains("guard nothing"));
    let colon = environment(&[("HTTP_BASIC_AUTH_USERNAME", "a:b"), ("HTTP_BASIC_AUTH_PASSWORD", "canary")]);
    assert!(!load(&colon).unwrap_err().to_string().contains("a:b"));
}

#[test]
fn secrets_are_never_shown() {
    let canaries = [
        ("HTTP_BASIC_AUTH_USERNAME", "canary-user"),
        ("HTTP_BASIC_AUTH_PASSWORD", "canary-password"),
        ("GIGAPI_SECRET", "canary-token"),
        ("GIGAPI_METADATA_URL", "redis://u:canary-url@host:6379/0,redis://u:canary/two@host:6380/0"),
        ("GIGAPI_LAYERS_0_NAME", "a"),
        ("GIGAPI_LAYERS_0_URL", "/a"),
        ("GIGAPI_LAYERS_0_AUTH_KEY", "canary-key"),
        ("GIGAPI_LAYERS_0_AUTH_SECRET", "canary-layer"),
        ("GIGAPI_SECRET_OLD", "canary-unknown"),
    ];
    let given = environment(&canaries);
    let loaded = load(&given).unwrap();
    assert_eq!(loaded.settings.auth.token, Some(Secret::new("canary-token")));
    let shown = format!("{given:?}\n{loaded:?}\n{}\n{:?}", loaded.effective, gather(&given));
    assert!(!shown.contains("canary"), "{shown}");
    assert!(loaded.effective.to_string().contains("GIGAPI_SECRET=[redacted]"), "{}", loaded.effective);
    assert!(
        loaded
            .effective
            .to_string()
            .contains("GIGAPI_METADATA_URL=redis://[redacted]@host:6379/0,redis://[redacted]@host:6380/0"),
        "{}",
        loaded.effective
    );

    let mut flags = canaries.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    flags.push(("HTTP_PORT".to_owned(), "x".to_owned()));
    let error = load(&Sources { flags, ..Sources::default() }).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
}

#[test]
fn the_markdown_table_lists_every_setting_once() {
    let table = markdown_table();
    for setting in SETTINGS {
        assert_eq!(table.matches(&format!("| `{}`", setting.name)).count(), 1, "{}", setting.name);
    }
    assert!(table.contains("| `GIGAPI_LAYERS_<i>_TTL` | `0` |"));
    assert!(table.lines().all(|line| line.matches('|').count() == 5), "a cell holds a bar");
}

#[test]
fn a_catalog_in_redis_needs_an_address() {
    let settings = load(&environment(&REDIS)).unwrap().settings;
    assert_eq!(settings.metadata.redis.unwrap().expose(), "redis://u:p@host:6379/2");
    assert_eq!(names(&wrong(&environment(&REDIS[..1]))), ["GIGAPI_METADATA_URL"]);
}

const REDIS: [(&str, &str); 2] =
    [("GIGAPI_METADATA_TYPE", "redis"), ("GIGAPI_METADATA_URL", "redis://u:p@host:6379/2")];

fn names(wrong: &[WrongSetting]) -> Vec<&str> {
    wrong.iter().map(|wrong| wrong.setting.as_str()).collect()
}

mod absent;
mod layers;
