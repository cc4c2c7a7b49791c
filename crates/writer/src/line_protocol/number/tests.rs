use proptest::prelude::*;

use super::{NotAFloat, byte, digits, float};

fn read(text: &str) -> Result<(f64, usize), NotAFloat> {
    let body = text.as_bytes();
    let first = usize::from(byte(body, 0) == b'-');
    let whole = digits(body, first);
    float(body, 0, first + whole.count, whole)
}

#[test]
fn digits_of_every_length_are_read_and_counted() {
    let all = "12345678901234567890123456789";
    for len in 0..=all.len() {
        for behind in ["", "i", " ", ",", "\n", "/", ":", "\u{80}", "é x"] {
            let text = format!("{}{behind}", &all[..len]);
            let read = digits(text.as_bytes(), 0);
            let expected = all[..len].parse::<u64>().ok();
            assert_eq!(read.count, len, "{text:?}");
            assert_eq!(read.overflow, len > 0 && expected.is_none(), "{text:?}");
            if let Some(expected) = expected {
                assert_eq!(read.value, expected, "{text:?}");
            }
        }
    }
}

#[test]
fn leading_zeros_do_not_overflow() {
    let text = format!("{}42i", "0".repeat(100));
    let read = digits(text.as_bytes(), 0);
    assert_eq!((read.value, read.count, read.overflow), (42, 102, false));
}

#[test]
fn the_largest_unsigned_is_read_and_the_next_overflows() {
    assert_eq!(digits(b"18446744073709551615", 0).value, u64::MAX);
    assert!(!digits(b"18446744073709551615", 0).overflow);
    assert!(digits(b"18446744073709551616", 0).overflow);
}

#[test]
fn floats_without_a_digit_on_one_side_of_the_point_are_read() {
    for (text, value) in [("1.", 1.0), (".5", 0.5), ("-.5", -0.5), ("-1.", -1.0), ("1.e3", 1e3), (".5E-1", 0.05)] {
        assert_eq!(read(text), Ok((value, text.len())), "{text}");
    }
}

#[test]
fn malformed_floats_are_told_with_their_place() {
    for (text, place) in [(".", 1), ("-", 1), ("-.", 2), ("1e", 2), ("1e+", 3), ("1.5e-x", 5)] {
        assert_eq!(read(text), Err(NotAFloat::Malformed(place)), "{text}");
    }
}

#[test]
fn a_float_beyond_the_largest_double_is_refused_and_one_below_the_smallest_is_zero() {
    assert_eq!(read("1e309"), Err(NotAFloat::TooLarge));
    assert_eq!(read("-1e999999999999999999999"), Err(NotAFloat::TooLarge));
    assert_eq!(read("1e-400"), Ok((0.0, 6)));
}

#[test]
fn minus_zero_keeps_its_sign() {
    for text in ["-0", "-0.0", "-0e0"] {
        assert!(read(text).unwrap().0.is_sign_negative(), "{text}");
    }
}

proptest! {
    #[test]
    fn floats_are_read_as_the_standard_library_reads_them(
        text in r"-?(0{0,3}[0-9]{1,25}(\.[0-9]{0,25})?|\.[0-9]{1,25})([eE][+-]?[0-9]{1,3})?",
    ) {
        let expected: f64 = text.parse().unwrap();
        match read(&text) {
            Ok((value, end)) => {
                prop_assert_eq!(value.to_bits(), expected.to_bits());
                prop_assert_eq!(end, text.len());
            }
            Err(error) => {
                prop_assert_eq!(error, NotAFloat::TooLarge);
                prop_assert!(expected.is_infinite());
            }
        }
    }

    #[test]
    fn printed_doubles_come_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(read(&format!("{value}")).unwrap().0.to_bits(), bits);
        prop_assert_eq!(read(&format!("{value:e}")).unwrap().0.to_bits(), bits);
    }

    #[test]
    fn digits_agree_with_a_loop_over_bytes(text in prop::collection::vec(prop_oneof![4 => b'0'..=b'9', 1 => any::<u8>()], 0..40)) {
        let read = digits(&text, 0);
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = text[..count].iter().try_fold(0_u64, |value, digit| {
            value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        prop_assert_eq!(read.count, count);
        prop_assert_eq!(read.overflow, value.is_none());
        if let Some(value) = value {
            prop_assert_eq!(read.value, value);
        }
    }
}
