//! Questions in SQL, and their answers as they follow from the rows that the model holds.

use super::model::{FIELDS, Fields, Key, Rows, TAGS, Value};

/// A condition. One about a value that is missing is true for no row, as in SQL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Filter {
    IntegerAbove(i64),
    IntegerIs(i64),
    FloatBelow(f64),
    TextIs(&'static str),
    TextIsNot(&'static str),
    Flag(bool),
    Missing(usize),
    Present(usize),
    TagIs(usize, &'static str),
    TagMissing(usize),
    /// From the first time on, before the second.
    Between(i64, i64),
    /// A tag and a field.
    TagAndInteger(&'static str, i64),
}

impl Filter {
    /// The columns that it names, other than `time`.
    pub(super) fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::IntegerAbove(_) | Self::IntegerIs(_) => vec!["i"],
            Self::FloatBelow(_) => vec!["f"],
            Self::TextIs(_) | Self::TextIsNot(_) => vec!["s"],
            Self::Flag(_) => vec!["b"],
            Self::Missing(field) | Self::Present(field) => vec![FIELDS[*field]],
            Self::TagIs(tag, _) | Self::TagMissing(tag) => vec![TAGS[*tag]],
            Self::Between(..) => Vec::new(),
            Self::TagAndInteger(..) => vec!["h", "i"],
        }
    }

    pub(super) fn sql(&self) -> String {
        match self {
            Self::IntegerAbove(than) => format!("i > {than}"),
            Self::IntegerIs(value) => format!("i = {value}"),
            Self::FloatBelow(than) => format!("f < {than:?}"),
            Self::TextIs(text) => format!("s = '{text}'"),
            Self::TextIsNot(text) => format!("s <> '{text}'"),
            Self::Flag(flag) => format!("b = {flag}"),
            Self::Missing(field) => format!("{} IS NULL", FIELDS[*field]),
            Self::Present(field) => format!("{} IS NOT NULL", FIELDS[*field]),
            Self::TagIs(tag, value) => format!("{} = '{value}'", TAGS[*tag]),
            Self::TagMissing(tag) => format!("{} IS NULL", TAGS[*tag]),
            Self::Between(from, to) => format!("time >= {from} AND time < {to}"),
            Self::TagAndInteger(host, than) => format!("h = '{host}' AND i > {than}"),
        }
    }

    fn holds(&self, (tags, time): &Key, fields: &Fields) -> bool {
        let [i, f, s, b] = *fields;
        let above = |than: i64| matches!(i, Some(Value::Integer(value)) if value > than);
        match *self {
            Self::IntegerAbove(than) => above(than),
            Self::IntegerIs(value) => i == Some(Value::Integer(value)),
            Self::FloatBelow(than) => matches!(f, Some(Value::Float(value)) if value < than),
            Self::TextIs(text) => s == Some(Value::Text(text)),
            Self::TextIsNot(text) => s.is_some_and(|value| value != Value::Text(text)),
            Self::Flag(flag) => b == Some(Value::Flag(flag)),
            Self::Missing(field) => fields[field].is_none(),
            Self::Present(field) => fields[field].is_some(),
            Self::TagIs(tag, value) => tags[tag] == Some(value),
            Self::TagMissing(tag) => tags[tag].is_none(),
            Self::Between(from, to) => (from..to).contains(time),
            Self::TagAndInteger(host, than) => tags[0] == Some(host) && above(than),
        }
    }

    pub(super) fn of(&self, rows: &Rows) -> Rows {
        rows.iter().filter(|(key, fields)| self.holds(key, fields)).map(|(key, fields)| (*key, *fields)).collect()
    }
}

/// The rows as lines, sorted: tags, time and fields, with `-` for what is missing.
pub(super) fn lines(rows: &Rows) -> Vec<String> {
    let tag = |tag: &Option<&str>| tag.map_or("-".to_owned(), |tag| format!("{tag:?}"));
    let line = |((tags, time), fields): (&Key, &Fields)| {
        let texts = tags.iter().map(tag).chain([time.to_string()]).chain(fields.iter().map(|field| text(*field)));
        texts.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

fn text(value: Option<Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::Integer(value)) => value.to_string(),
        Some(Value::Float(value)) => format!("{value:?}"),
        Some(Value::Text(value)) => format!("{value:?}"),
        Some(Value::Flag(value)) => value.to_string(),
    }
}

/// What statistics answer where nothing overlaps, and its answer: the number of rows, the span of time, and per
/// column the number of values and the extremes.
pub(super) fn totals(rows: &Rows, has: impl Fn(&str) -> bool) -> (String, String) {
    let mut asked = vec!["count(*)".to_owned(), "min(time)".to_owned(), "max(time)".to_owned()];
    let time = |time: Option<i64>| time.map_or("-".to_owned(), |time| time.to_string());
    let times = || rows.keys().map(|(_, time)| *time);
    let mut answers = vec![rows.len().to_string(), time(times().min()), time(times().max())];
    for (index, name) in FIELDS.into_iter().enumerate().filter(|(_, name)| has(name)) {
        let values: Vec<Value> = rows.values().filter_map(|fields| fields[index]).collect();
        asked.push(format!("count({name})"));
        answers.push(values.len().to_string());
        if name == "b" {
            continue;
        }
        asked.extend([format!("min({name})"), format!("max({name})")]);
        let by = |a: &&Value, b: &&Value| compare(**a, **b);
        answers.push(text(values.iter().min_by(by).copied()));
        answers.push(text(values.iter().max_by(by).copied()));
    }
    if has("i") {
        asked.push("sum(i)".to_owned());
        let integer = |fields: &Fields| if let Some(Value::Integer(value)) = fields[0] { Some(value) } else { None };
        let values: Vec<i64> = rows.values().filter_map(integer).collect();
        answers.push(if values.is_empty() { "-".to_owned() } else { values.iter().sum::<i64>().to_string() });
    }
    (asked.join(", "), answers.join(" "))
}

fn compare(a: Value, b: Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(&b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Flag(a), Value::Flag(b)) => a.cmp(&b),
        _ => panic!("a column has one type"),
    }
}
