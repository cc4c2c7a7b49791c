//! Why a line is refused, and how that is told to its sender.
//!
//! A fault is found in the middle of the parser, where the text of the message would cost more than the
//! parsing; so it carries positions, and becomes a sentence only if the line is among those that the
//! answer shows. Every sentence names the column (bytes, from 1) at which the line stopped making sense.

use gigapi_model::NameError;
use memchr::memchr;

use super::Span;
use super::text::line_end;

/// How many bytes of a name or a value a message shows.
const SHOWN_BYTES_MAX: usize = 64;

/// The outcome of a parsing step. The fault is boxed so that the good case stays small.
pub(super) type Step<T> = Result<T, Box<Fault>>;

/// What is wrong with a line, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// Offset in the body at which the line stopped making sense.
    pub(super) at: usize,
    pub(super) place: Place,
    pub(super) problem: Problem,
}

/// In which part of a line a fault lies, which decides where the line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In measurement or tags, where a quote is a byte like others.
    Tags,
    /// Behind the tags, where a quote opens a text that may hold newlines.
    Fields,
    /// At a quote that was not meant to hold newlines: the line ends at the first of them.
    OpenQuote,
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum Problem {
    NoMeasurement,
    NoFields,
    NoTagName,
    NoEqualsAfterTag(Span),
    NoTagValue(Span),
    TabInTag(Span),
    TagTooLong { tag: Span, bytes: usize, bytes_max: usize },
    DuplicateTag(Span),
    NoFieldName,
    NoEqualsAfterField(Span),
    NoFieldValue(Span),
    UnknownValue(Span),
    NotFinite(Span),
    OutOfRange { field: Span, column_type: &'static str },
    MalformedNumber(Span),
    OpenQuote(Span),
    AfterValue(Span),
    TwoTypes(Span),
    NotATimestamp,
    TimestampOutOfRange,
    AfterTimestamp,
    TimeName(&'static str),
    Name(NameError),
    NotUtf8,
    LineTooLong { bytes: usize, bytes_max: usize },
    TooManyTables(usize),
    TooManyColumns(usize),
    TooManyCells(usize),
    BodyTooLong,
}

impl Problem {
    /// The fault of having this problem at `at`, in the measurement or the tags.
    #[cold]
    pub(super) fn in_tags(self, at: usize) -> Box<Fault> {
        Box::new(Fault { at, place: Place::Tags, problem: self })
    }

    /// The fault of having this problem at `at`, behind the tags.
    #[cold]
    pub(super) fn in_fields(self, at: usize) -> Box<Fault> {
        Box::new(Fault { at, place: Place::Fields, problem: self })
    }

    /// The fault that the quote at `at` of the field with that name is not closed in its line.
    #[cold]
    pub(super) fn open_quote(field: Span, at: usize) -> Box<Fault> {
        Box::new(Fault { at, place: Place::OpenQuote, problem: Self::OpenQuote(field) })
    }
}

impl Fault {
    /// Where the refused line ends: its newline, or the body's end.
    pub(super) fn line_end(&self, body: &[u8]) -> usize {
        let at = self.at.min(body.len());
        match self.place {
            Place::Tags => line_end(body, at, false),
            Place::Fields => line_end(body, at, true),
            Place::OpenQuote => {
                memchr(b'\n', body.get(at..).unwrap_or_default()).map_or(body.len(), |offset| at + offset)
            }
        }
    }

    /// The sentence for the sender of `body`, whose line began at `line`.
    pub(super) fn describe(&self, body: &[u8], line: usize) -> String {
        let column = self.at.saturating_sub(line) + 1;
        let found = found(body, self.at);
        let name = |span: &Span| shown(span.of(body));
        match &self.problem {
            Problem::NoMeasurement => format!("expected a measurement name at column {column}, found {found}"),
            Problem::NoFields => {
                format!("expected a space and at least one field at column {column}, found {found}")
            }
            Problem::NoTagName => format!("expected a tag name at column {column}, found {found}"),
            Problem::NoEqualsAfterTag(tag) => {
                format!("expected `=` and a value after tag {} at column {column}, found {found}", name(tag))
            }
            Problem::NoTagValue(tag) => format!(
                "expected a tag value after {} at column {column}, found {found}; leave out a tag that has no value",
                name(tag)
            ),
            Problem::TabInTag(tag) => {
                format!("the value of tag {} holds a tab at column {column}; replace it by a space", name(tag))
            }
            Problem::TagTooLong { tag, bytes, bytes_max } => format!(
                "the value of tag {} at column {column} has {bytes} bytes, {bytes_max} is the limit; send it as a field",
                name(tag)
            ),
            Problem::DuplicateTag(tag) => {
                format!("tag {} is there twice, again at column {column}; send it once", name(tag))
            }
            Problem::NoFieldName => format!("expected a field name at column {column}, found {found}"),
            Problem::NoEqualsAfterField(field) => {
                format!("expected `=` and a value after field {} at column {column}, found {found}", name(field))
            }
            Problem::NoFieldValue(field) => {
                format!("expected a field value after {} at column {column}, found {found}", name(field))
            }
            Problem::AfterValue(field) => format!(
                "expected a comma, a space or the line's end after the value of {} at column {column}, found {found}",
                name(field)
            ),
            Problem::Name(error) => format!("{error} (at column {column})"),
            Problem::TimeName(role) => {
                format!("`time` at column {column} is every table's time column; give the {role} another name")
            }
            problem => problem.describe_value(body, column, &found),
        }
    }
}

impl Problem {
    fn describe_value(&self, body: &[u8], column: usize, found: &str) -> String {
        let name = |span: &Span| shown(span.of(body));
        match self {
            Self::UnknownValue(field) => format!(
                "the value of {} at column {column} is no number, boolean or quoted text; quote a text with `\"`",
                name(field)
            ),
            Self::NotFinite(field) => format!(
                "the value of {} at column {column} is NaN or infinite, which cannot be stored; leave the field out",
                name(field)
            ),
            Self::OutOfRange { field, column_type } => {
                format!("the value of {} at column {column} does not fit a 64-bit {column_type}", name(field))
            }
            Self::MalformedNumber(field) => {
                format!("the number of {} is malformed at column {column}, found {found}", name(field))
            }
            Self::OpenQuote(field) => {
                format!("the text of {} opens a quote at column {column} that is never closed", name(field))
            }
            Self::TwoTypes(field) => {
                format!("field {} is there with two types, again at column {column}; send it once", name(field))
            }
            Self::NotATimestamp => format!("expected a timestamp (an integer) at column {column}, found {found}"),
            Self::TimestampOutOfRange => format!(
                "the timestamp at column {column} does not fit 64-bit nanoseconds (years 1677 to 2262); check `precision`"
            ),
            Self::AfterTimestamp => {
                format!("expected the line's end after the timestamp at column {column}, found {found}")
            }
            Self::NotUtf8 => format!("byte at column {column} is not UTF-8; encode the line as UTF-8"),
            Self::LineTooLong { bytes, bytes_max } => {
                format!("the line has {bytes} bytes, {bytes_max} is the limit; split it into several lines")
            }
            Self::TooManyTables(limit) => {
                format!("the request names more than {limit} tables, which is the limit; split it")
            }
            Self::TooManyColumns(limit) => {
                format!(
                    "the request names more than {limit} columns of this table, which is the limit; at column {column}"
                )
            }
            Self::TooManyCells(limit) => format!(
                "the request holds more than {limit} cells (rows times columns) of this table, which is the limit; split it"
            ),
            Self::BodyTooLong => "the body has more than 4 GiB, which is the limit; split it".to_owned(),
            // `Fault::describe` has told all others.
            _ => format!("the line is malformed at column {column}, found {found}"),
        }
    }
}

/// What stands at `at`, for "expected …, found …".
fn found(body: &[u8], at: usize) -> String {
    match body.get(at..) {
        None | Some([] | [b'\n', ..] | [b'\r', b'\n', ..]) => "the line's end".to_owned(),
        Some([b' ', ..]) => "a space".to_owned(),
        Some(rest) => {
            let start = rest.get(..rest.len().min(4)).unwrap_or_default();
            let text = String::from_utf8_lossy(start);
            format!("`{}`", text.chars().next().map_or(String::new(), |c| c.escape_debug().to_string()))
        }
    }
}

/// A name in quotes, shortened to what a message can hold.
fn shown(name: &[u8]) -> String {
    let head = name.get(..SHOWN_BYTES_MAX).unwrap_or(name);
    let ellipsis = if head.len() < name.len() { "…" } else { "" };
    format!("\"{}{ellipsis}\"", String::from_utf8_lossy(head).escape_debug())
}
