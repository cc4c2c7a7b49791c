//! Lines as their sender counts and cuts them.
//!
//! Only refused lines are numbered, and only after the fact, so the parser itself counts nothing. The
//! cutting serves clients that send a large file in several requests.

use memchr::{memchr, memchr_iter};

use super::text::{closed_line_end, line_end};

/// Tells on which physical line an offset lies. Each step costs the distance from the last one asked for.
#[derive(Debug, Clone)]
pub struct LineCounter<'a> {
    body: &'a [u8],
    at: usize,
    number: usize,
}

impl<'a> LineCounter<'a> {
    /// Counts the lines of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0, number: 1 }
    }

    /// The line, from 1, on which the byte at `offset` lies.
    pub fn number(&mut self, offset: usize) -> usize {
        let newlines = |from: usize, to: usize| memchr_iter(b'\n', self.body.get(from..to).unwrap_or_default()).count();
        let offset = offset.min(self.body.len());
        self.number = match offset < self.at {
            true => self.number - newlines(offset, self.at),
            false => self.number + newlines(self.at, offset),
        };
        self.at = offset;
        self.number
    }
}

/// The line that begins at `origin`, without its end; a quoted text may hold newlines.
pub fn line_at(body: &[u8], origin: usize) -> &[u8] {
    let end = line_end(body, origin, false);
    let line = body.get(origin..end).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A piece of a larger text, which ends where a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Bytes, the last newline included.
    pub bytes: usize,
    /// Lines that are points or should be: all but blank ones and comments.
    pub points: usize,
}

/// Where to cut `text`, the beginning of a larger text, so that no line is torn and the piece has at most
/// `points_max` points and, unless it is a single line, at most `bytes_max` bytes. `None` asks for more text;
/// with `is_last` nothing more comes, and only an empty text has no cut.
pub fn cut_lines(text: &[u8], points_max: usize, bytes_max: usize, is_last: bool) -> Option<Cut> {
    let mut cut = Cut { bytes: 0, points: 0 };
    while cut.points < points_max && cut.bytes < text.len() {
        let (newline, is_point) = match next_newline(text, cut.bytes) {
            (Ok(newline), is_point) => (newline, is_point),
            (Err(newline), is_point) if is_last => (newline, is_point),
            (Err(_), _) => break,
        };
        let is_torn = newline >= text.len() && !is_last;
        let next = (newline + 1).min(text.len());
        if is_torn || (next > bytes_max && cut.bytes > 0) {
            break;
        }
        cut = Cut { bytes: next, points: cut.points + usize::from(is_point) };
    }
    (cut.bytes > 0).then_some(cut)
}

/// Where the line that begins at `at` ends (see [`closed_line_end`]), and whether it is or should be a point.
fn next_newline(text: &[u8], at: usize) -> (Result<usize, usize>, bool) {
    let rest = text.get(at..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    match rest.get(blanks) {
        None | Some(b'#' | b'\n') => (Ok(memchr(b'\n', rest).map_or(text.len(), |offset| at + offset)), false),
        Some(_) => (closed_line_end(text, at + blanks, false), true),
    }
}

#[cfg(test)]
mod tests;
