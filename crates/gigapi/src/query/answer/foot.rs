//! What is said below an answer: how much it is, how long it took, and what it does not show.

use std::time::Duration;

use crate::query::text::{counted, plain, span};

/// What is said below an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Foot {
    /// All rows of the answer, where they were counted.
    pub(super) rows: Option<usize>,
    pub(super) shown: usize,
    /// Columns that found no room.
    pub(super) hidden: usize,
}

/// What an answer lacks of all rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lacks {
    /// How many seconds old it is, if it could not be brought up to date.
    pub(super) stale: Option<u64>,
    /// The writers that could not be asked.
    pub(super) away: Option<String>,
}

impl Foot {
    pub(super) fn count(&mut self, rows: usize, shown: usize) {
        self.rows = self.rows.map(|before| before + rows);
        self.shown += shown;
    }

    pub(super) fn lines(&self, time: Option<Duration>, lacks: &Lacks, in_shell: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let count = self.rows.map(|rows| counted(rows as u64, "row"));
        let more = self.rows.map_or(0, |rows| rows - self.shown);
        if more > 0 {
            let all = if in_shell { ".rows 0" } else { "--rows 0" };
            lines.push(format!("… {}; {all} shows all", counted(more as u64, "more row")));
        }
        if self.hidden > 0 {
            let all = if in_shell { ".mode line" } else { "--format line" };
            lines.push(format!("… {}; {all} shows all", counted(self.hidden as u64, "more column")));
        }
        if let Some(seconds) = lacks.stale {
            let age = span(Duration::from_secs(seconds));
            lines.push(format!("as the tables were {age} ago: the server cannot ask its catalog"));
        }
        if let Some(writers) = &lacks.away {
            lines.push(format!("without rows that are in no file yet of {}", plain(writers)));
        }
        match (count, time.map(span)) {
            (Some(count), Some(time)) => lines.push(format!("{count} in {time}")),
            (Some(only), None) | (None, Some(only)) => lines.push(only),
            (None, None) => {}
        }
        lines
    }
}

#[cfg(test)]
mod tests;
