//! From what the catalog holds to jobs: which tables have to be looked at, and what is due in them.
//!
//! A table is planned when its version has changed or a time has come that an earlier plan named; others cost one
//! question for their version. What this process works on, what others have claimed, and what is damaged is held
//! back. Plans are made from what is read here and judged again by the catalog when they are committed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::Catalog;
use gigapi_model::{
    DataFile, DatabaseName, FileId, MergeOverrides, TableDef, TableId, TableName, TimeRange, Timestamp, effective_ttl,
};
use gigapi_recovery::{DatabaseSettings, database_settings, quarantined_files};
use gigapi_storage::Layers;

use crate::Result;
use crate::policy::{LayerRule, MergePlan, MergeSettings, Moves, TableState, moves, plan};
use crate::worker::Job;

/// A relocation takes so many files at once,
const MOVED_FILES_MAX: usize = 32;

/// of so many bytes together, unless one is larger.
const MOVED_BYTES_MAX: u64 = 256 << 20;

/// Files that end in one commit.
const EXPIRED_FILES_MAX: usize = 500;

/// A table with work that others have claimed is looked at again after this long at most: who claimed it may have died,
/// and a claim that lapses changes no version.
const CLAIMED_PAUSE: Duration = Duration::from_secs(5);

/// Which tables are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// One database alone.
    pub database: Option<DatabaseName>,
    /// One table of it alone.
    pub table: Option<TableName>,
}

impl Scope {
    fn holds(&self, table: &TableDef) -> bool {
        self.database.as_ref().is_none_or(|database| *database == table.database)
            && self.table.as_ref().is_none_or(|name| *name == table.name)
    }
}

/// What a table's files come to.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) table: Arc<TableDef>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) files: Vec<Arc<DataFile>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    version: u64,
    next_due: Option<Timestamp>,
    /// The ttl of its database.
    of_database: Option<Duration>,
}

/// What is known from beside the catalog: it lies on a layer, and asking costs requests.
#[derive(Debug)]
struct Aside {
    read_at: Timestamp,
    databases: BTreeMap<DatabaseName, DatabaseSettings>,
    /// Live files that are damaged.
    damaged: HashSet<FileId>,
}

/// Plans tables.
#[derive(Debug)]
pub(crate) struct Planner {
    catalog: Arc<dyn Catalog>,
    layers: Arc<Layers>,
    rules: Vec<LayerRule>,
    /// How files are merged where a table says nothing; none if merging is off.
    merging: Option<MergeSettings>,
    scope: Scope,
    live: HashSet<TableId>,
    known: HashMap<TableId, Known>,
    /// Files that this process works on.
    working: HashSet<FileId>,
    /// Files that are not touched before that time: somebody else works on them, or they failed.
    avoided: HashMap<FileId, Timestamp>,
    aside: Option<Aside>,
    aside_age_max: Duration,
    claimed_pause: Duration,
}

impl Planner {
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        layers: Arc<Layers>,
        merging: Option<MergeSettings>,
        scope: Scope,
    ) -> Self {
        let rule = |layer: &Arc<gigapi_storage::Layer>| LayerRule { name: layer.name.clone(), ttl: layer.ttl };
        Self {
            catalog,
            rules: layers.iter().map(rule).collect(),
            layers,
            merging,
            scope,
            live: HashSet::new(),
            known: HashMap::new(),
            working: HashSet::new(),
            avoided: HashMap::new(),
            aside: None,
            aside_age_max: Duration::ZERO,
            claimed_pause: CLAIMED_PAUSE,
        }
    }

    /// The same, where claims last that long.
    pub(crate) fn with_lease(self, lease: Duration) -> Self {
        Self { claimed_pause: lease.min(CLAIMED_PAUSE), ..self }
    }

    /// What lies beside the catalog may be known for that long; by default it is read with every plan.
    pub(crate) fn with_aside_age(self, aside_age_max: Duration) -> Self {
        Self { aside_age_max, ..self }
    }

    /// The files of a job are this process's until it is done.
    pub(crate) fn begin(&mut self, job: &Job) {
        self.working.extend(job.inputs());
    }

    /// A job has ended; files that cannot be worked on now are avoided until then.
    pub(crate) fn end(&mut self, table: TableId, inputs: &[FileId], avoided_until: Option<Timestamp>) {
        for file in inputs {
            self.working.remove(file);
            if let Some(until) = avoided_until {
                self.avoided.insert(*file, until);
            }
        }
        self.known.remove(&table);
    }

    /// Whether the table was there when it was looked for last.
    pub(crate) fn is_known(&self, table: TableId) -> bool {
        self.live.contains(&table)
    }

    /// What is due now in tables that have changed or whose time has come.
    pub(crate) async fn due(&mut self) -> Result<Vec<Planned>> {
        let now = self.catalog.now().await?;
        self.avoided.retain(|_, until| *until > now);
        let tables = self.catalog.live_tables().await?;
        if self.aside.as_ref().is_none_or(|aside| now.since(aside.read_at) >= self.aside_age_max) {
            let databases = database_settings(&self.layers).await?;
            let damaged = quarantined_files(&self.layers).await?;
            if self.aside.as_ref().is_some_and(|aside| !aside.damaged.is_subset(&damaged)) {
                // A mark was taken away, which changes no version.
                self.known.clear();
            }
            self.aside = Some(Aside { read_at: now, databases, damaged });
        }
        self.live = tables.iter().map(|table| table.id).collect();
        self.known.retain(|table, _| self.live.contains(table));
        let mut due = Vec::new();
        let inside: Vec<_> = tables.into_iter().filter(|table| self.scope.holds(table)).collect();
        for table in inside {
            let aside = self.aside.as_ref();
            let of_database = aside.and_then(|aside| aside.databases.get(&table.database)?.ttl);
            match self.of_table(table.id, of_database, now).await {
                Ok(Some(planned)) => due.push(planned),
                // Dropped since the list was made.
                Ok(None) | Err(crate::Error::Catalog(gigapi_catalog::Error::Dropped { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(due)
    }

    async fn of_table(
        &mut self,
        table: TableId,
        of_database: Option<Duration>,
        now: Timestamp,
    ) -> Result<Option<Planned>> {
        if let Some(known) = self.known.get(&table) {
            let has_come = known.next_due.is_some_and(|at| at <= now) || known.of_database != of_database;
            if !has_come && self.catalog.version(table).await? == known.version {
                return Ok(None);
            }
        }
        let snapshot = self.catalog.snapshot(table, TimeRange::ALL).await?;
        let files: Vec<Arc<DataFile>> = snapshot.files.iter().cloned().collect();
        let ttl = effective_ttl(snapshot.table.ttl, of_database);
        let mut held = self.working.clone();
        held.extend(self.aside.iter().flat_map(|aside| &aside.damaged).chain(self.avoided.keys()));
        let (mut jobs, mut next_due) = self.jobs(&snapshot.table, &files, ttl, &held, now);
        let mut lapsed = None;
        if !jobs.is_empty() {
            let claimed = self.catalog.claimed(table).await?;
            if jobs.iter().any(|job| job.inputs().iter().any(|file| claimed.contains(file))) {
                held.extend(claimed);
                (jobs, next_due) = self.jobs(&snapshot.table, &files, ttl, &held, now);
                lapsed = Some(now.plus(self.claimed_pause));
            }
        }
        // What is avoided or claimed comes back some time, without a change that would tell.
        let back = self.avoided.values().min().copied();
        let next_due = [next_due, back, lapsed].into_iter().flatten().min();
        self.known.insert(table, Known { version: snapshot.version, next_due, of_database });
        Ok(Some(Planned { table: Arc::clone(&snapshot.table), jobs, files }))
    }

    fn jobs(
        &self,
        table: &TableDef,
        files: &[Arc<DataFile>],
        ttl: Option<Duration>,
        held: &HashSet<FileId>,
        now: Timestamp,
    ) -> (Vec<Job>, Option<Timestamp>) {
        let Moves { moved, expired, next_due: next_move } = moves(files, held, &self.rules, ttl, now);
        let mut jobs = Vec::new();
        jobs.extend(expired.chunks(EXPIRED_FILES_MAX).map(|files| Job::Expire(files.to_vec())));
        let mut held = held.clone();
        held.extend(expired.iter().map(|(file, _)| file.id));
        held.extend(moved.iter().map(|moved| moved.file.id));
        let merging = self.merging_of(table);
        let ttl_min = self.rules.iter().filter_map(|layer| layer.ttl).chain(ttl).min();
        let state = TableState { files, held: &held, merging: merging.as_ref(), ttl_min };
        let merges = plan(&state, now);
        jobs.extend(merges.merges.into_iter().map(Job::Merge));
        jobs.extend(batches(moved).into_iter().map(Job::Relocate));
        (jobs, [merges.next_due, next_move].into_iter().flatten().min())
    }

    /// How the table's files are merged: as all others, but for what is set for it.
    fn merging_of(&self, table: &TableDef) -> Option<MergeSettings> {
        let mut settings = self.merging.clone()?;
        let MergeOverrides { intervals, bytes_max, enabled } = MergeOverrides::of(table);
        if enabled == Some(false) {
            return None;
        }
        for (level, interval) in settings.intervals.iter_mut().zip(intervals) {
            *level = interval.unwrap_or(*level);
        }
        for (level, bytes) in settings.bytes_max.iter_mut().zip(bytes_max) {
            *level = bytes.unwrap_or(*level);
        }
        Some(settings)
    }
}

fn batches(moved: Vec<crate::policy::Move>) -> Vec<Vec<crate::policy::Move>> {
    let mut all: Vec<Vec<crate::policy::Move>> = Vec::new();
    let mut bytes = 0;
    for next in moved {
        let more = next.file.bytes;
        match all.last_mut() {
            Some(batch) if batch.len() < MOVED_FILES_MAX && bytes + more <= MOVED_BYTES_MAX => {
                bytes += more;
                batch.push(next);
            }
            _ => {
                bytes = more;
                all.push(vec![next]);
            }
        }
    }
    all
}

/// The merges among jobs.
pub(crate) fn merges(jobs: &[Job]) -> impl Iterator<Item = &MergePlan> {
    jobs.iter().filter_map(|job| match job {
        Job::Merge(plan) => Some(plan),
        Job::Relocate(_) | Job::Expire(_) => None,
    })
}

#[cfg(test)]
mod tests;
