//! SQL text as tokens, as far as it takes to know what is quoted and where a statement ends.
//!
//! The rules are those of the server's tokenizer with its DuckDB syntax, quirks included; the tests compare the two.
//! The command line has no use for a parser: what a statement means is for the server to say. Every character of
//! the text is in exactly one token, so that tokens can be coloured and put back together.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    /// `-- …` or `/* … */`.
    Comment,
    /// A keyword or a plain name.
    Word,
    Number,
    /// `'…'`, `x'…'`, `$$…$$` or `$tag$…$tag$`.
    Text,
    /// `"…"` or `` `…` ``.
    QuotedName,
    Semicolon,
    /// Operators, brackets and everything else, one character each, or two that belong together.
    Other,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Bytes before it.
    pub(super) at: usize,
    /// Whether a quote or a comment that begins here also ends.
    pub(super) closed: bool,
}

/// The tokens of a text, in their order.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let (kind, length, closed) = first(rest)?;
        let token = Token { kind, text: &rest[..length], at, closed };
        at += length;
        Some(token)
    })
}

/// The first token of a text: what it is, its bytes, and whether it is closed.
fn first(rest: &str) -> Option<(Kind, usize, bool)> {
    let begins = rest.chars().next()?;
    Some(match begins {
        ';' => (Kind::Semicolon, 1, true),
        '\'' => quoted(rest, 0, '\'', false),
        '"' | '`' => quoted(rest, 0, begins, false),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').map_or(rest.len(), |end| end + 1), true),
        '/' if rest.starts_with("/*") => match rest[2..].find("*/") {
            Some(end) => (Kind::Comment, end + 4, true),
            None => (Kind::Comment, rest.len(), false),
        },
        // Operators that would otherwise seem to begin a comment.
        '/' if rest.starts_with("//") => (Kind::Other, 2, true),
        '|' if rest.starts_with("||/") => (Kind::Other, 3, true),
        '|' if rest.starts_with("||") || rest.starts_with("|/") => (Kind::Other, 2, true),
        '$' => dollar(rest),
        // A placeholder.
        '?' => (Kind::Other, 1 + run(&rest[1..], char::is_numeric), true),
        'x' | 'X' if rest[1..].starts_with('\'') => quoted(rest, 1, '\'', true),
        _ if begins == '_' || begins.is_alphabetic() => (Kind::Word, run(rest, in_word), true),
        '.' if !rest[1..].starts_with(|each: char| each.is_ascii_digit()) => (Kind::Other, 1, true),
        '0'..='9' | '.' => (Kind::Number, number(rest), true),
        _ if begins.is_whitespace() => (Kind::Space, run(rest, char::is_whitespace), true),
        _ => (Kind::Other, begins.len_utf8(), true),
    })
}

fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|each| !belongs(each)).unwrap_or(rest.len())
}

fn in_word(each: char) -> bool {
    each.is_alphabetic() || each.is_ascii_digit() || each == '_' || each == '$'
}

/// `7`, `7.5e-3L` and `0xFF`: what follows a number begins a token of its own, also a letter or a `$`.
fn number(rest: &str) -> usize {
    let digits = |from: usize| from + run(&rest[from..], |each| each.is_ascii_digit());
    let whole = digits(0);
    if let Some(hex) = rest[whole..].strip_prefix('x')
        && &rest[..whole] == "0"
    {
        return whole + 1 + run(hex, |each| each.is_ascii_hexdigit());
    }
    let mut end = if rest[whole..].starts_with('.') { digits(whole + 1) } else { whole };
    if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        if exponent[sign..].starts_with(|each: char| each.is_ascii_digit()) {
            end = digits(end + 1 + sign);
        }
    }
    end + usize::from(rest[end..].starts_with('L'))
}

/// From a quote, which stands after `before` bytes, to its end. A doubled quote is one that is meant.
fn quoted(rest: &str, before: usize, quote: char, backslashes: bool) -> (Kind, usize, bool) {
    let kind = if quote == '\'' { Kind::Text } else { Kind::QuotedName };
    let mut inside = rest[before + 1..].char_indices().peekable();
    while let Some((at, each)) = inside.next() {
        if each == '\\' && backslashes {
            inside.next();
        } else if each == quote && inside.next_if(|(_, next)| *next == quote).is_none() {
            return (kind, before + 1 + at + 1, true);
        }
    }
    (kind, rest.len(), false)
}

/// `$$…$$`, `$tag$…$tag$`, or a placeholder such as `$1`.
fn dollar(rest: &str) -> (Kind, usize, bool) {
    let tag = run(&rest[1..], |each| each.is_alphanumeric() || each == '_');
    if !rest[1 + tag..].starts_with('$') {
        return (Kind::Other, 1 + tag, true);
    }
    let (fence, inside) = rest.split_at(tag + 2);
    match inside.find(fence) {
        Some(end) => (Kind::Text, 2 * fence.len() + end, true),
        None => (Kind::Text, rest.len(), false),
    }
}

#[cfg(test)]
mod tests;
