//! What a client noted, a line each: `sent <first> <count>`, `acknowledged <first> <count>`, `unknown <first> <count> <why>`.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What a client knows of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server promised to keep it.
    Acknowledged,
    /// It was sent, and there was no answer that says what became of it.
    Unknown,
}

/// Rows `first .. first + count` of a client, sent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The first row's `seq`.
    pub first: u64,
    /// How many rows.
    pub count: u64,
    /// What the client knows of it.
    pub fate: Fate,
}

/// A file that is synced with every line.
#[derive(Debug)]
pub(super) struct Log(File);

impl Log {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self(File::options().create(true).append(true).open(path)?))
    }

    pub(super) fn note(&mut self, word: &str, first: u64, count: u64, why: &str) -> Result<()> {
        let why = why.replace('\n', " ");
        self.0.write_all(format!("{word} {first} {count} {why}\n").as_bytes())?;
        Ok(self.0.sync_data()?)
    }
}

/// The requests of one client, in the order in which they were sent.
pub(super) fn read(path: &Path) -> Result<Vec<Request>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut requests: Vec<Request> = Vec::new();
    // A last line without an end was never synced, so nobody acted on it.
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let mut number = || -> Result<u64> { Ok(words.next().context("too short a line")?.parse()?) };
        let (first, count) = (number()?, number()?);
        match (word, requests.last_mut()) {
            ("sent", _) => requests.push(Request { first, count, fate: Fate::Unknown }),
            ("acknowledged", Some(last)) if last.first == first => last.fate = Fate::Acknowledged,
            ("unknown", Some(last)) if last.first == first => {}
            _ => bail!("{}: a line that does not follow: {line}", path.display()),
        }
    }
    Ok(requests)
}
