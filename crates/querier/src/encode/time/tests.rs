use chrono::DateTime;
use proptest::prelude::*;

use super::*;

fn written(nanos: i64, style: TimeStyle) -> String {
    let mut out = Vec::new();
    write_time(nanos, style, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn decimals_appear_only_where_needed() {
    let at = 1_745_452_805_000_000_000;
    assert_eq!(written(at, TimeStyle::Rfc3339), "2025-04-24T00:00:05Z");
    assert_eq!(written(at + 120_000_000, TimeStyle::Rfc3339), "2025-04-24T00:00:05.12Z");
    assert_eq!(written(at + 1, TimeStyle::Rfc3339), "2025-04-24T00:00:05.000000001Z");
    assert_eq!(written(at, TimeStyle::NoZone), "2025-04-24T00:00:05");
    assert_eq!(written(at + 120_000_000, TimeStyle::NoZone), "2025-04-24T00:00:05.120");
    assert_eq!(written(at + 1_000, TimeStyle::NoZone), "2025-04-24T00:00:05.000001");
}

proptest! {
    #[test]
    fn any_point_in_time_reads_back(nanos in any::<i64>()) {
        let text = written(nanos, TimeStyle::Rfc3339);
        let read = DateTime::parse_from_rfc3339(&text).unwrap();
        prop_assert_eq!(read.timestamp_nanos_opt(), Some(nanos));
        let plain = written(nanos, TimeStyle::NoZone);
        let expected = format!("{:?}", DateTime::from_timestamp_nanos(nanos).naive_utc());
        prop_assert_eq!(plain, expected);
    }
}
