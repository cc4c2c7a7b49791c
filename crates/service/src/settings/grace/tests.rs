use std::time::Duration;

use crate::settings::{Settings, Sources, load};

fn sources(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn grace_s(pairs: &[(&str, &str)]) -> u64 {
    load(&sources(pairs)).unwrap().settings.metadata.delete_grace.as_secs()
}

#[test]
fn it_follows_the_limit_of_queries_unless_it_is_given() {
    assert_eq!(Settings::defaults().metadata.delete_grace, Duration::from_secs(420));
    assert_eq!(grace_s(&[("GIGAPI_QUERY_TIMEOUT_S", "10")]), 420);
    assert_eq!(grace_s(&[("GIGAPI_QUERY_TIMEOUT_S", "600"), ("GIGAPI_SNAPSHOT_AGE_S", "5")]), 665);
    assert_eq!(grace_s(&[("GIGAPI_QUERY_TIMEOUT_S", "0")]), 86_400);
    assert_eq!(grace_s(&[("GIGAPI_DELETE_GRACE_S", "20m")]), 1_200);
}

#[test]
fn less_than_a_query_may_take_is_refused_with_both_names() {
    let error = load(&sources(&[("GIGAPI_DELETE_GRACE_S", "359")])).unwrap_err().to_string();
    assert!(error.contains("GIGAPI_DELETE_GRACE_S") && error.contains("GIGAPI_QUERY_TIMEOUT_S"), "{error}");
    assert!(error.contains("360 seconds"), "{error}");
    assert_eq!(grace_s(&[("GIGAPI_DELETE_GRACE_S", "360")]), 360);
    assert_eq!(grace_s(&[("GIGAPI_DELETE_GRACE_S", "1"), ("GIGAPI_METADATA_UNSAFE", "true")]), 1);
}

#[test]
fn queries_without_a_limit_are_warned_about() {
    let loaded = load(&sources(&[("GIGAPI_QUERY_TIMEOUT_S", "0"), ("GIGAPI_DELETE_GRACE_S", "1h")])).unwrap();
    assert!(loaded.warnings.iter().any(|warning| warning.contains("GIGAPI_DELETE_GRACE_S")), "{:?}", loaded.warnings);
}
