//! A text as the statements that it holds.
//!
//! Statements are divided by `;` outside of quotes and comments. What is only space and comments is no statement and
//! is not sent. A statement begins with its first token that is neither, so that the line and column of which the
//! server speaks are easily found in it.

use super::lex::{Kind, tokens};

/// One statement, without its `;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    /// Where it begins in the whole text, from 1.
    pub(super) line: usize,
}

/// What a text holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    pub(super) statements: Vec<Statement<'a>>,
    /// Whether nothing waits for more: the last statement has its `;`, and every quote and comment ends.
    pub(super) ended: bool,
}

/// The statements of a text. One that lacks its `;` at the end of the text counts too.
pub(super) fn split(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    let mut begin: Option<usize> = None;
    let (mut line, mut counted) = (1, 0);
    let mut push = |from: usize, to: usize| {
        line += text[counted..from].matches('\n').count();
        counted = from;
        statements.push(Statement { text: text[from..to].trim_end(), line });
    };
    let mut open = false;
    for token in tokens(text) {
        open = !token.closed;
        match token.kind {
            Kind::Semicolon => begin.take().into_iter().for_each(|from| push(from, token.at)),
            Kind::Space | Kind::Comment => {}
            _ => begin = begin.or(Some(token.at)),
        }
    }
    begin.into_iter().for_each(|from| push(from, text.len()));
    Split { statements, ended: begin.is_none() && !open }
}

#[cfg(test)]
mod tests;
