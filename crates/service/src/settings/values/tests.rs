use std::time::Duration;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,24}|[0-9.eE+-]{0,20}[a-zA-Z]{0,3}") {
        let _ = (boolean(&text), port(&text), count(&text), bytes(&text), bytes_in_memory(&text));
        let _ = (seconds(&text), seconds_or_never(&text), duration(&text), log_filter(&text), host(&text));
    }

    #[test]
    fn whole_durations_and_sizes_are_exact(number in 1_u32..1_000_000) {
        let number = u64::from(number);
        prop_assert_eq!(duration(&format!("{number}h")), Ok(Some(Duration::from_secs(number * 3_600))));
        prop_assert_eq!(bytes(&format!("{number}MiB")), Ok(number << 20));
    }
}

#[test]
fn sizes_take_decimal_and_binary_units() {
    assert_eq!(bytes("1024"), Ok(1024));
    assert_eq!(bytes("1GB"), Ok(1_000_000_000));
    assert_eq!(bytes("25 MiB"), Ok(25 << 20));
    assert_eq!(bytes("1.5GiB"), Ok(3 << 29));
    assert_eq!(bytes("512Mi"), Ok(512 << 20));
    for wrong in ["", "x", "-1", "0", "1 parsec", "99999999999999999999", "99999999TiB", "1.2.3MB"] {
        assert!(bytes(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn durations_take_units_and_zero_is_never() {
    assert_eq!(duration("30s"), Ok(Some(Duration::from_secs(30))));
    assert_eq!(duration("10m"), Ok(Some(Duration::from_secs(600))));
    assert_eq!(duration("12h"), Ok(Some(Duration::from_secs(43_200))));
    assert_eq!(duration("7d"), Ok(Some(Duration::from_secs(604_800))));
    assert_eq!(duration("4w"), Ok(Some(Duration::from_secs(2_419_200))));
    assert_eq!(duration("1h30m"), Ok(Some(Duration::from_secs(5_400))));
    assert_eq!(duration("0"), Ok(None));
    assert_eq!(duration("0s"), Ok(None));
    for wrong in ["", "7", "7x", "-7d", "d", "7d7", "1e99w", "99999999w"] {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn seconds_keep_their_fractions_and_must_be_above_zero() {
    assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
    assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
    for wrong in ["0", "-1", "NaN", "inf", "soon", ""] {
        assert!(seconds(wrong).is_err(), "{wrong}");
    }
    assert_eq!(seconds_or_never("0"), Ok(None));
}

#[test]
fn log_filters_are_levels_or_modules_with_levels() {
    assert_eq!(log_filter("WARNING"), Ok("warn".to_owned()));
    assert_eq!(log_filter("info, gigapi_writer=debug"), Ok("info,gigapi_writer=debug".to_owned()));
    for wrong in ["", "loud", "info,", "a b=debug", "=debug", "[span]=info"] {
        assert!(log_filter(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn hosts_are_addresses_or_names() {
    assert_eq!(host("[::]"), Ok("::".to_owned()));
    assert_eq!(host("::1"), Ok("::1".to_owned()));
    assert_eq!(host("0.0.0.0"), Ok("0.0.0.0".to_owned()));
    assert_eq!(host("db.example.com"), Ok("db.example.com".to_owned()));
    for wrong in ["", "[host]", "a b", "http://x", "host:80", "[::"] {
        assert!(host(wrong).is_err(), "{wrong}");
    }
}
