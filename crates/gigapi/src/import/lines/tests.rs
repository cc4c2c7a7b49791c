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
        ("1704067200", TimeFormat::Epoch(1_000_000_000), Some(day)),
        ("01/01/2024", TimeFormat::Pattern("%d/%m/%Y".to_owned()), Some(day)),
        ("01/01/2024 00:00", TimeFormat::Pattern("%d/%m/%Y %H:%M".to_owned()), Some(day)),
        ("yesterday", TimeFormat::Auto, None),
        ("2024-13-01", TimeFormat::Date, None),
    ];
    for (text, format, expected) in cases {
        assert_eq!(read_time(text, &format), expected, "{text} as {format:?}");
    }
}

#[test]
fn seconds_with_a_fraction_keep_it() {
    assert_eq!(float_epoch(1.5, &TimeFormat::Epoch(1_000_000_000)), Some(1_500_000_000));
    assert_eq!(float_epoch(0.25, &TimeFormat::Auto), Some(250_000_000));
}

#[test]
fn names_and_texts_are_escaped() {
    assert_eq!(escape_key("a b,c=d"), b"a\\ b\\,c\\=d=");
    assert_eq!(escape_measurement("my table"), b"my\\ table");
    let mut out = Vec::new();
    escape(&mut out, "say \"hi\"\n\\", b"\"\\");
    assert_eq!(out, b"say \\\"hi\\\"\n\\\\");
}
