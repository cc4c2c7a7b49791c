//! Writers: their logs, their definitions, how they are opened and how they die.
//!
//! A log outlives its writer; everything else that a writer knows is its session and dies with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::{Definition, TableState};
use gigapi_model::{
    Column, ColumnName, ColumnRole, ColumnType, DatabaseName, NewColumn, TableDef, TableId, TableKey, TableName,
    WriterId,
};
use uuid::Uuid;

use crate::events::Event;
use crate::flushing::Flush;
use crate::layers::{Meaning, Row};
use crate::protections::Protection;
use crate::world::{START, World};

const DATABASE: &str = "db";
const TABLES: [&str; 2] = ["cpu", "mem"];
const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];

/// One record of a log: a request's rows, at most one of each table.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) rows: Vec<Row>,
}

/// What a log says of a flush.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval {
    pub(crate) table: TableId,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) id: WriterId,
    /// The log's records.
    pub(crate) log: VecDeque<Record>,
    /// The definitions that stand beside them.
    pub(crate) definitions: BTreeMap<TableId, Arc<TableDef>>,
    /// The intervals whose commits may have been sent, as they stand beside the records.
    pub(crate) intervals: Vec<Interval>,
    /// Per table, the last sequence of records that were unlinked.
    pub(crate) committed: BTreeMap<TableId, u64>,
    /// The sequence in the header of the last segment.
    pub(crate) header: u64,
    /// The epoch that was given last, and the catalog's then.
    pub(crate) epoch: u64,
    pub(crate) catalog_epoch: u64,
    pub(crate) session: Option<Session>,
    /// All that was ever acknowledged.
    pub(crate) acknowledged: Vec<Row>,
}

/// What a running writer knows.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) epoch: u64,
    pub(crate) last: u64,
    pub(crate) watermarks: BTreeMap<TableId, u64>,
    pub(crate) flushes: Vec<Flush>,
    /// Definitions at hand, by name.
    known: BTreeMap<&'static str, Arc<TableDef>>,
    /// Per table, the revision that is known to lie on a layer.
    kept: BTreeMap<TableId, u64>,
    /// The catalog's epoch in which the log's definitions were made known.
    followed: u64,
    /// What was promised to rows and is still to be defined.
    owed: Vec<Definition>,
}

fn table_name(name: &str) -> TableName {
    TableName::new(name).expect("a table's name")
}

pub(crate) fn database() -> DatabaseName {
    DatabaseName::new(DATABASE).expect("a database's name")
}

fn column_type((_, is_float): Meaning) -> ColumnType {
    if is_float { ColumnType::Float } else { ColumnType::Integer }
}

/// Whether the column is what the value was sent as.
pub(crate) fn is_meant(column: &Column, meaning: Meaning) -> bool {
    column.name.as_str() == meaning.0 && column.column_type == column_type(meaning)
}

fn definition(table: &str, meaning: Meaning) -> Definition {
    let column = NewColumn {
        name: ColumnName::new(meaning.0).expect("a column's name"),
        column_type: column_type(meaning),
        role: ColumnRole::Field,
    };
    Definition { database: database(), table: table_name(table), columns: vec![column], key: TableKey::Tags }
}

impl Writer {
    pub(crate) fn new(number: u128) -> Self {
        let id = WriterId::from_uuid(Uuid::from_u128(number));
        Self {
            id,
            log: VecDeque::new(),
            definitions: BTreeMap::new(),
            intervals: Vec::new(),
            committed: BTreeMap::new(),
            header: 0,
            epoch: 0,
            catalog_epoch: 0,
            session: None,
            acknowledged: Vec::new(),
        }
    }
}

impl World {
    /// Opens the log, unless the catalog is away or the writer runs.
    pub(crate) fn start(&mut self, of: usize) {
        if self.recovering || self.writers[of].session.is_some() {
            return;
        }
        if self.is_told() {
            self.notice(|| format!("writer {of} finds the catalog rolled back"));
            return;
        }
        if self.holds(Protection::Adopt) {
            self.adopt(of);
        }
        let Ok(opened) = self.store.open_writer(self.writers[of].id) else { return };
        if self.holds(Protection::LogRemembers) && self.is_behind(of, &opened.watermarks) {
            self.notice(|| format!("the log of writer {of} tells of a rollback"));
            self.count(Event::LogTold);
            return;
        }
        if let Some(waiting) = &mut self.unnoticed {
            waiting.remove(&of);
        }
        let catalog_epoch = self.store.epochs().epoch;
        let sequences_kept = self.holds(Protection::Sequences);
        let writer = &mut self.writers[of];
        let mut last = writer.log.back().map_or(0, |record| record.seq);
        if sequences_kept {
            let committed = opened.watermarks.values().copied().max().unwrap_or(0);
            last = last.max(writer.header).max(committed);
        }
        (writer.epoch, writer.catalog_epoch) = (opened.epoch, catalog_epoch);
        writer.session = Some(Session {
            epoch: opened.epoch,
            last,
            watermarks: opened.watermarks.into_iter().collect(),
            flushes: Vec::new(),
            known: BTreeMap::new(),
            kept: BTreeMap::new(),
            followed: catalog_epoch,
            owed: Vec::new(),
        });
        self.note(|| format!("writer {of} opens its log at epoch {}, sequence {last}", opened.epoch));
    }

    /// Whether the log remembers commits that the catalog has forgotten.
    fn is_behind(&self, of: usize, watermarks: &HashMap<TableId, u64>) -> bool {
        let writer = &self.writers[of];
        let noted = writer.intervals.iter().map(|interval| (interval.table, interval.lo - 1));
        let known = writer.committed.iter().map(|(table, last)| (*table, *last)).chain(noted);
        let is_dropped = |table: TableId| matches!(self.store.table_state(table), TableState::Dropped);
        known.into_iter().any(|(table, last)| watermarks.get(&table).copied().unwrap_or(0) < last && !is_dropped(table))
    }

    /// The catalog was rebuilt: the log is opened anew in it. How far that got is learnt with the next commit.
    pub(crate) fn reopen(&mut self, of: usize) {
        let Ok(opened) = self.store.open_writer(self.writers[of].id) else { return };
        let catalog_epoch = self.store.epochs().epoch;
        let writer = &mut self.writers[of];
        (writer.epoch, writer.catalog_epoch) = (opened.epoch, catalog_epoch);
        let Some(session) = &mut writer.session else { return };
        session.epoch = opened.epoch;
        self.count(Event::Reopened);
        self.note(|| format!("writer {of} opens its log again at epoch {}", opened.epoch));
        self.follow(of);
    }

    /// After a rebuild the definitions of the log are made known before any other.
    fn follow(&mut self, of: usize) {
        let epoch = self.store.epochs().epoch;
        let Some(session) = &mut self.writers[of].session else { return };
        let is_new = std::mem::replace(&mut session.followed, epoch) != epoch;
        if is_new && !self.recovering && self.holds(Protection::Adopt) {
            self.adopt(of);
        }
    }

    /// Tables that the log, or whoever runs on it, knows better than the catalog are defined again.
    fn adopt(&mut self, of: usize) {
        let writer = &self.writers[of];
        let at_hand = writer.session.iter().flat_map(|session| session.known.values());
        let known: Vec<Arc<TableDef>> = writer.definitions.values().chain(at_hand).cloned().collect();
        for def in known {
            let is_lost = match self.store.table_state(def.id) {
                TableState::Live(known) => known.revision < def.revision,
                TableState::Unknown => true,
                TableState::Dropped => false,
            };
            if is_lost {
                let adopted = self.store.adopt(def.clone());
                self.note(|| format!("writer {of} has table {} adopted: {}", self_name(&def), adopted.is_ok()));
            }
        }
    }

    /// The process is gone; what it had sent may still arrive.
    pub(crate) fn crash(&mut self, of: usize) {
        let Some(session) = self.writers[of].session.take() else { return };
        if self.random.chance(60) {
            let sent = session.flushes.into_iter().filter_map(|flush| flush.prepared);
            self.late.extend(sent.filter(|prepared| prepared.is_uploaded()).map(|prepared| prepared.commit));
        }
        self.note(|| format!("writer {of} dies"));
    }

    /// Takes a request: everything that can refuse it comes before the append.
    pub(crate) fn write(&mut self, of: usize) {
        if self.writers[of].session.is_none() {
            return;
        }
        let first = self.random.index(TABLES.len()).unwrap_or(0);
        let tables = if self.random.chance(20) { &TABLES[..] } else { &TABLES[first..=first] };
        let column = COLUMNS[self.random.index(COLUMNS.len()).unwrap_or(0)];
        // Most clients agree on a column's type.
        let meaning = (column, self.random.chance(10) != (column == "d"));
        let mut rows = Vec::new();
        for name in tables {
            let Some(row) = self.conform(of, name, meaning) else { return };
            rows.push(row);
        }
        if self.random.chance(2) {
            self.crash(of);
            return;
        }
        self.append(of, rows);
    }

    /// Appended, synced, applied and acknowledged.
    fn append(&mut self, of: usize, mut rows: Vec<(Row, Arc<TableDef>)>) {
        let writer = &mut self.writers[of];
        let Some(session) = &mut writer.session else { return };
        session.last += 1;
        let seq = session.last;
        for (row, def) in &mut rows {
            row.seq = seq;
            writer.acknowledged.push(*row);
            let known = writer.definitions.entry(def.id).or_insert_with(|| def.clone());
            if known.revision < def.revision {
                *known = def.clone();
            }
        }
        let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
        let serials: Vec<u32> = rows.iter().map(|row| row.serial).collect();
        writer.log.push_back(Record { seq, rows });
        self.note(|| format!("writer {of} acknowledges rows {serials:?} as sequence {seq}"));
    }

    /// A row of the table in its own terms; none if it is refused.
    fn conform(&mut self, of: usize, name: &'static str, meaning: Meaning) -> Option<(Row, Arc<TableDef>)> {
        self.pay(of);
        let def = self.definition_of(of, name, meaning)?;
        self.keep(of, &def);
        let field = def.column(meaning.0).filter(|column| is_meant(column, meaning))?.field_id;
        self.serials += 1;
        let hour = u8::from(self.random.chance(50));
        let seconds = u64::from(hour) * 3600 + self.random.below(120);
        let at = START.plus(Duration::from_secs(seconds));
        let row = Row { serial: self.serials, table: def.id, writer: of, seq: 0, field, meaning, at, hour };
        Some((row, def))
    }

    /// The table's definition with the column, extended where the request needs it.
    fn definition_of(&mut self, of: usize, name: &'static str, meaning: Meaning) -> Option<Arc<TableDef>> {
        let reachable = !self.recovering || !self.holds(Protection::DefinitionsWait);
        if reachable {
            self.follow(of);
        }
        let asks = reachable && self.random.chance(60);
        let found = asks.then(|| self.store.table(&database(), &table_name(name)));
        let session = self.writers[of].session.as_mut()?;
        match found {
            Some(Some(found)) => drop(session.known.insert(name, found)),
            Some(None) => drop(session.known.remove(name)),
            None => {}
        }
        let known = session.known.get(name).cloned();
        if let Some(known) = &known
            && known.column(meaning.0).is_some()
        {
            return Some(known.clone());
        }
        if !reachable {
            return None;
        }
        let wanted = definition(name, meaning);
        if !self.holds(Protection::DefineFirst)
            && let Some(known) = known
        {
            let extended = Arc::new(known.with_columns(&wanted.columns, 100).ok()?);
            let session = self.writers[of].session.as_mut()?;
            session.owed.push(wanted);
            session.known.insert(name, extended.clone());
            return Some(extended);
        }
        let defined = self.store.define(wanted);
        self.note(|| format!("writer {of} defines {name}.{} (float: {}): {}", meaning.0, meaning.1, told(&defined)));
        self.count(if defined.is_ok() { Event::Defined } else { Event::DefinitionRefused });
        let session = self.writers[of].session.as_mut()?;
        match defined {
            Ok(def) => {
                self.names.insert(def.id, name.to_owned());
                session.known.insert(name, def.clone());
                Some(def)
            }
            Err(_) => {
                session.known.remove(name);
                None
            }
        }
    }

    /// Sees to it that the definition lies on a layer before anything relies on it.
    fn keep(&mut self, of: usize, def: &Arc<TableDef>) {
        let kept_by_layers = self.holds(Protection::DefinitionsKept);
        let Some(session) = self.writers[of].session.as_mut() else { return };
        let kept = session.kept.entry(def.id).or_default();
        if *kept < def.revision && kept_by_layers {
            *kept = def.revision;
            self.layers.keep(session.followed, def);
        }
    }

    /// Defines what rows were promised.
    fn pay(&mut self, of: usize) {
        if self.recovering || self.random.chance(50) {
            return;
        }
        let Some(session) = self.writers[of].session.as_mut() else { return };
        for owed in std::mem::take(&mut session.owed) {
            let paid = self.store.define(owed);
            self.note(|| format!("writer {of} defines what it owed: {}", told(&paid)));
        }
    }

    /// Removes the oldest records as long as nothing in them is needed.
    pub(crate) fn truncate(&mut self, of: usize) {
        let per_table = self.holds(Protection::TruncatePerTable);
        let writer = &mut self.writers[of];
        let Some(session) = &writer.session else { return };
        let highest = session.watermarks.values().copied().max().unwrap_or(0);
        let passed = |row: &Row| {
            let own = session.watermarks.get(&row.table).copied().unwrap_or(0);
            row.seq <= if per_table { own } else { highest }
        };
        while let Some(record) = writer.log.pop_front_if(|record| record.rows.iter().all(passed)) {
            writer.header = record.seq;
            for row in &record.rows {
                writer.committed.insert(row.table, record.seq);
            }
        }
        // What is noted of rows that are gone is gone too.
        let header = writer.header;
        writer.intervals.retain(|interval| interval.hi > header);
        let needed =
            |table: &TableId| writer.log.iter().any(|record| record.rows.iter().any(|row| row.table == *table));
        let gone: Vec<TableId> = writer.definitions.keys().filter(|table| !needed(table)).copied().collect();
        gone.iter().for_each(|table| drop(writer.definitions.remove(table)));
        let header = writer.header;
        self.note(|| format!("writer {of} unlinks its log up to sequence {header}"));
    }
}

fn self_name(def: &TableDef) -> String {
    format!("{} of revision {}", def.name, def.revision)
}

fn told(defined: &gigapi_catalog::Result<Arc<TableDef>>) -> String {
    match defined {
        Ok(def) => {
            let columns: Vec<String> =
                def.columns.iter().skip(1).map(|column| format!("{}={}", column.name, column.field_id)).collect();
            format!(
                "table {} revision {} with {}",
                crate::random::short(def.id.uuid()),
                def.revision,
                columns.join(" ")
            )
        }
        Err(error) => error.to_string(),
    }
}
