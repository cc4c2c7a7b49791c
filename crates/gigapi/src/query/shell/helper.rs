//! What the line editor asks while somebody types: whether a statement is whole, how it is coloured, what may follow.

use std::borrow::Cow;
use std::rc::Rc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::complete::{complete, is_keyword};
use super::names::Names;
use crate::query::lex::{Kind, tokens};
use crate::query::split::split;
use crate::query::table::Paint;

pub(super) struct ShellHelper {
    names: Rc<Names>,
    files: FilenameCompleter,
    paint: Paint,
}

impl ShellHelper {
    pub(super) fn new(names: Rc<Names>, paint: Paint) -> Self {
        Self { names, files: FilenameCompleter::new(), paint }
    }
}

/// Whether a text is more than SQL, and is taken line by line.
pub(super) fn is_command(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(['.', '\\']) || ["quit", "exit", "help"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether the text can be run as it is, or more has to be typed.
pub(super) fn is_whole(text: &str) -> bool {
    is_command(text) || split(text).ended
}

impl Helper for ShellHelper {}

impl Validator for ShellHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_whole(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for ShellHelper {
    type Hint = String;
}

impl Highlighter for ShellHelper {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if is_command(line) {
            return Cow::Owned(self.paint.cyan(line));
        }
        let painted = tokens(line).map(|token| match token.kind {
            Kind::Word if is_keyword(token.text) => self.paint.bold(token.text),
            Kind::Text => self.paint.green(token.text),
            Kind::Comment => self.paint.dim(token.text),
            _ => token.text.to_owned(),
        });
        Cow::Owned(painted.collect())
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl Completer for ShellHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line[..cursor].trim_start();
        if [".read ", ".output "].iter().any(|word| before.starts_with(word)) {
            return self.files.complete_path(line, cursor);
        }
        let (begins, candidates) = complete(line, cursor, || self.names.known());
        let pair = |each: String| Pair { display: each.clone(), replacement: each };
        Ok((begins, candidates.into_iter().map(pair).collect()))
    }
}

#[cfg(test)]
mod tests;
