//! One table per point of the grammar.

use gigapi_model::Timestamp;

use super::super::{ParseOptions, Precision, parse};
use super::{Value, options, read, reason, row, rows};

const NOW: i64 = 1_234_567_890_123_456_789;

fn field(text: &str) -> Value {
    let row = row(&format!("m f={text}"));
    assert_eq!(row.fields.len(), 1, "{text}");
    row.fields[0].1.clone()
}

#[test]
fn a_full_line_is_read() {
    let row = row("weather,location=us-midwest,season=summer temperature=82i,humidity=71.5 1465839830100400200");
    assert_eq!(row.table, "weather");
    assert_eq!(row.tags, [("location".into(), "us-midwest".into()), ("season".into(), "summer".into())]);
    assert_eq!(row.fields, [("humidity".into(), Value::float(71.5)), ("temperature".into(), Value::Integer(82))]);
    assert_eq!(row.time, 1_465_839_830_100_400_200);
}

#[test]
fn every_field_type_is_read() {
    for (text, value) in [
        ("1", Value::float(1.0)),
        ("-1.5e+30", Value::float(-1.5e30)),
        ("1E5", Value::float(1e5)),
        ("1.", Value::float(1.0)),
        (".5", Value::float(0.5)),
        ("0.1", Value::float(0.1)),
        ("123456789.123456789", Value::float(123_456_789.123_456_79)),
        ("12i", Value::Integer(12)),
        ("-9223372036854775808i", Value::Integer(i64::MIN)),
        ("9223372036854775807i", Value::Integer(i64::MAX)),
        ("-0i", Value::Integer(0)),
        ("18446744073709551615u", Value::Unsigned(u64::MAX)),
        ("0u", Value::Unsigned(0)),
        ("\"\"", Value::String(String::new())),
        ("\"a b,c=d\"", Value::String("a b,c=d".into())),
        ("\"a\\\"b\\\\c\\d\"", Value::String("a\"b\\c\\d".into())),
        ("\"two\nlines\"", Value::String("two\nlines".into())),
        ("\"ends\\\\\"", Value::String("ends\\".into())),
        ("\"# äöü 你好\"", Value::String("# äöü 你好".into())),
    ] {
        assert_eq!(field(text), value, "{text}");
    }
    for text in ["t", "T", "true", "True", "TRUE"] {
        assert_eq!(field(text), Value::Boolean(true), "{text}");
    }
    for text in ["f", "F", "false", "False", "FALSE"] {
        assert_eq!(field(text), Value::Boolean(false), "{text}");
    }
}

#[test]
fn values_that_no_column_can_hold_are_refused_with_the_reason() {
    for (text, part) in [
        ("9223372036854775808i", "does not fit a 64-bit integer"),
        ("-9223372036854775809i", "does not fit a 64-bit integer"),
        ("18446744073709551616u", "does not fit a 64-bit unsigned integer"),
        ("1e309", "does not fit a 64-bit float"),
        ("NaN", "is NaN or infinite"),
        ("-nan", "is NaN or infinite"),
        ("inf", "is NaN or infinite"),
        ("+Inf", "is NaN or infinite"),
        ("-Infinity", "is NaN or infinite"),
        ("-1u", "expected a comma, a space or the line's end after the value of \"f\" at column 7, found `u`"),
        ("1.5i", "after the value of \"f\" at column 8, found `i`"),
        ("1e5i", "found `i`"),
        ("1.2.3", "found `.`"),
        ("--1", "malformed at column 6"),
        ("-", "malformed at column 6, found the line's end"),
        ("1e", "malformed"),
        ("+1", "is no number, boolean or quoted text"),
        ("tru", "is no number, boolean or quoted text"),
        ("TrUe", "is no number, boolean or quoted text"),
        ("trueish", "is no number, boolean or quoted text"),
        ("true1", "found `1`"),
        ("'x'", "is no number, boolean or quoted text"),
        ("i", "is no number, boolean or quoted text"),
        ("\"x", "opens a quote at column 5 that is never closed"),
        ("\"x\\\"", "opens a quote at column 5 that is never closed"),
        ("\"x\"y", "after the value of \"f\" at column 8, found `y`"),
    ] {
        let reason = reason(&format!("m f={text}"));
        assert!(reason.contains(part), "{text}: {reason}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_column() {
    for (body, expected) in [
        ("cpu,host=a usage=1,idle=", "expected a field value after \"idle\" at column 25, found the line's end"),
        ("cpu,host=a usage=,idle=1", "expected a field value after \"usage\" at column 18, found `,`"),
        ("cpu", "expected a space and at least one field at column 4, found the line's end"),
        ("cpu ", "expected a field name at column 5, found the line's end"),
        ("cpu,host=a", "expected a space and at least one field at column 11, found the line's end"),
        ("cpu,host=a 17", "expected `=` and a value after field \"17\" at column 14, found the line's end"),
        ("cpu,host=a usage", "expected `=` and a value after field \"usage\" at column 17, found the line's end"),
        ("cpu,host=a a=1,", "expected a field name at column 16, found the line's end"),
        ("cpu,host=a =1", "expected a field name at column 12, found `=`"),
        (",host=a f=1", "expected a measurement name at column 1, found `,`"),
        ("cpu, f=1", "expected a tag name at column 5, found a space"),
        ("cpu,=a f=1", "expected a tag name at column 5, found `=`"),
        ("cpu,host f=1", "expected `=` and a value after tag \"host\" at column 9, found a space"),
        ("cpu,host,a=b f=1", "expected `=` and a value after tag \"host\" at column 9, found `,`"),
        ("cpu,host=a, f=1", "expected a tag name at column 12, found a space"),
        ("cpu f=1 x", "expected a timestamp (an integer) at column 9, found `x`"),
        ("cpu f=1 1.5", "expected the line's end after the timestamp at column 10, found `.`"),
        ("cpu f=1 1 2", "expected the line's end after the timestamp at column 11, found `2`"),
        ("cpu f=1 -", "expected a timestamp (an integer) at column 9, found `-`"),
        ("cpu f=1\tx", "expected a comma, a space or the line's end after the value of \"f\" at column 8, found `\\t`"),
    ] {
        assert_eq!(reason(body), expected, "{body:?}");
    }
}

#[test]
fn an_empty_tag_value_is_refused() {
    for body in ["m,t= f=1", "m,t=,u=b f=1", "m,u=b,t= f=1"] {
        assert!(reason(body).starts_with("expected a tag value after \"t\""), "{body}");
    }
}

#[test]
fn escapes_are_removed_where_they_count_and_kept_elsewhere() {
    let row = row(r"my\ table\,1\=x,tag\ one\=\,\b=va\ l\=u\,e\x,dir=C:\Users fi\ e\=l\,d=1 7");
    assert_eq!(row.table, r"my table,1\=x");
    assert_eq!(row.tags, [("dir".into(), r"C:\Users".into()), (r"tag one=,\b".into(), r"va l=u,e\x".into())]);
    assert_eq!(row.fields, [("fi e=l,d".into(), Value::float(1.0))]);
    assert_eq!(row.time, 7);
}

#[test]
fn two_backslashes_stay_two() {
    let row = row(r"m,share=\\server\dir f=1");
    assert_eq!(row.tags, [("share".into(), r"\\server\dir".into())]);
}

#[test]
fn an_equals_sign_may_stand_in_a_tag_value_and_a_measurement() {
    let row = row("a=b,t=c=d=e f=1");
    assert_eq!((row.table.as_str(), row.tags[0].1.as_str()), ("a=b", "c=d=e"));
}

#[test]
fn quotes_mean_nothing_outside_field_values() {
    let row = row("\"m\",\"t\"=\"v \"f\"=1");
    assert_eq!((row.table.as_str(), row.tags[0].0.as_str(), row.tags[0].1.as_str()), ("\"m\"", "\"t\"", "\"v"));
    assert_eq!(row.fields[0].0, "\"f\"");
}

#[test]
fn a_backslash_at_the_end_of_a_name_escapes_what_ends_it() {
    assert!(reason(r"m\ f=1").starts_with("expected a space and at least one field at column 7"));
    assert!(reason(r"m,t=a\ f=1").starts_with("expected a space and at least one field"));
    assert!(reason(r"m f\=1").starts_with("expected `=` and a value after field"));
}

#[test]
fn a_newline_after_a_backslash_still_ends_the_line() {
    let parsed = read("m,t=a\\\nm f=1\n");
    assert_eq!((rows(&parsed).len(), parsed.refused_count), (1, 1));
}

#[test]
fn white_space_is_skipped_where_it_separates() {
    for body in [
        "m,t=a f=1 5",
        "  m,t=a f=1 5",
        "\t m,t=a f=1 5",
        "m,t=a   f=1    5",
        "m,t=a f=1 5   ",
        "m,t=a f=1 5\r\n",
        "\r\n\n m,t=a f=1 5 \r\n",
    ] {
        assert_eq!(row(body), row("m,t=a f=1 5"), "{body:?}");
    }
    assert_eq!(row("m f=1 ").time, NOW);
    assert_eq!(row("m f=1 \r\n").time, NOW);
    assert_eq!(row("m f=true\r\n").time, NOW);
}

#[test]
fn comments_and_blank_lines_are_no_lines() {
    let body = "# a comment, with \"quotes = 1\n\n   \t# another\nm f=1\n\r\n#last";
    let parsed = read(body);
    assert_eq!((parsed.lines, parsed.refused_count, rows(&parsed).len()), (1, 0, 1));
    assert_eq!(parsed.tables[0].draft.origin, [body.find("m f=1").unwrap() as u32]);
    let nothing = read(" \n\t\r\n# x");
    assert_eq!((nothing.lines, nothing.tables.len()), (0, 0));
    assert_eq!(read("").lines, 0);
}

#[test]
fn timestamps_may_be_negative_or_missing() {
    assert_eq!(row("m f=1 -1").time, -1);
    assert_eq!(row("m f=1 -9223372036854775808").time, i64::MIN);
    assert_eq!(row("m f=1 0009").time, 9);
    assert_eq!(row("m f=1").time, NOW);
    assert!(reason("m f=1 9223372036854775808").contains("does not fit 64-bit nanoseconds"));
    assert!(reason("m f=1 99999999999999999999999").contains("does not fit 64-bit nanoseconds"));
}

#[test]
fn every_precision_converts_truncates_and_notices_overflow() {
    for (word, unit) in [
        ("ns", 1),
        ("n", 1),
        ("nanosecond", 1),
        ("us", 1_000),
        ("u", 1_000),
        ("µ", 1_000),
        ("microsecond", 1_000),
        ("ms", 1_000_000),
        ("millisecond", 1_000_000),
        ("s", 1_000_000_000),
        ("second", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ] {
        let precision = Precision::from_query(word).unwrap();
        let options = ParseOptions { precision, ..options() };
        let parsed = parse(b"m f=1 -7\nm f=1", &options);
        assert_eq!(parsed.tables[0].draft.time, [-7 * unit, NOW - NOW % unit], "{word}");
        if let Some(count) = (i64::MAX / unit).checked_add(1) {
            assert_eq!(parse(format!("m f=1 {count}").as_bytes(), &options).refused_count, 1, "{word}");
        }
    }
    for word in ["", "NS", "sec", "minutes", "d"] {
        assert_eq!(Precision::from_query(word), None, "{word}");
    }
    assert_eq!(Precision::Hour.truncate(Timestamp::from_nanos(-1)), -3_600_000_000_000);
}

#[test]
fn auto_precision_goes_by_magnitude() {
    let options = ParseOptions { precision: Precision::Auto, ..options() };
    for (count, nanos) in [
        (0, 0),
        (4_999_999_999, 4_999_999_999_000_000_000),
        (5_000_000_000, 5_000_000_000_000_000),
        (4_999_999_999_999, 4_999_999_999_999_000_000),
        (5_000_000_000_000, 5_000_000_000_000_000),
        (4_999_999_999_999_999, 4_999_999_999_999_999_000),
        (5_000_000_000_000_000, 5_000_000_000_000_000),
        (-1_700_000_000, -1_700_000_000_000_000_000),
        (i64::MIN, i64::MIN),
    ] {
        let parsed = parse(format!("m f=1 {count}").as_bytes(), &options);
        assert_eq!(parsed.tables[0].draft.time, [nanos], "{count}");
    }
    assert_eq!(parse(b"m f=1", &options).tables[0].draft.time, [NOW]);
}

#[test]
fn a_tag_that_comes_twice_refuses_the_line_even_with_one_value() {
    for body in ["m,a=1,a=1 f=1", "m,a=1,b=2,a=3 f=1"] {
        assert!(reason(body).starts_with("tag \"a\" is there twice"), "{body}");
    }
}

#[test]
fn the_last_of_equal_fields_counts_and_two_types_refuse_the_line() {
    assert_eq!(row("m f=1,g=2,f=3").fields, [("f".into(), Value::float(3.0)), ("g".into(), Value::float(2.0))]);
    assert!(reason("m f=1,f=2i").starts_with("field \"f\" is there with two types, again at column 7"));
    let parsed = read("m f=1\nm f=2i\nm f=1,f=2i\nm f=2i,f=1\nm f=2i,f=3i");
    assert_eq!((rows(&parsed).len(), parsed.refused_count), (3, 2));
}

#[test]
fn a_tag_and_a_field_of_one_name_stay_for_the_table_to_judge() {
    let row = row("m,x=a x=1");
    assert_eq!((row.tags.len(), row.fields.len()), (1, 1));
}

#[test]
fn time_is_no_name_for_a_tag_or_a_field() {
    assert_eq!(reason("m,time=a f=1"), "`time` at column 3 is every table's time column; give the tag another name");
    assert_eq!(reason("m f=1,time=1"), "`time` at column 7 is every table's time column; give the field another name");
    assert_eq!(row("m Time=1").fields[0].0, "Time");
}

#[test]
fn names_that_cannot_be_stored_are_refused_with_their_rule() {
    let long = "n".repeat(256);
    for (body, part) in [
        (format!("m,{long}=a f=1"), "is longer than 255 bytes"),
        (format!("m {long}=1"), "is longer than 255 bytes"),
        (format!("{long} f=1"), "is longer than 240 bytes"),
        (".. f=1".into(), "is a path"),
        ("m\u{1} f=1".into(), "holds a control character"),
        ("m a\tb=1".into(), "holds a control character"),
        ("m,a\tb=1 f=1".into(), "holds a control character"),
        ("m,a=x\ty f=1".into(), "the value of tag \"a\" holds a tab at column 6"),
    ] {
        let reason = reason(&body);
        assert!(reason.contains(part), "{body:?}: {reason}");
    }
}
