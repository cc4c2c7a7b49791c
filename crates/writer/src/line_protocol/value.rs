//! A field's value.
//!
//! Most values are numbers of a few digits, of the type that their column has; [`set_short_number`] takes
//! those from the body to the column in one go and leaves everything else, right or wrong, to
//! [`read_value`], which can tell what is wrong.

use gigapi_model::ColumnType;
use gigapi_rows::Column;
use memchr::memchr;

use super::Span;
use super::fault::{Fault, Problem, Step};
use super::number::{Digits, NotAFloat, byte, digits, float, short_decimal, short_digits};
use super::text::closing_quote;

/// A field's value as its line wrote it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    /// A text between quotes, and whether a backslash stands in it.
    Text(Span, bool),
}

impl Value {
    pub(super) fn column_type(self) -> ColumnType {
        match self {
            Self::Float(_) => ColumnType::Float,
            Self::Integer(_) => ColumnType::Integer,
            Self::Unsigned(_) => ColumnType::Unsigned,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Text(..) => ColumnType::String,
        }
    }
}

/// Stores the number at `at` as row `row` of `column`, if it is one of few digits and of the column's type;
/// returns where it ends. `None` says nothing but that another way has to be found.
#[inline]
pub(super) fn set_short_number(column: &mut Column, row: usize, body: &[u8], at: usize) -> Option<usize> {
    let negative = byte(body, at) == b'-';
    let first = at + usize::from(negative);
    let (whole, count) = short_digits(body, first)?;
    let end = first + count;
    match byte(body, end) {
        b'i' => {
            let value = whole as i64;
            column.set_integer(row, if negative { -value } else { value }).then_some(end + 1)
        }
        b'.' => {
            let (value, count) = short_decimal(body, end + 1, whole)?;
            let end = end + 1 + count;
            let is_whole = byte(body, end) | 0x20 != b'e';
            (is_whole && column.set_float(row, if negative { -value } else { value })).then_some(end)
        }
        b',' | b' ' | b'\n' => {
            let value = whole as f64;
            column.set_float(row, if negative { -value } else { value }).then_some(end)
        }
        _ => None,
    }
}

/// Reads the value at `at` of the field with that name; returns where it ends.
#[inline]
pub(super) fn read_value(body: &[u8], at: usize, name: Span) -> Step<(Value, usize)> {
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

/// The fault of what stands at `end`, behind the value that began at `at`. A text over several lines with
/// more than a delimiter behind it was most likely never closed in its own line, and met another line's quote.
#[cold]
pub(super) fn after_value(body: &[u8], name: Span, (at, end): (usize, usize)) -> Box<Fault> {
    let is_text = byte(body, at) == b'"';
    match is_text && memchr(b'\n', body.get(at..end).unwrap_or_default()).is_some() {
        true => Problem::open_quote(name, at),
        false => Problem::AfterValue(name).in_fields(end),
    }
}

#[cold]
fn out_of_range(field: Span, column_type: &'static str, at: usize) -> Box<Fault> {
    Problem::OutOfRange { field, column_type }.in_fields(at)
}

#[inline]
pub(super) fn signed(digits: Digits, negative: bool) -> Option<i64> {
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
