//! Why a statement was not answered, as whoever typed it is told.

use std::fmt;
use std::io;

use super::text::{plain, width};
use crate::client::Refusal;

/// Why a statement was not answered.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server says no.
    Refused(String),
    /// There is no answer, or only a part of one.
    Broken(anyhow::Error),
    /// It cannot be written.
    Output(io::Error),
    /// Whoever read the answers has gone, as `head` does when it has enough.
    ReaderGone,
    /// Whoever asked does not want to know any more.
    Cancelled,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Refusal>() {
            // What is wrong with a statement, the server's words say; any other status says something too.
            Ok(refusal) if refusal.status.as_u16() == 400 => Self::Refused(refusal.message),
            Ok(refusal) => Self::Refused(format!("{} ({})", refusal.message, refusal.status)),
            Err(error) => Self::Broken(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Output(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) => f.write_str(message),
            Self::Broken(error) => f.write_str(&gigapi_service::process::told(error.as_ref())),
            Self::Output(error) => write!(f, "the answer cannot be written: {error}"),
            Self::ReaderGone => f.write_str("nobody reads the answer"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// What somebody is told: where it happened, what, and the place in the statement.
pub(super) fn report(failure: &Failure, place: &str, statement: &str, columns: usize) -> String {
    let told = failure.to_string();
    let lines: Vec<_> = told.lines().map(plain).collect();
    let mut text = format!("{place}{}\n", lines.join("\n"));
    if let Failure::Refused(message) = failure
        && let Some(mark) = marked(statement, message, columns)
    {
        text.push_str(&mark);
        text.push('\n');
    }
    text
}

/// The line and column of which a message speaks, both from 1.
fn position(message: &str) -> Option<(usize, usize)> {
    let (_, after) = message.rsplit_once("Line: ")?;
    let (line, after) = after.split_once(", Column: ")?;
    let digits = after.find(|each: char| !each.is_ascii_digit()).unwrap_or(after.len());
    Some((line.parse().ok()?, after[..digits].parse().ok()?))
}

/// The line of the statement that is meant and a mark below the place, both indented; no wider than `columns`.
fn marked(statement: &str, message: &str, columns: usize) -> Option<String> {
    /// What stands before the line.
    const INDENT: &str = "  ";
    let (line, column) = position(message)?;
    let text = statement.lines().nth(line.checked_sub(1)?)?;
    let at = text.char_indices().nth(column.checked_sub(1)?).map_or(text.len(), |(at, _)| at);
    let room = columns.saturating_sub(INDENT.len()).max(20);
    let (before, after) = (plain(&text[..at]), plain(&text[at..]));
    // Of a long line the part around the place is shown.
    let before = match width(&before) >= room * 2 / 3 {
        true => ending(&before, room / 2),
        false => before.into_owned(),
    };
    let after = super::text::fitted(&after, room - width(&before));
    Some(format!("{INDENT}{before}{after}\n{INDENT}{:1$}^", "", width(&before)))
}

/// The end of a text that fits into so many columns.
fn ending(text: &str, columns: usize) -> String {
    let mut from = text.len();
    for (at, _) in text.char_indices().rev() {
        if width(&text[at..]) + width(super::text::CUT) > columns {
            break;
        }
        from = at;
    }
    format!("{}{}", super::text::CUT, &text[from..])
}

#[cfg(test)]
mod tests;
