//! Who is asked for unflushed rows on behalf of one query, and who could not be.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use gigapi_model::{TableId, WriterId};
use parking_lot::Mutex;

use super::{Unflushed, UnflushedView};
use crate::{Error, Result};

/// Writers that a query does without, by what an answer calls them.
pub(crate) type Away = BTreeMap<WriterId, String>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// By writer, each once.
    sources: Vec<Arc<dyn Unflushed>>,
    /// Whether the query is to see every row that any of them holds.
    are_all: bool,
    away: Mutex<Away>,
}

impl Holders {
    /// All of `sources` but those that are `away` already.
    pub(crate) fn new(mut sources: Vec<Arc<dyn Unflushed>>, are_all: bool, away: &Away) -> Self {
        sources.retain(|source| !away.contains_key(&source.writer()));
        sources.sort_by_key(|source| source.writer());
        Self { sources, are_all, away: Mutex::default() }
    }

    pub(crate) fn are_all(&self) -> bool {
        self.are_all
    }

    /// What each of them holds of the table, by writer. All are heard before one that does not answer is an error, so
    /// that a query which goes on without such writers waits for them together.
    pub(crate) async fn views(&self, table: TableId) -> Result<Vec<(Arc<dyn Unflushed>, UnflushedView)>> {
        let answers = join_all(self.sources.iter().map(|source| source.view(table))).await;
        for answer in &answers {
            if let Err(Error::WriterAway { writer, address, .. }) = answer {
                self.note_away(*writer, address);
            }
        }
        let views = self.sources.iter().zip(answers);
        views.map(|(source, answer)| Ok((Arc::clone(source), answer?))).collect()
    }

    /// Notes one that could not be asked.
    pub(crate) fn note_away(&self, writer: WriterId, address: &str) {
        self.away.lock().insert(writer, format!("{writer}@{address}"));
    }

    /// Who could not be asked.
    pub(crate) fn away(&self) -> Away {
        self.away.lock().clone()
    }
}
