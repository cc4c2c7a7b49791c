use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_secret_is_shown() {
    for text in [
        "/data/hot",
        "./my data/hot,cold",
        "file:///data/hot",
        "redis://host:6379/0",
        "redis://[::1]:6379/0",
        "redis://n1:6379, n2:6379/0",
        "rediss://host/#insecure",
        "s3://s3.eu-west-1.amazonaws.com/bucket/prefix?secure=false&url-style=path&region=eu-west-1",
        "host:7971",
        "",
    ] {
        assert_eq!(scrub_url(text), text);
    }
}

#[test]
fn urls_lose_users_passwords_and_parameters() {
    for (text, shown) in [
        ("redis://u:canary@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("redis://u:p@ss@canary@host", "redis://[redacted]@host"),
        ("canary@host", "[redacted]@host"),
        ("s3://k:canary@h/b?secure=false&sig=canary", "s3://[redacted]@h/b?secure=false&sig=[redacted]"),
        ("s3://h/b?secure=false;token=canary&region=a/canary", "s3://h/b?secure=[redacted]&region=[redacted]"),
        ("s3://h/b?canary#canary", "s3://h/b?[redacted]#[redacted]"),
        ("/data?key=canary", "/data?key=[redacted]"),
    ] {
        assert_eq!(scrub_url(text), shown, "{text}");
    }
}

#[test]
fn every_node_of_a_cluster_loses_its_password() {
    for (text, shown) in [
        (
            "redis://u:canary@n1:6379,redis://u:canary@n2:6379/0",
            "redis://[redacted]@n1:6379,redis://[redacted]@n2:6379/0",
        ),
        (
            "redis://u:canary@n1, redis://n2,redis://:canary@n3",
            "redis://[redacted]@n1,redis://n2,redis://[redacted]@n3",
        ),
        // Nodes that are no URLs are not told from a password.
        ("redis://u:canary@n1:6379,u:canary@n2:6379", "redis://[redacted]@n2:6379"),
        ("redis://u:canary@n1:6379,n2:6379", "redis://[redacted]@n1:6379,n2:6379"),
        ("redis://u:can,ary,canary@n1:6379", "redis://[redacted]@n1:6379"),
        ("u:canary@n1,u:canary@n2", "[redacted]@n2"),
    ] {
        assert_eq!(scrub_url(text), shown, "{text}");
    }
}

#[test]
fn a_secret_with_any_character_is_found() {
    for (text, shown) in [
        ("s3://AKIACANARY:ab/canary@host/b", "s3://[redacted]@host/b"),
        ("redis://u:a/canary/b@host:6379/0", "redis://[redacted]@host:6379/0"),
        // An @ after the parameters began is the end of a password, or the middle of a parameter.
        ("redis://u:a?canary@host", "redis://[redacted]"),
        ("redis://u:a#canary@host", "redis://[redacted]"),
        ("s3://h/b?sig=a@canary", "s3://[redacted]"),
        ("s3://h/b?sig=a,s3://canary", "s3://h/b?sig=[redacted]"),
    ] {
        assert_eq!(scrub_url(text), shown, "{text}");
    }
}

#[test]
fn a_password_without_its_host_is_no_host() {
    for text in
        ["redis://:canary", "redis://u:canary/0", "s3://AKIA:ab/canary", "redis://u%3Acanary%40host", "u:canary"]
    {
        assert!(!scrub_url(text).contains("canary"), "{text} becomes {}", scrub_url(text));
    }
}

#[test]
fn an_at_in_a_path_costs_the_path() {
    assert_eq!(scrub_url("s3://host/b/me@home?secure=false"), "s3://[redacted]@home?secure=false");
    assert_eq!(scrub_url("/data/me@home"), "[redacted]@home");
}

proptest! {
    /// Whatever stands around it.
    #[test]
    fn no_password_is_shown(before in "[-a-z0-9/@?#:,%&=;+ \\[\\]]{0,8}", after in "[-a-z0-9/@?#:,%&=;+ \\[\\]]{0,8}") {
        let user = format!("u:{before}CANARY{after}@");
        for url in [
            format!("redis://{user}n1:6379/0"),
            format!("redis://{user}n1:6379,redis://{user}n2:6379"),
            format!("s3://{user}host/b/p?secure=false"),
            format!("{user}host"),
        ] {
            prop_assert!(!scrub_url(&url).contains("CANARY"), "{} becomes {}", url, scrub_url(&url));
        }
    }

    #[test]
    fn no_value_of_a_parameter_is_shown(before in "[-a-z0-9/@?#:,%=;+ ]{0,8}", after in "[-a-z0-9/@?#:,%=;+ ]{0,8}") {
        let url = format!("s3://host/b?secure=false&sig={before}CANARY{after}");
        prop_assert!(!scrub_url(&url).contains("CANARY"), "{} becomes {}", url, scrub_url(&url));
    }
}
