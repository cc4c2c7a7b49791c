//! Points that are written with their escapes come back as they were.

use std::fmt::Write;

use proptest::prelude::*;

use super::{Row, Value, read, rows};

pub(super) fn escape(text: &str, special: &[char]) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A point as a client writes it.
pub(super) fn write_row(row: &Row) -> String {
    let mut line = escape(&row.table, &[',', ' ']);
    for (name, value) in &row.tags {
        let _ = write!(line, ",{}={}", escape(name, &[',', '=', ' ']), escape(value, &[',', '=', ' ']));
    }
    for (index, (name, value)) in row.fields.iter().enumerate() {
        let _ = write!(line, "{}{}=", if index == 0 { ' ' } else { ',' }, escape(name, &[',', '=', ' ']));
        let _ = match value {
            Value::Float(bits) => write!(line, "{:?}", f64::from_bits(*bits)),
            Value::Integer(value) => write!(line, "{value}i"),
            Value::Unsigned(value) => write!(line, "{value}u"),
            Value::Boolean(value) => write!(line, "{value}"),
            Value::String(value) => write!(line, "\"{}\"", escape(value, &['"', '\\'])),
        };
    }
    let _ = write!(line, " {}", row.time);
    line
}

/// Names and tag values: anything that line protocol can express, with its special bytes often.
fn name() -> impl Strategy<Value = String> {
    "[a-c,= \\\\\"é#]{0,6}[a-c,= \"é]".prop_filter("a name that cannot be stored", |name| name != "time")
}

fn measurement() -> impl Strategy<Value = String> {
    "[a-c][a-c,= \\\\\"é#]{0,4}[a-c,= \"é]"
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::float),
        (-1_000_000_000_i64..1_000_000_000, 0_u32..9)
            .prop_map(|(value, scale)| Value::float(value as f64 / 10_f64.powi(scale as i32))),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Unsigned),
        any::<bool>().prop_map(Value::Boolean),
        "[a-c,= \\\\\"é#\n\r\t]{0,12}".prop_map(Value::String),
    ]
}

pub(super) fn row() -> impl Strategy<Value = Row> {
    let tags = prop::collection::btree_map(name(), name(), 0..4);
    let fields = prop::collection::btree_map(name(), value(), 1..5);
    (measurement(), tags, fields, any::<i64>()).prop_map(|(table, tags, fields, time)| Row {
        table,
        tags: tags.into_iter().collect(),
        fields: fields.into_iter().collect(),
        time,
    })
}

proptest! {
    #[test]
    fn points_come_back_as_they_were_written(
        points in prop::collection::vec(row(), 1..20),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        end in prop::sample::select(vec!["\n", "\r\n", "  \n\n", "\n# f=\"\n"]),
    ) {
        let mut sent = points.clone();
        sent.extend(repeats.iter().map(|index| index.get(&points).clone()));
        let body: String = sent.iter().map(|row| write_row(row) + end).collect();
        let parsed = read(&body);
        prop_assert_eq!(&parsed.refused, &[]);
        prop_assert_eq!(parsed.lines, sent.len());
        prop_assert_eq!(rows(&parsed), sent);
    }

    #[test]
    fn bad_lines_among_points_change_nothing(
        points in prop::collection::vec((row(), any::<bool>()), 1..12),
        bad in prop::sample::select(vec!["a", "a f", "a,b=c,b=d f=1", "b f=1,g=2,", "a,x=y f=1x", "c q=\"r\"s", "a f=1i 1 1"]),
    ) {
        let (mut body, mut bad_lines) = (String::new(), 0);
        for (row, is_bad) in &points {
            if *is_bad {
                body.push_str(bad);
                body.push('\n');
                bad_lines += 1;
            }
            body.push_str(&write_row(row));
            body.push('\n');
        }
        let parsed = read(&body);
        prop_assert_eq!(parsed.refused_count, bad_lines);
        prop_assert_eq!(rows(&parsed), points.into_iter().map(|(row, _)| row).collect::<Vec<_>>());
    }
}
