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
    /// Whether a query goes on without those that do not answer.
    is_best_effort: bool,
    away: Mutex<Away>,
}

impl Holders {
    /// `away` are left out from the start.
    pub(crate) fn new(mut sources: Vec<Arc<dyn Unflushed>>, is_best_effort: bool, away: Away) -> Self {
        sources.retain(|source| !away.contains_key(&source.writer()));
        sources.sort_by_key(|source| source.writer());
        Self { sources, is_best_effort, away: Mutex::new(away) }
    }

    /// What each of them holds of the table, by writer.
    pub(crate) async fn views(&self, table: TableId) -> Result<Vec<(Arc<dyn Unflushed>, UnflushedView)>> {
        let is_away = |source: &&Arc<dyn Unflushed>| self.away.lock().contains_key(&source.writer());
        let asked: Vec<_> = self.sources.iter().filter(|source| !is_away(source)).collect();
        let answers = join_all(asked.iter().map(|source| source.view(table))).await;
        let mut views = Vec::with_capacity(asked.len());
        for (source, answer) in asked.into_iter().zip(answers) {
            match answer {
                Ok(view) => views.push((Arc::clone(source), view)),
                Err(Error::WriterAway { writer, address, .. }) if self.is_best_effort => {
                    self.away.lock().insert(writer, format!("{writer}@{address}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(views)
    }

    /// Who could not be asked.
    pub(crate) fn away(&self) -> Away {
        self.away.lock().clone()
    }
}
