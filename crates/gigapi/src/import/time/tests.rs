use super::*;

#[test]
fn times_are_read_in_every_format() {
    let day = 1_704_067_200_000_000_000_i64; // 2024-01-01
    let cases = [
        ("2024-01-01", TimeFormat::Auto, Some(day)),
        ("2024-01-01T00:00:00Z", TimeFormat::Auto, Some(day)),
        ("2024-01-01T01:00:00+01:00", TimeFormat::Rfc3339, Some(day)),
        ("2024-01-01 00:00:00.5", TimeFormat::Auto, Some(day + 500_000_000)),
        ("1704067200", TimeFormat::Auto, Some(day)),
        ("1704067200000", TimeFormat::Auto, Some(day)),
        ("1704067200", TimeFormat::parse("s"), Some(day)),
        ("1704067200000000", TimeFormat::parse("us"), Some(day)),
        ("01/01/2024", TimeFormat::parse("%d/%m/%Y"), Some(day)),
        ("01/01/2024 00:00", TimeFormat::parse("%d/%m/%Y %H:%M"), Some(day)),
        ("01/01/2024 02:00 +0200", TimeFormat::parse("%d/%m/%Y %H:%M %z"), Some(day)),
        ("yesterday", TimeFormat::Auto, None),
        ("2024-13-01", TimeFormat::Date, None),
        ("2024-01-01", TimeFormat::parse("ms"), None),
        ("9999-01-01", TimeFormat::Auto, None),
    ];
    for (text, format, expected) in cases {
        assert_eq!(read_time(text, &format), expected, "{text} as {format:?}");
    }
}

#[test]
fn numbers_with_a_fraction_keep_it() {
    for (count, format, nanos) in [
        (1.5, "s", Some(1_500_000_000)),
        (-1.5, "s", Some(-1_500_000_000)),
        (0.25, "auto", Some(250_000_000)),
        (1.5, "ms", Some(1_500_000)),
        (f64::NAN, "s", None),
        (1e300, "s", None),
    ] {
        assert_eq!(float_epoch(count, &TimeFormat::parse(format)), nanos, "{count} {format}");
    }
}
