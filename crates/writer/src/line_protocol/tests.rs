use gigapi_model::Timestamp;
use gigapi_rows::Values;

use super::{ParseOptions, Parsed, Precision, parse};

mod foreign;
mod generated;
mod grammar;
mod isolation;
mod oracle;

/// A point as text, so that a mismatch can be read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Row {
    pub(super) table: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) fields: Vec<(String, Value)>,
    pub(super) time: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Float(u64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(String),
}

impl Value {
    pub(super) fn float(value: f64) -> Self {
        Self::Float(value.to_bits())
    }
}

pub(super) fn options() -> ParseOptions {
    ParseOptions::new(Precision::Nanosecond, Timestamp::from_nanos(1_234_567_890_123_456_789))
}

pub(super) fn read(body: &str) -> Parsed {
    parse(body.as_bytes(), &options())
}

/// The rows in the order of the body; tags by name, fields by name.
pub(super) fn rows(parsed: &Parsed) -> Vec<Row> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut rows = Vec::new();
    for table in &parsed.tables {
        let draft = &table.draft;
        for row in 0..draft.rows() {
            let series = draft.series_of_row[row] as usize;
            let tag = |pair: &gigapi_rows::TagPair| {
                (draft.tag_names[usize::from(pair.name)].clone(), text(draft.tag_value(*pair)))
            };
            let mut tags: Vec<_> = draft.series(series).iter().map(tag).collect();
            tags.sort();
            let mut fields: Vec<_> = draft
                .fields
                .iter()
                .filter(|field| field.column.is_valid(row))
                .map(|field| {
                    let value = match field.column.values() {
                        Values::Float(values) => Value::float(values[row]),
                        Values::Integer(values) => Value::Integer(values[row]),
                        Values::Unsigned(values) => Value::Unsigned(values[row]),
                        Values::Boolean(values) => Value::Boolean(values[row]),
                        Values::String(values) => Value::String(text(values.get(row))),
                    };
                    (field.name.clone(), value)
                })
                .collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            rows.push((draft.origin[row], Row { table: table.name.clone(), tags, fields, time: draft.time[row] }));
        }
    }
    rows.sort_by_key(|(origin, _)| *origin);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The only row of a body that must have no other line.
pub(super) fn row(body: &str) -> Row {
    let parsed = read(body);
    assert_eq!(parsed.refused, [], "{body:?}");
    let mut rows = rows(&parsed);
    assert_eq!(rows.len(), 1, "{body:?}");
    rows.remove(0)
}

/// Why the only line of a body is refused.
pub(super) fn reason(body: &str) -> String {
    let parsed = read(body);
    assert!(parsed.tables.is_empty(), "{body:?} was taken: {:?}", rows(&parsed));
    assert_eq!(parsed.refused.len(), 1, "{body:?}: {:?}", parsed.refused);
    parsed.refused[0].reason.clone()
}
