//! The shell's own commands: a dot, a word, at most one argument.

use std::path::PathBuf;

use crate::query::args::Format;

/// What a line with a dot asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Tables(Option<String>),
    Databases,
    Use(String),
    Schema(String),
    Mode(Format),
    Rows(Option<usize>),
    Timer(bool),
    /// Nothing is the terminal.
    Output(Option<PathBuf>),
    Read(PathBuf),
    Quit,
}

/// A command's word, what it takes, and what it does.
const COMMANDS: [(&str, &str, &str); 11] = [
    (".help", "", "this list"),
    (".tables", "[PATTERN]", "tables of the database; * is any text, ? any character"),
    (".databases", "", "databases of the server"),
    (".use", "DATABASE", "ask another database"),
    (".schema", "TABLE", "columns of a table"),
    (".mode", "table|line|csv|json|ndjson", "how answers look"),
    (".rows", "N", "rows of a table that are shown; 0 shows all"),
    (".timer", "on|off", "whether the time of each answer is told"),
    (".output", "FILE|-", "where answers go; - is the terminal"),
    (".read", "FILE", "run the statements of a file"),
    (".quit", "", "end, as Ctrl-D does"),
];

/// Formats that a terminal can show.
pub(super) const MODES: [Format; 5] = [Format::Table, Format::Line, Format::Csv, Format::Json, Format::Ndjson];

/// The words, with their dots.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(word, _, _)| *word)
}

/// What `.help` prints.
pub(super) fn help() -> String {
    let wide = COMMANDS.iter().map(|(word, takes, _)| word.len() + 1 + takes.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (word, takes, does) in COMMANDS {
        text.push_str(&format!("{:wide$}  {does}\n", format!("{word} {takes}")));
    }
    text.push_str("Anything else is SQL and ends with ; on whatever line. Tab completes, Ctrl-C clears or cancels.\n");
    text
}

/// Reads a line that begins with a dot.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.to_ascii_lowercase();
    let argument = unquoted(rest.trim());
    let usage = |told: &str| {
        let takes = COMMANDS.iter().find(|(known, _, _)| *known == word).map_or("", |(_, takes, _)| *takes);
        Err(format!("{told}; write {word} {takes}"))
    };
    let needed = |made: fn(String) -> Command| match argument {
        "" => usage("the name is missing"),
        name => Ok(made(name.to_owned())),
    };
    match word.as_str() {
        ".help" => Ok(Command::Help),
        ".tables" => Ok(Command::Tables((!argument.is_empty()).then(|| argument.to_owned()))),
        ".databases" => Ok(Command::Databases),
        ".use" => needed(Command::Use),
        ".schema" => needed(Command::Schema),
        ".mode" => match MODES.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(argument)) {
            Some(mode) => Ok(Command::Mode(mode)),
            None if argument.eq_ignore_ascii_case("jsonl") => Ok(Command::Mode(Format::Ndjson)),
            None if argument.eq_ignore_ascii_case("parquet") => {
                Err("a Parquet file is nothing for a terminal; use gigapi query --format parquet -o FILE".to_owned())
            }
            None => usage(&format!("{argument:?} is no mode")),
        },
        ".rows" => match argument.parse() {
            Ok(0) => Ok(Command::Rows(None)),
            Ok(rows) => Ok(Command::Rows(Some(rows))),
            Err(_) => usage(&format!("{argument:?} is no number")),
        },
        ".timer" => match argument.to_ascii_lowercase().as_str() {
            "on" => Ok(Command::Timer(true)),
            "off" => Ok(Command::Timer(false)),
            _ => usage(&format!("{argument:?} is neither on nor off")),
        },
        ".output" if argument.is_empty() || argument == "-" => Ok(Command::Output(None)),
        ".output" => Ok(Command::Output(Some(PathBuf::from(argument)))),
        ".read" => needed(|name| Command::Read(PathBuf::from(name))),
        ".quit" | ".exit" => Ok(Command::Quit),
        unknown => Err(match nearest(unknown, words()) {
            Some(near) => format!("there is no {unknown}; did you mean {near}?"),
            None => format!("there is no {unknown}; .help lists what there is"),
        }),
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

/// The name that most likely was meant: one that begins so, or one that a slip or two make of it.
pub(super) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let slips_max = (typed.chars().count() / 3).clamp(1, 3);
    let far = |name: &str| match name.to_lowercase() {
        name if name.starts_with(&typed) && typed.chars().count() > 1 => 0,
        name => slips(&typed, &name),
    };
    names
        .map(|name| (far(name), name))
        .filter(|(far, _)| *far <= slips_max)
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

/// Characters to put in, leave out, replace or swap with their neighbour to make one text of another.
fn slips(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

/// Whether a name fits a pattern of `*`, `?` and `%`; without any of them the pattern may stand anywhere in it.
/// Letter case does not count.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    if !pattern.contains(['*', '?', '%']) {
        return name.iter().collect::<String>().contains(&pattern);
    }
    // Which lengths of the name's beginning the pattern so far can stand for.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for each in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match each {
                '*' | '%' => reached[at] || (at > 0 && next[at - 1]),
                _ => at > 0 && reached[at - 1] && (each == '?' || each == name[at - 1]),
            };
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests;
