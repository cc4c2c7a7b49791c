//! What holds after every step, of the catalog as it is and of the one that a rebuild would make.
//!
//! I1: each acknowledged row is in exactly one live file, or in its log above the watermark. I3: a live file's object
//! is there, for queries that hold an older snapshot too. I4: files that overlap in time have sequences that do not.
//! I5 is checked where a commit is answered. I6: what would be rebuilt now keeps all of these. And a dropped table
//! stays dropped, and a field id has one meaning for ever.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use gigapi_model::{DataFile, TableDef, TableId, WriterId};

use crate::layers::{Row, place_of};
use crate::random::short;
use crate::world::World;
use crate::writers::is_meant;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An acknowledged row is nowhere.
    Lost,
    /// A row is in two live files, or in a live file and above the watermark.
    Doubled,
    /// A live file's object is gone.
    Missing,
    /// A file went while a query read it.
    Vanished,
    /// A value would be read as what it is not, or not at all.
    Meaning,
    /// Rows of a log have no table to go to.
    Stranded,
    /// It cannot be told which of two files is the later one.
    Order,
    /// Somebody who was superseded made a change.
    Fence,
    /// A dropped table is back.
    Returned,
    /// A rebuild is refused.
    Unrebuildable,
    /// The product's plan and the model's own differ.
    Disagreement,
}

#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    what: String,
}

impl Violation {
    pub(crate) fn new(kind: Kind, what: String) -> Self {
        Self { kind, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

fn violated<T>(kind: Kind, what: impl FnOnce() -> String) -> Result<T, Violation> {
    Err(Violation::new(kind, what()))
}

/// A table as a catalog has it or would have it.
struct View {
    table: Arc<TableDef>,
    files: Vec<Arc<DataFile>>,
    watermarks: Arc<HashMap<WriterId, u64>>,
}

impl World {
    /// Everything, after a step.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        let now = self.now();
        self.queries.retain(|query| query.until >= now);
        for query in &self.queries {
            if let Some(gone) = query.places.iter().find(|place| !self.layers.objects.contains_key(place)) {
                return violated(Kind::Vanished, || format!("file {} on layer {}", short(gone.1.uuid()), gone.0));
            }
        }
        if self.recovering || self.unnoticed.is_some() {
            return Ok(());
        }
        let tables = self.store.live_tables();
        let views = tables.into_iter().filter_map(|table| {
            let snapshot = self.store.snapshot(table.id).ok()?;
            Some(View { table, files: snapshot.files.iter().cloned().collect(), watermarks: snapshot.watermarks })
        });
        self.check_views(&views.collect::<Vec<_>>())
    }

    /// The same of what would be rebuilt if the catalog were lost now.
    pub(crate) fn check_rebuildable(&self) -> Result<(), Violation> {
        let Some(planned) = self.planned()? else { return Ok(()) };
        let views = planned.tables.into_iter().map(|table| View {
            table: table.table,
            files: table.files.into_iter().map(|new| Arc::new(new.file)).collect(),
            watermarks: Arc::new(table.watermarks),
        });
        self.check_views(&views.collect::<Vec<_>>())
    }

    fn check_views(&self, views: &[View]) -> Result<(), Violation> {
        let mut live: HashMap<u32, &Row> = HashMap::new();
        for view in views {
            if self.dropped.contains(&view.table.id) {
                return violated(Kind::Returned, || format!("table {}", short(view.table.id.uuid())));
            }
            self.check_files(view, &mut live)?;
            if !self.unordered {
                self.check_order(&view.files)?;
            }
        }
        self.check_rows(views, &live)
    }

    /// Objects are there, no row is twice, and every value means what it meant.
    fn check_files<'a>(&'a self, view: &View, live: &mut HashMap<u32, &'a Row>) -> Result<(), Violation> {
        for file in &view.files {
            let Some(object) = self.layers.objects.get(&place_of(file)) else {
                return violated(Kind::Missing, || format!("file {} on layer {}", short(file.id.uuid()), file.layer));
            };
            for row in object.rows.iter() {
                if live.insert(row.serial, row).is_some() {
                    return violated(Kind::Doubled, || {
                        format!("row {} again in {}", row.serial, short(file.id.uuid()))
                    });
                }
                let column = view.table.column_by_id(row.field);
                if !column.is_some_and(|column| is_meant(column, row.meaning)) {
                    return violated(Kind::Meaning, || {
                        format!("row {} is {:?}, not {column:?}", row.serial, row.meaning)
                    });
                }
            }
        }
        Ok(())
    }

    /// Each acknowledged row is in exactly one of the live files and its log above the watermark.
    fn check_rows(&self, views: &[View], live: &HashMap<u32, &Row>) -> Result<(), Violation> {
        let tables: HashMap<TableId, &View> = views.iter().map(|view| (view.table.id, view)).collect();
        for writer in &self.writers {
            let logged: HashSet<u32> =
                writer.log.iter().flat_map(|record| &record.rows).map(|row| row.serial).collect();
            for row in writer.acknowledged.iter().filter(|row| !self.doomed.contains(&row.table)) {
                let view = tables.get(&row.table);
                let watermark = view.and_then(|view| view.watermarks.get(&writer.id)).copied().unwrap_or(0);
                let (is_live, is_committed) = (live.contains_key(&row.serial), row.seq <= watermark);
                let told = || format!("row {} of sequence {}, watermark {watermark}", row.serial, row.seq);
                if is_committed && !is_live || !is_committed && !logged.contains(&row.serial) {
                    return violated(Kind::Lost, told);
                }
                if !is_committed && is_live {
                    return violated(Kind::Doubled, told);
                }
                if !is_committed {
                    self.check_logged(row, view.copied(), views)?;
                }
            }
        }
        Ok(())
    }

    /// A row that waits in its log has a table to go to, in which its field means nothing else.
    fn check_logged(&self, row: &Row, view: Option<&View>, views: &[View]) -> Result<(), Violation> {
        match view {
            Some(view) => {
                let column = view.table.column_by_id(row.field);
                if column.is_some_and(|column| !is_meant(column, row.meaning)) {
                    return violated(Kind::Meaning, || format!("row {} will be {column:?}", row.serial));
                }
            }
            None => {
                let name = self.names.get(&row.table);
                if views.iter().any(|view| Some(view.table.name.as_str()) == name.map(String::as_str)) {
                    return violated(Kind::Stranded, || format!("row {} of {name:?}", row.serial));
                }
            }
        }
        Ok(())
    }

    /// Of two live files that overlap in time one is wholly later, and holds the later rows of every writer.
    fn check_order(&self, files: &[Arc<DataFile>]) -> Result<(), Violation> {
        for (index, a) in files.iter().enumerate() {
            for b in files[index + 1..].iter().filter(|b| a.time.overlaps(b.time)) {
                let (earlier, later) = if a.sequence.lo <= b.sequence.lo { (a, b) } else { (b, a) };
                if later.sequence.lo <= earlier.sequence.hi || !self.is_later(earlier, later) {
                    return violated(Kind::Order, || {
                        let (first, second) = (short(earlier.id.uuid()), short(later.id.uuid()));
                        format!("files {first} of {:?} and {second} of {:?}", earlier.sequence, later.sequence)
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether no writer's rows in the later file are older than its rows in the earlier one.
    fn is_later(&self, earlier: &DataFile, later: &DataFile) -> bool {
        let rows = |file: &DataFile| self.layers.objects.get(&place_of(file)).map(|object| object.rows.clone());
        let (Some(earlier), Some(later)) = (rows(earlier), rows(later)) else { return true };
        (0..self.writers.len()).all(|writer| {
            let seqs = |rows: &[Row]| {
                let of_writer = rows.iter().filter(|row| row.writer == writer).map(|row| row.seq);
                of_writer.fold(None, |ends: Option<(u64, u64)>, seq| {
                    Some(ends.map_or((seq, seq), |(lo, hi)| (lo.min(seq), hi.max(seq))))
                })
            };
            match (seqs(&earlier), seqs(&later)) {
                (Some((_, last)), Some((first, _))) => last < first,
                _ => true,
            }
        })
    }
}
