use proptest::prelude::*;

use super::*;

fn full() -> FileStatistics {
    let column = |field_id, min, max| ColumnStatistics {
        field_id,
        null_count: 3,
        min: Some(min),
        max: Some(max),
        min_exact: true,
        max_exact: true,
        sum: None,
        distinct: None,
    };
    FileStatistics {
        columns: vec![
            ColumnStatistics { sum: Some(-300), ..column(1, Scalar::Integer(-1), Scalar::Integer(i64::MAX)) },
            ColumnStatistics { sum: Some(i128::MAX), ..column(2, Scalar::Unsigned(0), Scalar::Unsigned(u64::MAX)) },
            column(3, Scalar::Float(-0.0), Scalar::Float(1.5)),
            column(7, Scalar::Boolean(false), Scalar::Boolean(true)),
            ColumnStatistics {
                max_exact: false,
                distinct: Some(9),
                ..column(200, Scalar::String("a".into()), Scalar::String("é".into()))
            },
            ColumnStatistics {
                min: None,
                max: None,
                min_exact: false,
                max_exact: false,
                ..column(201, Scalar::Boolean(true), Scalar::Boolean(true))
            },
        ],
    }
}

#[test]
fn the_persisted_form_is_stable() {
    let hex: String = full().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        concat!(
            "0106",
            "011f03000100feffffffffffffffff01d704",
            "021f03010001ffffffffffffffffff01feffffffffffffffffffffffffffffffffff03",
            "030f0302000000000000008002000000000000f83f",
            "070f0303000301",
            "c801270304016104 02c3a909",
            "c9010003"
        )
        .replace(' ', "")
    );
    assert_eq!(FileStatistics::from_bytes(&full().to_bytes()).unwrap(), full());
}

#[test]
fn every_cut_of_the_bytes_is_refused() {
    let bytes = full().to_bytes();
    for end in 0..bytes.len() {
        assert!(FileStatistics::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(FileStatistics::from_bytes(&longer).is_err());
}

#[test]
fn another_version_is_refused() {
    let mut bytes = full().to_bytes();
    bytes[0] = 2;
    let error = FileStatistics::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind(), gigapi_model::ErrorKind::Corrupt);
}

#[test]
fn a_nan_leaves_a_column_without_bounds_for_ever() {
    let mut all = Summary::floats(&[1.0, f64::NAN], 0);
    all.add(&Summary::floats(&[5.0], 2));
    let found = all.finish(1);
    assert_eq!((found.min, found.max, found.null_count), (None, None, 2));
}

#[test]
fn zeros_are_ordered_and_widened() {
    let found = Summary::floats(&[0.0, -0.0], 0).finish(1);
    assert!(matches!(found.min, Some(Scalar::Float(zero)) if zero.is_sign_negative()) && found.min_exact);
    assert!(matches!(found.max, Some(Scalar::Float(zero)) if zero.is_sign_positive()) && found.max_exact);
    let negative = Summary::floats(&[-1.0, -0.0], 0).finish(1);
    assert!(matches!(negative.max, Some(Scalar::Float(zero)) if zero.is_sign_positive()) && !negative.max_exact);
}

#[test]
fn sums_do_not_overflow() {
    let found = Summary::integers(&[i64::MAX, i64::MAX, i64::MIN, -1], 0);
    assert_eq!(found.sum, Some(i128::from(i64::MAX) - 2));
    let unsigned = Summary::unsigned([u64::MAX, u64::MAX].into_iter(), 0);
    assert_eq!(unsigned.sum, Some(i128::from(u64::MAX) * 2));
}

#[test]
fn the_last_characters_have_no_successor() {
    assert_eq!(successor("ab\u{10ffff}").as_deref(), Some("ac"));
    assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
    assert_eq!(successor("\u{10ffff}\u{10ffff}"), None);
    let longest = format!("{}\u{7f}", "x".repeat(63));
    assert_eq!(successor(&longest), Some(format!("{}y", "x".repeat(62))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = FileStatistics::from_bytes(&bytes);
    }

    #[test]
    fn damaged_bytes_are_read_without_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = full().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = FileStatistics::from_bytes(&bytes) {
            prop_assert_eq!(FileStatistics::from_bytes(&read.to_bytes()).unwrap(), read);
        }
    }

    #[test]
    fn bounds_of_strings_hold_and_are_short(texts in proptest::collection::vec("\\PC{0,90}", 1..8)) {
        let min = texts.iter().min().unwrap();
        let max = texts.iter().max().unwrap();
        let found = Summary::strings(Some((min, max)), 0).finish(1);
        let Some(Scalar::String(low)) = found.min else { panic!("no lower bound") };
        prop_assert!(low <= *min && low.len() <= STATISTICS_STRING_BYTES_MAX);
        prop_assert_eq!(found.min_exact, low == *min);
        if let Some(Scalar::String(high)) = found.max {
            prop_assert!(high >= *max && high.len() <= STATISTICS_STRING_BYTES_MAX);
            prop_assert_eq!(found.max_exact, high == *max);
        }
    }

    #[test]
    fn parts_add_up_to_the_whole(values in proptest::collection::vec(any::<i64>(), 0..50), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(values.len() + 1);
        let mut parts = Summary::integers(&values[..cut], 1);
        parts.add(&Summary::integers(&values[cut..], 2));
        prop_assert_eq!(parts, Summary::integers(&values, 3));
    }
}
