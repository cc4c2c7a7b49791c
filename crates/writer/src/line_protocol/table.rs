//! The fields and the timestamp of one table's lines, straight into its draft's columns.
//!
//! Nothing of a line counts before its last byte was read: [`Table::read_row`] finishes the row or takes
//! back everything that the line brought, columns and names included, so that a refused line neither
//! defines a column nor leaves a trace in the rows around it.

use gigapi_model::{ColumnName, ColumnType, TIME_COLUMN};
use gigapi_rows::{Draft, Values};
use memchr::memchr;

use super::fault::{Fault, Problem, Step};
use super::layout::{Layout, NONE};
use super::number::{Digits, NotAFloat, byte, digits, float};
use super::tags::TagNames;
use super::text::{closing_quote, find_unescaped, special_in_key, unescape, unquote_into};
use super::{Input, Span};

/// One table of a request.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) name: String,
    pub(super) draft: Draft,
    pub(super) tags: TagNames<'a>,
    layout: Layout,
    /// Holds texts while their escapes are removed.
    text: Vec<u8>,
}

/// A field's value as its line wrote it.
#[derive(Debug, Clone, Copy)]
enum Value {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    /// A text between quotes, and whether a backslash stands in it.
    Text(Span, bool),
}

impl Value {
    fn column_type(self) -> ColumnType {
        match self {
            Self::Float(_) => ColumnType::Float,
            Self::Integer(_) => ColumnType::Integer,
            Self::Unsigned(_) => ColumnType::Unsigned,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Text(..) => ColumnType::String,
        }
    }
}

impl<'a> Table<'a> {
    pub(super) fn new(name: String) -> Self {
        Self { name, draft: Draft::default(), tags: TagNames::default(), layout: Layout::new(), text: Vec::new() }
    }

    /// How many distinct field names there are.
    pub(super) fn field_names(&self) -> usize {
        self.layout.len()
    }

    /// Reads fields and timestamp of the line that began at `line`, from `at` (the space behind the tags)
    /// on, and finishes its row. Returns where the line ends.
    #[inline]
    pub(super) fn read_row(&mut self, input: Input<'a>, line: usize, at: usize, series: u32) -> Step<usize> {
        let names = self.layout.len();
        let columns = self.draft.fields.len();
        let outcome = self
            .read_fields(input, at)
            .and_then(|at| read_timestamp(input, at))
            .and_then(|(time, end)| check_line(input, line, end).map(|()| (time, end)))
            .and_then(|(time, end)| self.check_cells(input, end).map(|()| (time, end)));
        match outcome {
            Ok((time, end)) => {
                // Offsets fit, because longer bodies are refused before their first line.
                self.draft.finish_row(series, time, line as u32);
                Ok(end)
            }
            Err(fault) => {
                self.abandon(names, columns);
                Err(fault)
            }
        }
    }

    #[cold]
    fn abandon(&mut self, names: usize, columns: usize) {
        self.draft.fields.truncate(columns);
        self.draft.abandon_row();
        self.layout.rewind(names, columns);
    }

    #[inline]
    fn check_cells(&self, input: Input<'a>, at: usize) -> Step<()> {
        let cells_max = input.options.cells_max;
        match (self.draft.rows() + 1) * self.draft.fields.len() > cells_max {
            true => Err(Problem::TooManyCells(cells_max).in_fields(at)),
            false => Ok(()),
        }
    }

    /// Reads the fields from `at` on, where at least one space stands; returns where they end.
    #[inline]
    fn read_fields(&mut self, input: Input<'a>, at: usize) -> Step<usize> {
        let body = input.body;
        let row = self.draft.rows();
        let mut at = skip_spaces(body, at);
        let mut before = NONE;
        loop {
            let expected = self.layout.expected_after(before);
            let index = match self.layout.slot(expected) {
                Some(slot) if slot.is_at(body, at) => expected,
                _ => self.find_field(input, at, before)?,
            };
            let Some(slot) = self.layout.slot(index) else { return Err(Problem::NoFieldName.in_fields(at)) };
            let (column, mixed, name) = (slot.column, slot.mixed, slot.name());
            let (value, end) = read_value(body, at + slot.len(), name)?;
            if mixed || !self.set(body, row, column, value) {
                self.set_new_type(body, (at, index), row, value)?;
            }
            match byte(body, end) {
                b',' => at = end + 1,
                b' ' | b'\n' | b'\r' => return Ok(end),
                _ => return Err(after_value(body, name, value, end)),
            }
            before = index;
        }
    }

    /// Stores `value` if `column` exists and has its type.
    #[inline]
    fn set(&mut self, body: &[u8], row: usize, column: u32, value: Value) -> bool {
        let Some(field) = self.draft.fields.get_mut(column as usize) else { return false };
        match value {
            Value::Float(value) => field.column.set_float(row, value),
            Value::Integer(value) => field.column.set_integer(row, value),
            Value::Unsigned(value) => field.column.set_unsigned(row, value),
            Value::Boolean(value) => field.column.set_boolean(row, value),
            Value::Text(text, false) => field.column.set_string(row, text.of(body)),
            Value::Text(text, true) => {
                self.text.clear();
                unquote_into(text.of(body), &mut self.text);
                field.column.set_string(row, &self.text)
            }
        }
    }

    /// Stores a value of a type that the field at `at` did not have in the line before, or never had.
    #[cold]
    fn set_new_type(&mut self, body: &[u8], (at, index): (usize, u32), row: usize, value: Value) -> Step<()> {
        let Some(slot) = self.layout.slot(index).copied() else { return Ok(()) };
        let column_type = value.column_type();
        let typed = slot.column_of(column_type);
        let has_row = |column: u32| self.draft.fields.get(column as usize).is_some_and(|f| f.column.len() > row);
        if slot.columns().any(|column| column != typed && has_row(column)) {
            return Err(Problem::TwoTypes(slot.name()).in_fields(at));
        }
        let column = match typed {
            NONE => {
                let name = unescape(slot.name().of(body), special_in_key);
                let Some(values) = Values::empty(column_type) else { return Ok(()) };
                let column = self.draft.add_field(String::from_utf8_lossy(&name).into_owned(), values);
                u32::try_from(column).unwrap_or(NONE)
            }
            typed => typed,
        };
        self.layout.use_column(index, column_type, column);
        self.set(body, row, column, value);
        Ok(())
    }

    /// Reads the field name at `at`, which is not the expected one.
    fn find_field(&mut self, input: Input<'a>, at: usize, before: u32) -> Step<u32> {
        let body = input.body;
        let equals = find_unescaped(body, at, |byte| matches!(byte, b'=' | b',' | b' '));
        let name = Span::new(at, equals);
        if name.is_empty() {
            return Err(Problem::NoFieldName.in_fields(at));
        }
        if byte(body, equals) != b'=' {
            return Err(Problem::NoEqualsAfterField(name).in_fields(equals));
        }
        let raw = Span::new(at, equals + 1);
        let index = match self.layout.find(body, raw.of(body)) {
            Some(index) => index,
            None => {
                self.check_new_name(input, at, name)?;
                self.layout.add(body, raw)
            }
        };
        self.layout.follows(before, index);
        Ok(index)
    }

    #[cold]
    fn check_new_name(&self, input: Input<'a>, at: usize, name: Span) -> Step<()> {
        let text = unescape(name.of(input.body), special_in_key);
        let text = std::str::from_utf8(&text).map_err(|error| Problem::NotUtf8.in_fields(at + error.valid_up_to()))?;
        if text == TIME_COLUMN {
            return Err(Problem::TimeName("field").in_fields(at));
        }
        ColumnName::new(text).map_err(|error| Problem::Name(error).in_fields(at))?;
        let columns_max = input.options.columns_max;
        match self.layout.len() + self.tags.len() < columns_max {
            true => Ok(()),
            false => Err(Problem::TooManyColumns(columns_max).in_fields(at)),
        }
    }
}

#[inline]
fn skip_spaces(body: &[u8], at: usize) -> usize {
    let mut at = at;
    while byte(body, at) == b' ' {
        at += 1;
    }
    at
}

/// Reads the value at `at` of the field with that name; returns where it ends.
#[inline]
fn read_value(body: &[u8], at: usize, name: Span) -> Step<(Value, usize)> {
    match byte(body, at) {
        b'0'..=b'9' | b'-' | b'.' => read_number(body, at, name),
        b'"' => {
            let (close, escaped) = closing_quote(body, at + 1).ok_or_else(|| Problem::open_quote(name, at))?;
            Ok((Value::Text(Span::new(at + 1, close), escaped), close + 1))
        }
        _ => read_word(body, at, name),
    }
}

#[inline]
fn read_number(body: &[u8], at: usize, name: Span) -> Step<(Value, usize)> {
    let negative = byte(body, at) == b'-';
    let first = at + usize::from(negative);
    let whole = digits(body, first);
    let end = first + whole.count;
    match byte(body, end) {
        b'i' if whole.count > 0 => {
            let value = signed(whole, negative);
            let value = value.ok_or_else(|| out_of_range(name, "integer", at))?;
            Ok((Value::Integer(value), end + 1))
        }
        b'u' if whole.count > 0 && !negative => match whole.overflow {
            true => Err(out_of_range(name, "unsigned integer", at)),
            false => Ok((Value::Unsigned(whole.value), end + 1)),
        },
        _ => match float(body, at, end, whole) {
            Ok((value, end)) => Ok((Value::Float(value), end)),
            Err(NotAFloat::TooLarge) => Err(out_of_range(name, "float", at)),
            Err(NotAFloat::Malformed(_)) if is_not_finite(body, first) => Err(Problem::NotFinite(name).in_fields(at)),
            Err(NotAFloat::Malformed(place)) => Err(Problem::MalformedNumber(name).in_fields(place)),
        },
    }
}

/// The fault of what stands at `end`, behind a value. A text over several lines with more than a delimiter
/// behind it was most likely never closed in its own line, and met another line's quote.
#[cold]
fn after_value(body: &[u8], name: Span, value: Value, end: usize) -> Box<Fault> {
    match value {
        Value::Text(text, _) if memchr(b'\n', text.of(body)).is_some() => {
            Problem::open_quote(name, end.saturating_sub(text.len() + 2))
        }
        _ => Problem::AfterValue(name).in_fields(end),
    }
}

#[cold]
fn out_of_range(field: Span, column_type: &'static str, at: usize) -> Box<Fault> {
    Problem::OutOfRange { field, column_type }.in_fields(at)
}

#[inline]
fn signed(digits: Digits, negative: bool) -> Option<i64> {
    match negative {
        _ if digits.overflow => None,
        false => i64::try_from(digits.value).ok(),
        true => 0_i64.checked_sub_unsigned(digits.value),
    }
}

/// Reads a boolean, or tells what stands there instead.
fn read_word(body: &[u8], at: usize, name: Span) -> Step<(Value, usize)> {
    let rest = body.get(at..).unwrap_or_default();
    let len = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = rest.get(..len).unwrap_or_default();
    match word {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok((Value::Boolean(true), at + len)),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok((Value::Boolean(false), at + len)),
        _ if is_not_finite(body, at + usize::from(byte(body, at) == b'+')) => {
            Err(Problem::NotFinite(name).in_fields(at))
        }
        b"" if matches!(byte(body, at), b',' | b' ' | b'\n' | b'\r') => Err(Problem::NoFieldValue(name).in_fields(at)),
        _ => Err(Problem::UnknownValue(name).in_fields(at)),
    }
}

fn is_not_finite(body: &[u8], at: usize) -> bool {
    let start = body.get(at..).unwrap_or_default();
    start.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"nan") || word.eq_ignore_ascii_case(b"inf"))
}

/// Reads what follows the fields: nothing, or a timestamp. Returns the time in nanoseconds and where the
/// line ends.
#[inline]
fn read_timestamp(input: Input<'_>, at: usize) -> Step<(i64, usize)> {
    let body = input.body;
    let at = skip_spaces(body, at);
    if let Some(end) = end_of_line(body, at) {
        return Ok((input.now, end));
    }
    let negative = byte(body, at) == b'-';
    let first = at + usize::from(negative);
    let count = digits(body, first);
    if count.count == 0 {
        return Err(Problem::NotATimestamp.in_fields(at));
    }
    let after = skip_spaces(body, first + count.count);
    let end = end_of_line(body, after).ok_or_else(|| Problem::AfterTimestamp.in_fields(after))?;
    let nanos = signed(count, negative).and_then(|count| input.options.precision.to_nanos(count));
    match nanos {
        Some(nanos) => Ok((nanos, end)),
        None => Err(Problem::TimestampOutOfRange.in_fields(at)),
    }
}

/// Where the line ends, if it ends at `at`: there, or behind the carriage return that stands there.
#[inline]
fn end_of_line(body: &[u8], at: usize) -> Option<usize> {
    match byte(body, at) {
        b'\n' => Some(at),
        b'\r' if byte(body, at + 1) == b'\n' => Some(at + 1),
        _ => None,
    }
}

/// The checks that concern a line as a whole.
#[inline]
fn check_line(input: Input<'_>, line: usize, end: usize) -> Step<()> {
    let bytes_max = input.options.line_bytes_max;
    if end - line > bytes_max {
        return Err(Problem::LineTooLong { bytes: end - line, bytes_max }.in_fields(end));
    }
    if !input.is_utf8 {
        let text = std::str::from_utf8(input.body.get(line..end).unwrap_or_default());
        text.map_err(|error| Problem::NotUtf8.in_fields(line + error.valid_up_to()))?;
    }
    Ok(())
}
