//! The same verdicts and values as InfluxDB's own parser for lines that are nearly valid, but for the
//! differences that `docs/decisions/0003-line-protocol-choices.md` lists. Each is named here by a function.

use gigapi_model::{ColumnName, TableName};
use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
use proptest::prelude::*;

use super::generated::{escape, row, write_row};
use super::{Row, Value, read, rows};

/// Two backslashes are two; InfluxDB 3 makes one of them, and so one series of two.
fn has_double_backslash(line: &str) -> bool {
    line.contains("\\\\")
}

/// A point needs a digit on one side only.
fn has_one_sided_float(line: &str) -> bool {
    let bytes = line.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    (0..bytes.len()).any(|at| bytes[at] == b'.' && (is_digit(at.checked_sub(1)) != is_digit(Some(at + 1))))
}

/// A comma in a tag's or field's name must be escaped; otherwise a forgotten value makes a new column.
fn has_bare_comma_in_a_name(line: &str, parsed: &ParsedLine<'_>) -> bool {
    let tags = parsed.series.tag_set.iter().flatten().map(|(name, _)| name.as_str());
    let fields = parsed.field_set.iter().map(|(name, _)| name.as_str());
    let is_escaped = |name: &str| {
        let escaped = escape(name, &[',', '=', ' ']);
        line.contains(&format!(",{escaped}=")) || line.contains(&format!(" {escaped}="))
    };
    // A comma right behind a comma or a space begins no name here, whatever stands escaped elsewhere in the line.
    let is_doubled = |name: &str| {
        let bare = name.strip_prefix(',').map(|rest| format!(",{}=", escape(rest, &[',', '=', ' '])));
        bare.is_some_and(|bare| line.contains(&format!(",{bare}")) || line.contains(&format!(" {bare}")))
    };
    // The same name may stand escaped elsewhere in the line.
    let is_bare = |name: &str| {
        let bare = escape(name, &['=', ' ']);
        line.contains(&format!(",{bare}=")) || line.contains(&format!(" {bare}="))
    };
    tags.chain(fields).any(|name| name.contains(',') && (is_doubled(name) || is_bare(name) || !is_escaped(name)))
}

/// What no column can hold is refused: infinite floats, `time` as a name, names against the rules.
fn cannot_be_stored(parsed: &ParsedLine<'_>) -> bool {
    let tags = parsed.series.tag_set.iter().flatten().map(|(name, _)| name.as_str());
    let fields = parsed.field_set.iter().map(|(name, _)| name.as_str());
    let is_infinite = |value: &FieldValue<'_>| matches!(value, FieldValue::F64(value) if !value.is_finite());
    tags.chain(fields).any(|name| name == "time" || ColumnName::new(name).is_err())
        || TableName::new(&parsed.series.measurement).is_err()
        || parsed.field_set.iter().any(|(_, value)| is_infinite(value))
}

/// A tag that comes twice, or a field that comes with two types, refuses the line here and not there.
fn names_a_column_twice(parsed: &ParsedLine<'_>) -> bool {
    let tags: Vec<_> = parsed.series.tag_set.iter().flatten().map(|(name, _)| name.as_str()).collect();
    let fields = &parsed.field_set;
    let tag_twice = (1..tags.len()).any(|index| tags[..index].contains(&tags[index]));
    tag_twice || fields.iter().any(|(name, value)| fields.iter().any(|(n, v)| n == name && !v.is_same_type(value)))
}

/// InfluxDB overlooks a comma behind a line's only field, where a second field was meant to be.
fn has_comma_behind_its_only_field(line: &str, parsed: &ParsedLine<'_>) -> bool {
    let fields = line.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').trim_end_matches(' ');
    parsed.field_set.len() == 1 && fields.ends_with(',')
}

fn theirs(parsed: &ParsedLine<'_>) -> Row {
    let mut row =
        Row { table: parsed.series.measurement.to_string(), time: parsed.timestamp.unwrap_or(1), ..Row::default() };
    row.tags = parsed.series.tag_set.iter().flatten().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    row.tags.sort();
    for (name, value) in &parsed.field_set {
        let value = match value {
            FieldValue::I64(value) => Value::Integer(*value),
            FieldValue::U64(value) => Value::Unsigned(*value),
            FieldValue::F64(value) => Value::float(*value),
            FieldValue::String(value) => Value::String(value.to_string()),
            FieldValue::Boolean(value) => Value::Boolean(*value),
        };
        row.fields.retain(|(other, _)| *other != name.as_str());
        row.fields.push((name.to_string(), value));
    }
    row.fields.sort_by(|a, b| a.0.cmp(&b.0));
    row
}

/// Compares one line; `None` where the verdicts differ as intended.
fn compare(line: &str) -> Option<()> {
    // Spaces at the end of a line without a timestamp are forgiven here.
    let trimmed = line.trim_end_matches(' ');
    let mut oracle = parse_lines(trimmed);
    let first = oracle.next();
    assert!(oracle.next().is_none(), "one line at a time: {line:?}");
    let parsed = read(line);
    let ours = rows(&parsed);
    if has_double_backslash(line) {
        return None;
    }
    match first {
        None => assert_eq!(parsed.lines, 0, "{line:?}"),
        Some(Err(_)) if has_one_sided_float(line) => return None,
        Some(Err(error)) => assert_eq!(ours, [], "{line:?} is taken here, there: {error}"),
        Some(Ok(there)) => {
            let refused_on_purpose = has_bare_comma_in_a_name(line, &there)
                || has_comma_behind_its_only_field(trimmed, &there)
                || cannot_be_stored(&there)
                || names_a_column_twice(&there);
            // The guess from the text can err where names are escaped; a line that was taken has to be equal.
            if refused_on_purpose && parsed.refused_count == 1 {
                return None;
            }
            assert_eq!(parsed.refused, [], "{line:?} is refused here, there: {there:?}");
            let mut expected = theirs(&there);
            if there.timestamp.is_none() {
                expected.time = ours[0].time;
            }
            assert_eq!(ours, [expected], "{line:?}");
        }
    }
    Some(())
}

#[test]
fn the_intended_differences_are_what_they_are_said_to_be() {
    for line in [
        r"m,t=a\\b f=1",
        "m f=1.",
        "m f=.5",
        "m,a,b=c f=1",
        "m a,b=1",
        r"m,a\,=t a,=0",
        "m f=1e999",
        "m time=1",
        "m f=1, 5",
        "m,a=1,a=2 f=1",
        "m f=1,f=2i",
    ] {
        assert_eq!(compare(line), None, "{line}");
    }
    assert_eq!(rows(&read("m f=1 ")).len(), 1);
    assert!(parse_lines("m f=1 ").next().unwrap().is_err());
    assert_eq!(rows(&read("m f=1\r\n")).len(), 1);
    assert!(parse_lines("m f=1\r\n").next().unwrap().is_err());
    assert_eq!(rows(&read("m,t=a\\\nm f=1")).len(), 1);
    assert_eq!(parse_lines("m,t=a\\\nm f=1").count(), 1);
    assert_eq!(rows(&read("#, x=\"\nm f=1")).len(), 1);
    assert_eq!(parse_lines("#, x=\"\nm f=1").filter(Result::is_ok).count(), 1);
}

/// Lines made of the grammar's pieces, in about the right order.
fn nearly_valid() -> impl Strategy<Value = String> {
    let name = "[ab][ab\\\\,= \"]{0,3}";
    let plain = "[a-c]{1,3}";
    let key = prop_oneof![6 => plain, 1 => name];
    let number = "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,2})?[iu]?";
    let value = prop_oneof![
        4 => number,
        1 => "[0-9]{17,21}[iu]?",
        2 => "\"[ab,= \\\\]{0,4}\"",
        1 => "(t|T|true|True|TRUE|f|F|false|False|FALSE|tru|FALSEs|nan|)",
    ];
    let tags = prop::collection::vec((key.clone(), prop_oneof![5 => plain, 1 => name]), 0..3);
    let fields = prop::collection::vec((key.clone(), value), 0..4);
    let time = "( {0,2}-?[0-9]{0,20} {0,2})?";
    (key, tags, fields, time).prop_map(|(measurement, tags, fields, time)| {
        let tags: String = tags.iter().map(|(name, value)| format!(",{name}={value}")).collect();
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{measurement}{tags} {}{time}", fields.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(6_000)))]

    #[test]
    fn nearly_valid_lines_are_judged_as_influxdb_judges_them(line in nearly_valid()) {
        compare(&line);
    }

    #[test]
    fn points_with_a_few_wrong_bytes_are_judged_as_influxdb_judges_them(
        point in row(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..2_usize, prop::option::of(prop::sample::select(vec!['a', '1', ',', '=', ' ', '\\', '"', '.', 'i', '-', 'e']))),
            0..3,
        ),
    ) {
        let mut line: Vec<char> = write_row(&point).chars().filter(|c| !c.is_control()).collect();
        for (place, removed, added) in edits {
            let at = place.index(line.len() + 1);
            let end = (at + removed).min(line.len());
            line.splice(at..end, added);
        }
        compare(&line.into_iter().collect::<String>());
    }
}
