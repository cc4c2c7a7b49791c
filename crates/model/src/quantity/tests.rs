use super::*;

#[test]
fn a_duration_is_shown_as_it_is_read() {
    for text in ["500ms", "30s", "90m", "12h", "7d", "28d", "365d", "1001ms"] {
        let read = duration(text).unwrap().unwrap();
        assert_eq!(duration_text(read), text);
    }
    for (given, shown) in [("1w", "7d"), ("1h30m", "90m"), ("48h", "2d"), ("0.5s", "500ms"), ("0.0001s", "0.0001s")] {
        let read = duration(given).unwrap().unwrap();
        assert_eq!(duration_text(read), shown);
        assert_eq!(duration(shown).unwrap(), Some(read));
    }
    assert_eq!(duration_text(Duration::ZERO), "0");
}
