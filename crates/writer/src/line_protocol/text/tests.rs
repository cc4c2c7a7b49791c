use proptest::prelude::*;

use super::*;

fn slow_tag_value_end(body: &[u8], at: usize, end: usize) -> (usize, bool) {
    let mut escaped = false;
    for place in at..end {
        match body[place] {
            b'\n' | b'\t' => return (place, escaped),
            b',' | b' ' if place == at || body[place - 1] != b'\\' => return (place, escaped),
            b'\\' => escaped = true,
            _ => {}
        }
    }
    (end, escaped)
}

#[test]
fn a_backslash_escapes_only_what_would_end_the_name() {
    for (raw, text) in [
        (r"a\ b", "a b"),
        (r"a\,b", "a,b"),
        (r"a\=b", "a=b"),
        (r"a\b", r"a\b"),
        (r"a\\b", r"a\\b"),
        (r"a\\,b", r"a\,b"),
        (r"\\server\share", r"\\server\share"),
        (r"a\", r"a\"),
    ] {
        assert_eq!(unescape(raw.as_bytes(), special_in_key), text.as_bytes(), "{raw}");
    }
    assert_eq!(unescape(br"a\=b\ c", special_in_measurement), &br"a\=b c"[..]);
}

#[test]
fn a_quoted_text_unescapes_quotes_and_backslashes_and_nothing_else() {
    for (raw, text) in [(r#"a\"b"#, r#"a"b"#), (r"a\\b", r"a\b"), (r"a\nb", r"a\nb"), (r"\\\\", r"\\"), (r"\,", r"\,")]
    {
        let mut out = Vec::new();
        unquote_into(raw.as_bytes(), &mut out);
        assert_eq!(out, text.as_bytes(), "{raw}");
    }
}

#[test]
fn a_closing_quote_is_one_that_no_backslash_escapes() {
    assert_eq!(closing_quote(br#"ab" "#, 0), Some((2, false)));
    assert_eq!(closing_quote(br#"a\"b" "#, 0), Some((4, true)));
    assert_eq!(closing_quote(br#"a\\" "#, 0), Some((3, true)));
    assert_eq!(closing_quote(br#"a\""#, 0), None);
    assert_eq!(closing_quote(br"a\", 0), None);
}

#[test]
fn a_line_ends_at_the_first_newline_outside_quotes() {
    for (body, end) in [
        ("m f=1\nm f=2", 5),
        ("m f=\"a\nb\"\nm f=2", 9),
        ("m f=\"a\\\"\nb\",g=\"\n\"\nx", 17),
        ("m,t=\"a f=1\nm f=2", 10),
        ("m f=\"a\nm f=2\n", 6),
        ("m f=\"a\nm f=\"x\"\n", 6),
        ("m f=1\"\nm f=\"x\"", 6),
        ("m", 1),
        ("m,t=a\nm f=\"x\n\"", 5),
    ] {
        assert_eq!(line_end(body.as_bytes(), 0, false), end, "{body:?}");
    }
}

proptest! {
    #[test]
    fn tag_values_end_where_a_loop_over_bytes_ends_them(
        text in prop::collection::vec(prop_oneof![6 => any::<u8>(), 3 => prop::sample::select(&b",\\ \t\n-+"[..])], 0..60),
        at in 0..30_usize,
    ) {
        let at = at.min(text.len());
        for end in at..=text.len() {
            prop_assert_eq!(tag_value_end(&text, at, end), slow_tag_value_end(&text, at, end));
        }
    }
}
