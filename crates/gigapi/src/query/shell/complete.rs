//! What may come next in a line: a pure function of the line and of the names that are known.
//!
//! Completion guesses from the words around the cursor and never from a syntax tree: what is being typed is no
//! statement yet.

use super::commands::{MODES, words};
use super::names::Known;
use crate::query::catalog::name;
use crate::query::lex::{Kind, Token, tokens};

/// More than anybody picks from.
const CANDIDATES_MAX: usize = 500;

/// Words of SQL that queries are made of.
const KEYWORDS: [&str; 73] = [
    "ALL",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CROSS",
    "CURRENT_TIMESTAMP",
    "DATABASES",
    "DATE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DOUBLE",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "ANALYZE",
    "EXTRACT",
    "FALSE",
    "FILTER",
    "FIRST",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LAST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "RIGHT",
    "ROWS",
    "SCHEMAS",
    "SELECT",
    "SHOW",
    "TABLES",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "RECURSIVE",
    "QUALIFY",
    "RANGE",
];

/// Functions that queries over time series use.
const FUNCTIONS: [&str; 36] = [
    "abs(",
    "approx_distinct(",
    "approx_percentile_cont(",
    "array_agg(",
    "avg(",
    "ceil(",
    "coalesce(",
    "concat(",
    "corr(",
    "count(",
    "date_bin(",
    "date_part(",
    "date_trunc(",
    "epoch_ns(",
    "first_value(",
    "floor(",
    "generate_series(",
    "greatest(",
    "lag(",
    "last_value(",
    "lead(",
    "least(",
    "length(",
    "lower(",
    "max(",
    "median(",
    "min(",
    "now(",
    "regexp_like(",
    "round(",
    "row_number(",
    "stddev(",
    "sum(",
    "time_bucket(",
    "to_timestamp(",
    "upper(",
];

pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// Where the word at the cursor begins, and what it can become.
pub(super) fn complete(line: &str, cursor: usize, known: impl FnOnce() -> Known) -> (usize, Vec<String>) {
    let before = &line[..cursor];
    match before.trim_start().starts_with('.') {
        true => of_command(before, known),
        false => of_statement(line, cursor, known),
    }
}

fn of_command(before: &str, known: impl FnOnce() -> Known) -> (usize, Vec<String>) {
    let begins = before.len() - before.trim_start().len();
    let line = &before[begins..];
    let Some((word, rest)) = line.split_once(char::is_whitespace) else {
        return (begins, matching(line, words().map(str::to_owned)));
    };
    let argument = rest.trim_start();
    let at = before.len() - argument.len();
    let candidates = match word {
        ".mode" => matching(argument, MODES.iter().map(|mode| mode.name().to_owned())),
        ".timer" => matching(argument, ["on", "off"].map(str::to_owned)),
        ".use" => matching(argument, known().databases),
        ".schema" | ".tables" => {
            let known = known();
            matching(argument, known.own_tables().map(str::to_owned))
        }
        _ => Vec::new(),
    };
    (at, candidates)
}

/// The place of the cursor in a statement.
struct Place<'a> {
    /// The whole statement, also behind the cursor.
    statement: Vec<Token<'a>>,
    /// What is typed of the word, without its quote.
    typed: &'a str,
    quoted: bool,
    /// Where the word begins in the line.
    begins: usize,
    /// The name before a dot before the word.
    qualifier: Option<String>,
    /// The token before the word, if it is not a dot.
    after: &'a str,
}

impl<'a> Place<'a> {
    /// Nothing where nothing can be known: inside of texts, numbers and comments.
    fn find(line: &'a str, cursor: usize) -> Option<Self> {
        let semicolons = tokens(&line[..cursor]).filter(|token| token.kind == Kind::Semicolon);
        let from = semicolons.last().map_or(0, |token| token.at + 1);
        let statement = tokens(&line[from..]).take_while(|token| token.kind != Kind::Semicolon).collect();
        let mut before: Vec<Token<'a>> = tokens(&line[from..cursor]).collect();
        let last = *before.last()?;
        let (typed, quoted) = match last.kind {
            Kind::Word => (last.text, false),
            Kind::QuotedName if !last.closed => (&last.text[1..], true),
            Kind::Space | Kind::Other => ("", false),
            _ => return None,
        };
        if matches!(last.kind, Kind::Word | Kind::QuotedName) {
            before.pop();
        }
        let begins = before.last().map_or(from, |token| from + token.at + token.text.len());
        let has_dot = before.last().is_some_and(|token| token.text == ".");
        before.retain(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
        let (qualifier, after) = match before.as_slice() {
            [.., name, _] if has_dot => (Some(unquoted(name.text)), ""),
            [.., token] => (None, token.text),
            [] => (None, ""),
        };
        Some(Self { statement, typed, quoted, begins, qualifier, after })
    }

    /// Names as they are written here.
    fn names(&self, names: impl Iterator<Item = String>) -> Vec<String> {
        let written = names.map(|each| match self.quoted {
            true => format!("\"{}\"", each.replace('"', "\"\"")),
            false => name(&each, is_keyword),
        });
        let typed = self.typed.to_lowercase();
        // Quotes that a name needs may not be typed yet.
        tidy(written.filter(|each| each.trim_start_matches('"').to_lowercase().starts_with(&typed)).collect())
    }
}

fn of_statement(line: &str, cursor: usize, known: impl FnOnce() -> Known) -> (usize, Vec<String>) {
    let Some(place) = Place::find(line, cursor) else { return (cursor, Vec::new()) };
    if let Some(qualifier) = &place.qualifier {
        let known = known();
        let table = aliased(&place.statement, qualifier).unwrap_or_else(|| qualifier.clone());
        let found = known.tables_of(qualifier).chain(known.columns_of(&table));
        return (place.begins, place.names(found.map(str::to_owned)));
    }
    if ["FROM", "JOIN", "DESCRIBE", "TABLE"].iter().any(|word| word.eq_ignore_ascii_case(place.after)) {
        let known = known();
        let found = known.own_tables().map(str::to_owned).chain(known.databases.iter().cloned());
        return (place.begins, place.names(found));
    }
    if place.typed.is_empty() {
        return (place.begins, Vec::new());
    }
    let known = known();
    let mentioned: Vec<&str> = known.own_tables().filter(|table| mentions(&place.statement, table)).collect();
    let columns = known.columns.iter().filter(|(table, _)| mentioned.is_empty() || mentioned.contains(&table.as_str()));
    let tables = mentioned.iter().map(|table| (*table).to_owned());
    let mut candidates = place.names(columns.map(|(_, column)| column.clone()).chain(tables));
    if !place.quoted {
        let lower = place.typed.starts_with(|first: char| first.is_lowercase());
        let keywords = KEYWORDS.iter().map(|word| if lower { word.to_lowercase() } else { (*word).to_owned() });
        candidates.extend(matching(place.typed, keywords.chain(FUNCTIONS.map(str::to_owned))));
    }
    (place.begins, tidy(candidates))
}

fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

fn mentions(statement: &[Token<'_>], table: &str) -> bool {
    statement
        .iter()
        .filter(|token| matches!(token.kind, Kind::Word | Kind::QuotedName))
        .any(|token| unquoted(token.text).eq_ignore_ascii_case(table))
}

/// The table that has this alias: `FROM table alias` or `FROM table AS alias`.
fn aliased(statement: &[Token<'_>], alias: &str) -> Option<String> {
    let words: Vec<&Token<'_>> =
        statement.iter().filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment)).collect();
    words.iter().enumerate().find_map(|(index, table)| {
        let is_name = matches!(table.kind, Kind::Word | Kind::QuotedName) && !is_keyword(table.text);
        let named = |token: &Token<'_>| unquoted(token.text).eq_ignore_ascii_case(alias);
        let next = words.get(index + 1)?;
        let with_as = next.text.eq_ignore_ascii_case("AS") && words.get(index + 2).is_some_and(|token| named(token));
        (is_name && (named(next) || with_as)).then(|| unquoted(table.text))
    })
}

fn matching(typed: &str, candidates: impl IntoIterator<Item = String>) -> Vec<String> {
    let typed = typed.to_lowercase();
    tidy(candidates.into_iter().filter(|each| each.to_lowercase().starts_with(&typed)).collect())
}

fn tidy(mut candidates: Vec<String>) -> Vec<String> {
    candidates.sort_by_key(|each| each.to_lowercase());
    candidates.dedup();
    candidates.truncate(CANDIDATES_MAX);
    candidates
}

#[cfg(test)]
mod tests;
