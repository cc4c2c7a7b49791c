//! Files whose time on their layer is over: to the next layer, or out.
//!
//! Age is that of the data: a file's newest row. Merging never makes it younger than its youngest input, and buckets
//! are short against the ttl, so rows go soon after their own time. Every ttl counts from the data's time, whatever
//! layers the file has been on; one that is too old for several layers goes past them at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{DataFile, FileId, LayerName, Timestamp};

/// A layer, in the order in which files move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRule {
    /// Its name.
    pub name: LayerName,
    /// How old data gets there.
    pub ttl: Option<Duration>,
}

/// A file that goes to another layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The file.
    pub file: Arc<DataFile>,
    /// Where to.
    pub to: LayerName,
}

/// Why a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// The table's or its database's ttl.
    Table,
    /// The last layer's.
    Layer,
}

/// What is to be done to files because of their age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Files that go to another layer, oldest data first.
    pub moved: Vec<Move>,
    /// Files that end, oldest data first.
    pub expired: Vec<(Arc<DataFile>, Expiry)>,
    /// When the next file gets too old.
    pub next_due: Option<Timestamp>,
}

/// What is due, of files that nobody holds. `ttl` is the table's own.
pub fn moves(
    files: &[Arc<DataFile>],
    held: &HashSet<FileId>,
    layers: &[LayerRule],
    ttl: Option<Duration>,
    now: Timestamp,
) -> Moves {
    let mut found = Moves::default();
    if ttl.is_none() && layers.iter().all(|layer| layer.ttl.is_none()) {
        return found;
    }
    for file in files.iter().filter(|file| !held.contains(&file.id)) {
        let is_over = |ttl: Duration| file.time.max.plus(ttl) < now;
        if ttl.is_some_and(is_over) {
            found.expired.push((Arc::clone(file), Expiry::Table));
            continue;
        }
        // A layer that is not configured any more has no rule: its files stay.
        let Some(at) = layers.iter().position(|layer| layer.name == file.layer) else { continue };
        let stays = (at..layers.len()).find(|index| !layers[*index].ttl.is_some_and(is_over));
        match stays {
            None => found.expired.push((Arc::clone(file), Expiry::Layer)),
            Some(target) if target > at => {
                found.moved.push(Move { file: Arc::clone(file), to: layers[target].name.clone() });
            }
            Some(_) => {
                let due = ttl.into_iter().chain(layers[at].ttl).map(|ttl| file.time.max.plus(ttl)).min();
                found.next_due = [found.next_due, due].into_iter().flatten().min();
            }
        }
    }
    found.moved.sort_by_key(|moved| (moved.file.time.max, moved.file.id));
    found.expired.sort_by_key(|(file, _)| (file.time.max, file.id));
    found
}
