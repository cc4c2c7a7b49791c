//! Layers in S3, and which layers hold files where processes share a catalog.

use gigapi_storage::{HiddenText, LayerKind, S3Credentials, S3Settings};

use super::*;

/// Variables of layers, written as `0 NAME hot`.
fn layers(parts: &[&str]) -> Vec<(String, String)> {
    let variable = |part: &&str| {
        let words: Vec<&str> = part.splitn(3, ' ').collect();
        (format!("GIGAPI_LAYERS_{}_{}", words[0], words[1]), words[2].to_owned())
    };
    parts.iter().map(variable).collect()
}

fn given(parts: &[&str], others: &[(&str, &str)]) -> Sources {
    let mut sources = environment(others);
    sources.environment.extend(layers(parts));
    sources
}

/// The seed's example of three layers.
const SEED: &[&str] = &[
    "0 NAME cache",
    "0 TYPE fs",
    "0 URL file:///data",
    "0 GLOBAL false",
    "0 TTL 30m",
    "1 NAME s3",
    "1 TYPE s3",
    "1 URL s3://s3.server.hostname/bucket/prefix/to/layer",
    "1 AUTH_KEY s3_api_key",
    "1 AUTH_SECRET s3_api_secret",
    "1 GLOBAL true",
    "1 TTL 4w",
    "2 NAME r2",
    "2 TYPE s3",
    "2 URL s3://r2.server.hostname/bucket/prefix/to/layer",
    "2 AUTH_KEY cloudflare_key",
    "2 AUTH_SECRET clourflare_secret",
    "2 GLOBAL true",
    "2 TTL 0",
];

const BUCKET: &[&str] = &["0 NAME s3", "0 TYPE s3", "0 URL s3://host:9000/b/p?secure=false&url-style=path"];

fn layer_names(settings: &Settings) -> Vec<&str> {
    settings.layers.iter().map(|layer| layer.name.as_str()).collect()
}

fn s3(settings: &Settings, layer: usize) -> S3Settings {
    match &settings.layers[layer].kind {
        LayerKind::S3(s3) => s3.clone(),
        LayerKind::Fs => panic!("layer {layer} is a folder"),
    }
}

#[test]
fn the_seeds_example_is_three_layers_alone_and_two_with_a_cache_where_processes_share() {
    let alone = load(&given(SEED, &[("GIGAPI_ROOT", "/srv")])).unwrap();
    assert_eq!(layer_names(&alone.settings), ["cache", "s3", "r2"]);
    assert_eq!(alone.settings.cache.folder, PathBuf::from("/srv/_gigapi/cache"));
    assert_eq!(alone.warnings, [""; 0]);

    let shared = load(&given(SEED, &REDIS)).unwrap();
    assert_eq!(layer_names(&shared.settings), ["s3", "r2"]);
    assert_eq!(shared.settings.layers[0].ttl, Some(Duration::from_secs(4 * 7 * 86_400)));
    assert_eq!(shared.settings.cache.folder, PathBuf::from("/data/_gigapi/cache"));
    let [warning] = shared.warnings.as_slice() else { panic!("{:?}", shared.warnings) };
    assert!(warning.contains("layer cache is not global") && warning.contains("no use for its ttl"), "{warning}");
    let keys =
        |key: &str, secret: &str| S3Credentials::Keys { key: HiddenText::new(key), secret: HiddenText::new(secret) };
    assert_eq!(s3(&shared.settings, 0).credentials, keys("s3_api_key", "s3_api_secret"));
    assert_eq!(s3(&shared.settings, 1).credentials, keys("cloudflare_key", "clourflare_secret"));
}

#[test]
fn where_processes_share_one_folder_before_global_layers_is_the_cache_and_no_other_is_local() {
    let refused = |parts: &[&str], setting: &str, reason: &str| {
        let found = wrong(&given(parts, &REDIS));
        assert_eq!(names(&found), [setting], "{found:?}");
        assert!(found[0].problem.contains(reason), "{}", found[0]);
    };
    let folder = ["0 NAME hot", "0 URL /hot"];
    refused(&folder, "GIGAPI_LAYERS_0_GLOBAL", "leaves no layer that all processes reach");
    refused(BUCKET, "GIGAPI_LAYERS_0_GLOBAL", "leaves no layer that all processes reach");
    let after = [&folder[..], &["0 GLOBAL true", "1 NAME warm", "1 URL /warm"]].concat();
    refused(&after, "GIGAPI_LAYERS_1_GLOBAL", "local after one that is global");
    let two = [&folder[..], &["1 NAME warm", "1 URL /warm", "2 NAME all", "2 URL /all", "2 GLOBAL true"]].concat();
    refused(&two, "GIGAPI_LAYERS_1_GLOBAL", "makes a second layer local");
    let bucket = [BUCKET, &["1 NAME all", "1 URL /all", "1 GLOBAL true"]].concat();
    refused(&bucket, "GIGAPI_LAYERS_0_GLOBAL", "makes a bucket local");

    let without_ttl = [&folder[..], &["1 NAME all", "1 URL /all", "1 GLOBAL true"]].concat();
    let loaded = load(&given(&without_ttl, &REDIS)).unwrap();
    assert!(!loaded.warnings[0].contains("ttl"), "{:?}", loaded.warnings);
    let alone = load(&environment(&[&REDIS[..], &[("GIGAPI_ROOT", "/r")]].concat())).unwrap();
    assert_eq!(layer_names(&alone.settings), ["default"]);
    assert_eq!((alone.settings.cache.folder, alone.warnings.len()), (PathBuf::from("/r/_gigapi/cache"), 0));
}

#[test]
fn buckets_are_refused_by_name_for_what_their_url_holds() {
    for (url, reason) in [
        ("s3://host", "names no bucket"),
        ("s3://key:canary@host/b", "give them as AUTH_KEY and AUTH_SECRET"),
        ("s3://canary:ab/canary@host/b", "give them as AUTH_KEY and AUTH_SECRET"),
        ("s3://key:12?canary@host/b", "an unknown parameter"),
        ("s3://host/b?canary", "an unknown parameter"),
        ("s3://key:canary/b", "is not a URL"),
        ("s3://host/b?secret=canary", "unknown parameter `secret`"),
        ("/data", "is not a URL"),
    ] {
        let url = format!("0 URL {url}");
        let found = wrong(&given(&["0 NAME s3", "0 TYPE s3", &url], &[]));
        assert_eq!(names(&found), ["GIGAPI_LAYERS_0_URL"], "{found:?}");
        assert!(found[0].problem.contains(reason), "{}", found[0]);
        assert!(!format!("{found:?} {}", found[0]).contains("canary"), "{}", found[0]);
    }
    // As long as nobody says that it is a bucket.
    let found = wrong(&given(&["0 NAME s3", "0 URL s3://canary:ab/canary@host/b"], &[]));
    assert!(!format!("{found:?} {}", found[0]).contains("canary"), "{}", found[0]);
    assert_eq!(names(&wrong(&given(&["0 NAME s3", "0 TYPE s3"], &[]))), ["GIGAPI_LAYERS_0_URL"]);
    let twice = [BUCKET, &["1 NAME other", "1 TYPE s3", "1 URL s3://HOST:9000/b/p/?secure=false"]].concat();
    assert_eq!(names(&wrong(&given(&twice, &[]))), ["GIGAPI_LAYERS_1_URL"]);
    let below = [BUCKET, &["1 NAME other", "1 TYPE s3", "1 URL s3://host:9000/b/p2?secure=false"]].concat();
    assert!(load(&given(&below, &[])).is_ok());
}

#[test]
fn a_layers_name_is_what_the_table_says() {
    let named = |name: &str| given(&[&format!("0 NAME {name}"), "0 URL /a"], &[]);
    assert!(load(&named(&"a-Z_9".repeat(12))).is_ok());
    for name in ["a".repeat(65), "a.b".to_owned(), "é".to_owned()] {
        let found = wrong(&named(&name));
        assert_eq!(found[0].allowed, "1 to 64 of the characters a-z A-Z 0-9 _ -");
        assert!(found[0].problem.contains(&found[0].allowed), "{}", found[0]);
    }
}

#[test]
fn a_buckets_keys_are_its_own_or_the_environments_and_never_half() {
    let with = |more: &[&str], others: &[(&str, &str)]| given(&[BUCKET, more].concat(), others);
    for (half, missing) in
        [("0 AUTH_KEY canary", "GIGAPI_LAYERS_0_AUTH_SECRET"), ("0 AUTH_SECRET canary", "GIGAPI_LAYERS_0_AUTH_KEY")]
    {
        let found = wrong(&with(&[half], &[("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]));
        assert_eq!(names(&found), [missing]);
        assert!(!format!("{found:?}").contains("canary"));
    }
    let found = wrong(&with(&[], &[("AWS_ACCESS_KEY_ID", "canary")]));
    assert_eq!(names(&found), ["AWS_SECRET_ACCESS_KEY"]);
    assert!(!format!("{found:?}").contains("canary"));
    let own = ["0 AUTH_KEY k", "0 AUTH_SECRET s"];
    assert!(load(&with(&own, &[("AWS_ACCESS_KEY_ID", "half of what is not asked for")])).is_ok());

    let variables =
        [("AWS_ACCESS_KEY_ID", "canary-key"), ("AWS_SECRET_ACCESS_KEY", "canary-secret"), ("AWS_REGION", "eu-west-1")];
    let loaded = load(&with(&[], &variables)).unwrap();
    let s3 = s3(&loaded.settings, 0);
    assert_eq!(s3.region.as_deref(), Some("eu-west-1"));
    assert_eq!(s3.credentials, S3Credentials::Environment(gigapi_storage::AwsEnvironment::of(variables)));
    assert!(!format!("{loaded:?} {} {:?}", loaded.effective, gather(&with(&[], &variables))).contains("canary"));
    let fallback = load(&with(&[], &[("AWS_DEFAULT_REGION", "us-west-2")])).unwrap();
    assert_eq!(self::s3(&fallback.settings, 0).region.as_deref(), Some("us-west-2"));
}

#[test]
fn one_set_of_limits_is_for_all_buckets() {
    let defaults = s3(&load(&given(BUCKET, &[])).unwrap().settings, 0).timing;
    let seconds = Duration::from_secs;
    let found = (defaults.connect_timeout, defaults.request_timeout, defaults.retry_timeout, defaults.retries_max);
    assert_eq!(found, (seconds(5), seconds(30), seconds(60), 10));
    let changed = [
        ("GIGAPI_S3_CONNECT_TIMEOUT_S", "1"),
        ("GIGAPI_S3_REQUEST_TIMEOUT_S", "2.5"),
        ("GIGAPI_S3_RETRY_TIMEOUT_S", "3m"),
        ("GIGAPI_S3_RETRIES_MAX", "0"),
    ];
    let changed = s3(&load(&given(BUCKET, &changed)).unwrap().settings, 0).timing;
    let found = (changed.connect_timeout, changed.request_timeout, changed.retry_timeout, changed.retries_max);
    assert_eq!(found, (seconds(1), Duration::from_millis(2_500), seconds(180), 0));
    let wrongs = [("GIGAPI_S3_REQUEST_TIMEOUT_S", "0"), ("GIGAPI_S3_RETRIES_MAX", "-1")];
    assert_eq!(wrong(&environment(&wrongs)).len(), 2);
}

#[test]
fn the_caches_size_is_a_size_or_none_or_the_volumes() {
    let size = |text: &str| load(&environment(&[("GIGAPI_CACHE_BYTES_MAX", text)])).map(|l| l.settings.cache.bytes_max);
    assert_eq!(size("auto").unwrap(), None);
    assert_eq!(size("0").unwrap(), Some(0));
    assert_eq!(size("64MiB").unwrap(), Some(64 << 20));
    assert!(size("63MiB").unwrap_err().to_string().contains("is less than 64MiB"));
    assert!(size("lots").is_err());
    assert_eq!(Settings::defaults().cache.folder, PathBuf::from("./data/_gigapi/cache"));
}
