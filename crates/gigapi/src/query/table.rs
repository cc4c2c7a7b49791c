//! Rows as a table for people.
//!
//! The widths of columns come from the first rows: all of them for a short answer, a good sample of a long one, so that
//! any number of rows can be drawn with little memory. A later value that is wider pushes the rest of its line to the
//! right; nothing is cut except to fit a terminal. Values are formatted by arrow; nothing here knows of types beyond
//! which of them are numbers.

mod draw;
mod layout;
mod lines;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::text::plain;

pub(super) use draw::Drawer;
pub(super) use lines::Lines;

/// How text is marked up; nothing where the output is no terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Paint {
    /// Whether escape sequences are written.
    pub(super) colours: bool,
}

impl Paint {
    fn wrapped(self, code: &str, text: &str) -> String {
        match self.colours {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.wrapped("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.wrapped("1;31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.wrapped("32", text)
    }

    pub(super) fn cyan(self, text: &str) -> String {
        self.wrapped("36", text)
    }
}

/// What stands for a value that is not there. It is dim on a terminal, as no text is.
const NULL: &str = "NULL";

/// A row's values, absent where they are null.
type Row = Vec<Option<String>>;

/// The rows of a batch as texts, for other purposes than drawing.
pub(super) fn texts(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    rows(batch, false)
}

/// The rows of a batch as texts without control characters.
fn rows(batch: &RecordBatch, multiline: bool) -> Result<Vec<Row>, ArrowError> {
    let options = FormatOptions::default();
    let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let cell = |index: usize, row: usize| -> Result<Option<String>, ArrowError> {
        if batch.column(index).is_null(row) {
            return Ok(None);
        }
        let text = formatters[index].value(row).try_to_string()?;
        Ok(Some(match multiline {
            true => text.split('\n').map(plain).collect::<Vec<_>>().join("\n"),
            false => plain(&text).into_owned(),
        }))
    };
    (0..batch.num_rows()).map(|row| (0..formatters.len()).map(|index| cell(index, row)).collect()).collect()
}

/// A column's name and how its values stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    /// Numbers stand at the right.
    right: bool,
    /// Cut in half they would be other values.
    rigid: bool,
}

fn columns(schema: &SchemaRef) -> Vec<Column> {
    let column = |field: &arrow::datatypes::FieldRef| {
        let number = field.data_type().is_numeric();
        let time = field.data_type().is_temporal() || *field.data_type() == DataType::Boolean;
        Column { name: plain(field.name()).into_owned(), right: number, rigid: number || time }
    };
    schema.fields().iter().map(column).collect()
}

#[cfg(test)]
mod tests;
