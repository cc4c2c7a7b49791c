//! What was noted against what there is: a pure function, so that it can be proven to find what it looks for.

use std::fmt;

use super::log::{Fate, Request};
use super::read::Row;
use super::row_hash;

/// Flaws that are told one by one.
const TOLD: usize = 10;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// A request was acknowledged and nothing of it is there.
    Lost {
        /// Which client's.
        client: usize,
        /// Its first row.
        first: u64,
        /// Its rows.
        count: u64,
    },
    /// Some rows of a request are there and others are not.
    Torn {
        /// Which client's.
        client: usize,
        /// The first row that is missing.
        seq: u64,
    },
    /// A row is there more than once.
    Doubled {
        /// Which client's.
        client: usize,
        /// Which row.
        seq: u64,
        /// How often it is there.
        times: u32,
    },
    /// A row is there that nobody sent.
    Unsent {
        /// By whose name.
        client: String,
        /// Which row.
        seq: u64,
    },
    /// A row is there with another content.
    Changed {
        /// Which client's.
        client: usize,
        /// Which row.
        seq: u64,
    },
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many rows there are.
    pub rows: u64,
    /// What is wrong; nothing, in a sound ledger.
    pub flaws: Vec<Flaw>,
}

impl Verdict {
    /// Whether whole requests are missing and nothing else is wrong.
    pub fn only_lost(&self) -> bool {
        !self.flaws.is_empty() && self.flaws.iter().all(|flaw| matches!(flaw, Flaw::Lost { .. }))
    }

    /// The number of rows, or what is wrong as an error.
    pub fn sound(self) -> anyhow::Result<u64> {
        if self.flaws.is_empty() {
            return Ok(self.rows);
        }
        anyhow::bail!("{self}")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ledger has {} rows and {} flaws", self.rows, self.flaws.len())?;
        self.flaws.iter().take(TOLD).try_for_each(|flaw| write!(f, "\n  {flaw:?}"))
    }
}

/// Compares; `requests` are those of client 0, 1, …, each in order and without gaps.
pub(super) fn judge(requests: &[Vec<Request>], found: &[Row]) -> Verdict {
    let mut flaws = Vec::new();
    let sent = |requests: &Vec<Request>| requests.last().map_or(0, |last| last.first + last.count);
    let mut times: Vec<Vec<u32>> = requests.iter().map(|requests| vec![0; sent(requests) as usize]).collect();
    let mut ordered: Vec<&Row> = found.iter().collect();
    ordered.sort_unstable();
    for row in ordered {
        let client = row.client.strip_prefix('c').and_then(|number| number.parse::<usize>().ok());
        let known = client.and_then(|client| Some((client, times.get_mut(client)?.get_mut(row.seq as usize)?)));
        match known {
            None => flaws.push(Flaw::Unsent { client: row.client.clone(), seq: row.seq }),
            Some((client, times)) => {
                *times += 1;
                if row.hash != row_hash(client, row.seq) {
                    flaws.push(Flaw::Changed { client, seq: row.seq });
                }
            }
        }
    }
    for (client, (requests, times)) in requests.iter().zip(&times).enumerate() {
        for request in requests {
            let Request { first, count, fate } = *request;
            let rows = &times[first as usize..(first + count) as usize];
            let missing = rows.iter().position(|&times| times == 0);
            let there = rows.iter().any(|&times| times > 0);
            match missing {
                Some(missing) if there => flaws.push(Flaw::Torn { client, seq: first + missing as u64 }),
                Some(_) if fate == Fate::Acknowledged => flaws.push(Flaw::Lost { client, first, count }),
                _ => {}
            }
            let doubled = (first..).zip(rows).filter(|(_, times)| **times > 1);
            flaws.extend(doubled.map(|(seq, &times)| Flaw::Doubled { client, seq, times }));
        }
    }
    Verdict { rows: found.len() as u64, flaws }
}

#[cfg(test)]
mod tests;
