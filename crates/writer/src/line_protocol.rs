//! InfluxDB line protocol to drafts, the whole grammar, without a copy of what the draft does not keep.
//!
//! The parser is ours because it fills columns, not points: most of a line repeats the line before, and
//! what repeats is compared, not parsed (`series`, `layout`). A line is taken or refused as a whole and
//! never touches its neighbours; where InfluxDB's own versions disagree, the decision and its reason are
//! in `docs/decisions/0003-line-protocol-choices.md`. Whether a table accepts the rows is not decided
//! here: that is [`gigapi_rows::resolve`]'s.

mod fault;
mod layout;
mod lines;
mod number;
mod precision;
mod series;
mod table;
mod tags;
mod text;
mod value;

use gigapi_model::{TableName, Timestamp};
use gigapi_rows::Draft;
use hashbrown::HashMap;

pub use lines::{Cut, LineCounter, cut_lines, line_at};
pub use precision::Precision;

use fault::{Fault, Problem, Step};
use number::byte;
use series::{Prefix, Prefixes};
use table::Table;
use tags::TagMark;
use text::{prefix_end, special_in_measurement, unescape};

/// How a body is to be read. Limits are inclusive; a line beyond one is refused, the others go on.
#[derive(Debug, Clone)]
pub struct ParseOptions {
    /// The unit of the timestamps.
    pub precision: Precision,
    /// The time of a line that has none, before it is truncated to the precision.
    pub now: Timestamp,
    /// Bytes of a line, without its newline.
    pub line_bytes_max: usize,
    /// Bytes of a tag's value, as it is written.
    pub tag_value_bytes_max: usize,
    /// Distinct tag and field names of one table in the body; at most 65,535 tags whatever it says.
    pub columns_max: usize,
    /// Distinct tables in the body.
    pub tables_max: usize,
    /// Rows times fields of one table in the body. Columns are dense, so this bounds the memory that a
    /// small body can ask for: 8 bytes a cell.
    pub cells_max: usize,
    /// How many refused lines are described; all are counted.
    pub described_max: usize,
}

impl ParseOptions {
    /// The default limits, for bodies whose timestamps count in `precision`.
    pub fn new(precision: Precision, now: Timestamp) -> Self {
        Self {
            precision,
            now,
            line_bytes_max: 1 << 20,
            tag_value_bytes_max: 64 << 10,
            columns_max: 1_000,
            tables_max: 10_000,
            cells_max: 128 << 20,
            described_max: 100,
        }
    }
}

/// What a body holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The rows, by table; every table has at least one.
    pub tables: Vec<ParsedTable>,
    /// Lines that are no points, ascending; the first [`ParseOptions::described_max`] of them.
    pub refused: Vec<RefusedLine>,
    /// How many lines are no points.
    pub refused_count: usize,
    /// Lines that are points or should be: all but blank ones and comments.
    pub lines: usize,
}

/// The rows of one table.
#[derive(Debug)]
pub struct ParsedTable {
    /// The measurement, unescaped; a valid table name.
    pub name: String,
    /// Its rows. [`Draft::origin`] is the offset in the body at which the row's line begins.
    pub draft: Draft,
}

/// A line that is no point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// The physical line in the body on which it begins, from 1.
    pub line_number: usize,
    /// Offset of its first byte that is not blank.
    pub origin: usize,
    /// Its bytes, without the newline.
    pub len: usize,
    /// What is wrong, at which column, and what to do.
    pub reason: String,
}

/// Reads a body. Never fails as a whole: what is no point is in [`Parsed::refused`].
pub fn parse(body: &[u8], options: &ParseOptions) -> Parsed {
    let is_utf8 = simdutf8::basic::from_utf8(body).is_ok();
    let now = options.precision.truncate(options.now);
    let mut parser = Parser::new(Input { body, options, is_utf8, now });
    if u32::try_from(body.len()).is_err() {
        parser.parsed.lines = 1;
        parser.refuse(0, body.len(), &Problem::BodyTooLong.in_tags(0));
        return parser.parsed;
    }
    parser.run();
    let tables = parser.tables.into_iter().map(|table| ParsedTable { name: table.name, draft: table.draft });
    Parsed { tables: tables.collect(), ..parser.parsed }
}

/// A body and how to read it.
#[derive(Debug, Clone, Copy)]
struct Input<'a> {
    body: &'a [u8],
    options: &'a ParseOptions,
    /// Whether the whole body is UTF-8, so that no line needs a look of its own.
    is_utf8: bool,
    /// The time of lines that have none.
    now: i64,
}

/// Bytes of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The bytes from `start` to before `end`, both below 2^32 in a body that is read at all.
    #[inline]
    fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: end.saturating_sub(start) as u32 }
    }

    #[inline]
    fn len(self) -> usize {
        self.len as usize
    }

    fn is_empty(self) -> bool {
        self.len == 0
    }

    fn without_last(self) -> Self {
        Self { start: self.start, len: self.len.saturating_sub(1) }
    }

    #[inline]
    fn of(self, body: &[u8]) -> &[u8] {
        let start = self.start as usize;
        body.get(start..start + self.len as usize).unwrap_or_default()
    }
}

struct Parser<'a> {
    input: Input<'a>,
    prefixes: Prefixes,
    tables: Vec<Table<'a>>,
    by_measurement: HashMap<&'a [u8], u32>,
    counter: LineCounter<'a>,
    parsed: Parsed,
}

impl<'a> Parser<'a> {
    fn new(input: Input<'a>) -> Self {
        Self {
            input,
            prefixes: Prefixes::new(),
            tables: Vec::new(),
            by_measurement: HashMap::new(),
            counter: LineCounter::new(input.body),
            parsed: Parsed::default(),
        }
    }

    fn run(&mut self) {
        let body = self.input.body;
        let mut at = 0;
        while at < body.len() {
            match byte(body, at) {
                b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                b'#' => at = body.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)).map_or(body.len(), |n| at + n),
                _ => {
                    self.parsed.lines += 1;
                    at = match self.read_line(at) {
                        Ok(end) => end + 1,
                        Err(fault) => {
                            let end = fault.line_end(body);
                            self.refuse(at, end, &fault);
                            end + 1
                        }
                    };
                }
            }
        }
    }

    /// Reads the line that begins at `at` into its table; returns where it ends.
    #[inline]
    fn read_line(&mut self, at: usize) -> Step<usize> {
        if let Some(prefix) = self.prefixes.predicted(self.input.body, at) {
            return self.read_row(at, prefix);
        }
        let end = prefix_end(self.input.body, at);
        match self.prefixes.find(self.input.body, at, end) {
            Ok(prefix) => self.read_row(at, prefix),
            Err(hash) => self.read_new_series(at, end, hash),
        }
    }

    #[inline]
    fn read_row(&mut self, line: usize, prefix: Prefix) -> Step<usize> {
        match self.tables.get_mut(prefix.table as usize) {
            Some(table) => table.read_row(self.input, line, line + prefix.len() - 1, prefix.series),
            None => Err(Problem::NoMeasurement.in_tags(line)),
        }
    }

    /// Reads a line whose measurement and tags, `line..end`, were not seen before. If the line is refused,
    /// nothing of them stays.
    fn read_new_series(&mut self, line: usize, end: usize, hash: u64) -> Step<usize> {
        let body = self.input.body;
        let measurement_end = series::measurement_end(body, line, end);
        let tables = self.tables.len();
        let index = self.table(line, measurement_end)?;
        let Some(table) = self.tables.get_mut(index as usize) else {
            return Err(Problem::NoMeasurement.in_tags(line));
        };
        let mark = TagMark::of(&table.draft);
        let fields = table.field_names();
        let tags = (measurement_end, end);
        let series = table.tags.read_series(self.input, &mut table.draft, tags, fields).and_then(|series| {
            match byte(body, end) {
                b' ' if end < body.len() => Ok(series),
                _ => Err(Problem::NoFields.in_tags(end)),
            }
        });
        let row = series.and_then(|series| {
            let prefix = self.prefixes.add(Span::new(line, end + 1), hash, index, series);
            table
                .read_row(self.input, line, line + prefix.len() - 1, series)
                .inspect_err(|_| self.prefixes.forget_last())
        });
        if row.is_err() {
            table.tags.rewind(&mut table.draft, mark);
            if self.tables.len() > tables {
                self.tables.truncate(tables);
                self.by_measurement.remove(body.get(line..measurement_end).unwrap_or_default());
            }
        }
        row
    }

    /// The table of the measurement `at..end`; a new one if need be.
    fn table(&mut self, at: usize, end: usize) -> Step<u32> {
        let raw = self.input.body.get(at..end).unwrap_or_default();
        if let Some(&index) = self.by_measurement.get(raw) {
            return Ok(index);
        }
        if raw.is_empty() {
            return Err(Problem::NoMeasurement.in_tags(at));
        }
        let text = unescape(raw, special_in_measurement);
        let text = std::str::from_utf8(&text).map_err(|error| Problem::NotUtf8.in_tags(at + error.valid_up_to()))?;
        TableName::new(text).map_err(|error| Problem::Name(error).in_tags(at))?;
        let index = self.tables.len();
        if index >= self.input.options.tables_max {
            return Err(Problem::TooManyTables(self.input.options.tables_max).in_tags(at));
        }
        self.tables.push(Table::new(text.to_owned()));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.by_measurement.insert(raw, index);
        Ok(index)
    }

    #[cold]
    fn refuse(&mut self, line: usize, end: usize, fault: &Fault) {
        self.parsed.refused_count += 1;
        if self.parsed.refused.len() >= self.input.options.described_max {
            return;
        }
        let text = self.input.body.get(line..end).unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.parsed.refused.push(RefusedLine {
            line_number: self.counter.number(line),
            origin: line,
            len: text.len(),
            reason: fault.describe(self.input.body, line),
        });
    }
}

#[cfg(test)]
mod tests;
