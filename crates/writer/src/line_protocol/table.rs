//! The fields and the timestamp of one table's lines, straight into its draft's columns.
//!
//! Nothing of a line counts before its last byte was read: [`Table::read_row`] finishes the row or takes
//! back everything that the line brought, columns and names included, so that a refused line neither
//! defines a column nor leaves a trace in the rows around it.

use gigapi_model::{ColumnName, TIME_COLUMN};
use gigapi_rows::{Draft, Values};

use super::fault::{Fault, Problem, Step};
use super::layout::{Layout, NONE, Slot};
use super::number::{byte, digits};
use super::tags::TagNames;
use super::text::{find_unescaped, special_in_key, unescape, unquote_into};
use super::value::{Value, after_value, read_value, set_short_number, signed};
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
        let outcome = self.try_row(input, line, at, series);
        if outcome.is_err() {
            self.abandon(names, columns);
        }
        outcome
    }

    #[inline]
    fn try_row(&mut self, input: Input<'a>, line: usize, at: usize, series: u32) -> Step<usize> {
        let at = self.read_fields(input, at)?;
        let (time, end) = read_timestamp(input, at)?;
        check_line(input, line, end)?;
        self.check_cells(input, end)?;
        // Offsets fit, because longer bodies are refused before their first line.
        self.draft.finish_row(series, time, line as u32);
        Ok(end)
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
        let mut index = self.layout.first();
        loop {
            let slot = match self.layout.slot(index) {
                Some(slot) if slot.is_at(body, at) => slot,
                _ => {
                    index = self.find_field(input, at, before)?;
                    let Some(slot) = self.layout.slot(index) else { return Err(Problem::NoFieldName.in_fields(at)) };
                    slot
                }
            };
            let (value_at, next) = (at + slot.len(), slot.next);
            let end = match self.draft.fields.get_mut(slot.column as usize) {
                Some(field) if !slot.mixed => set_short_number(&mut field.column, row, body, value_at),
                _ => None,
            };
            let end = match end {
                Some(end) => end,
                None => self.read_any_value(body, (at, index), row)?,
            };
            match byte(body, end) {
                b',' => at = end + 1,
                b' ' | b'\n' | b'\r' => return Ok(end),
                _ => return Err(self.after_field(body, index, (value_at, end))),
            }
            before = index;
            index = next;
        }
    }

    /// Reads and stores the value of the field at `at`, whatever it is; returns where it ends.
    #[inline(never)]
    fn read_any_value(&mut self, body: &[u8], (at, index): (usize, u32), row: usize) -> Step<usize> {
        let Some(slot) = self.layout.slot(index) else { return Err(Problem::NoFieldName.in_fields(at)) };
        let (column, mixed) = (slot.column, slot.mixed);
        let (value, end) = read_value(body, at + slot.len(), slot.name())?;
        if mixed || !self.set(body, row, column, value) {
            self.set_new_type(body, (at, index), row, value)?;
        }
        Ok(end)
    }

    #[cold]
    fn after_field(&self, body: &[u8], index: u32, (value_at, end): (usize, usize)) -> Box<Fault> {
        let name = self.layout.slot(index).map_or(Span::new(value_at, value_at), Slot::name);
        after_value(body, name, (value_at, end))
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
