//! One history: who takes part in it, what may happen next, and what happened.
//!
//! An actor's step is as large as what it does without being interrupted: one call to the catalog, one object.
//! Between two steps of an actor anything else may happen, and any actor may be gone for good.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::{Limits, TableExport};
use gigapi_model::{CatalogId, Clock, Commit, CommitId, Ids, ManualClock, TableDef, TableId, Timestamp};

use crate::check::Violation;
use crate::deletion::Deleter;
use crate::events::{Event, Events};
use crate::layers::{Layers, Place};
use crate::protections::{Protection, Protections};
use crate::random::{ModelIds, Random};
use crate::rebuilding::{FIRST_EPOCH, Rebuilder};
use crate::store::{History, Store};
use crate::workers::Job;
use crate::writers::Writer;

/// Writers of a history.
pub(crate) const WRITERS: usize = 2;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);
/// The catalog refuses files whose id is older.
const FILE_AGE_MAX: Duration = Duration::from_secs(60);
/// An orphan is older.
pub(crate) const ORPHAN_AGE: Duration = Duration::from_secs(200);
/// A query takes no longer.
const QUERY_MAX: Duration = Duration::from_secs(10);
/// Buried files are kept for so long.
const GRACE: Duration = Duration::from_secs(15);
/// A claim holds for so long.
pub(crate) const LEASE: Duration = Duration::from_secs(25);

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write,
    Freeze,
    Upload,
    Commit,
    Crash,
    Start,
    Truncate,
    LateCommit,
    ClaimMerge,
    ClaimMove,
    Work,
    Renew,
    ListGraves,
    ListOrphans,
    Delete,
    Export,
    Checkpoint,
    Drop,
    FollowDrop,
    Query,
    Lose,
    RollBack,
    ForgetClosing,
    Remember,
    Damage,
    Rebuild,
    Pause,
}

/// How often what happens, relative to the others.
const WEIGHTS: [(Step, u64); 27] = [
    (Step::Write, 150),
    (Step::Freeze, 120),
    (Step::Upload, 260),
    (Step::Commit, 200),
    (Step::Crash, 20),
    (Step::Start, 100),
    (Step::Truncate, 50),
    (Step::LateCommit, 25),
    (Step::ClaimMerge, 90),
    (Step::ClaimMove, 40),
    (Step::Work, 200),
    (Step::Renew, 20),
    (Step::ListGraves, 25),
    (Step::ListOrphans, 15),
    (Step::Delete, 120),
    (Step::Export, 20),
    (Step::Checkpoint, 15),
    (Step::Drop, 2),
    (Step::FollowDrop, 10),
    (Step::Query, 25),
    (Step::Lose, 3),
    (Step::RollBack, 3),
    (Step::ForgetClosing, 3),
    (Step::Remember, 5),
    (Step::Damage, 1),
    (Step::Rebuild, 120),
    (Step::Pause, 4),
];

/// Steps that happen more often than usual, so that what they may break shows sooner.
pub(crate) type Focus = &'static [(Step, u64)];

/// Files that a query reads.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) places: Vec<Place>,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) protections: Protections,
    focus: Focus,
    pub(crate) random: Random,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: ModelIds,
    /// Streams of identities that are in use.
    streams: u64,
    pub(crate) store: Store,
    /// Catalogs of before, of which copies exist.
    pub(crate) dumps: Vec<History>,
    pub(crate) layers: Layers,
    /// The catalog that the layers' markers name.
    pub(crate) owner: CatalogId,
    /// The catalog is lost or rolled back, and everybody knows.
    pub(crate) recovering: bool,
    /// The catalog is rolled back and nobody knows; writers that have not been started since.
    pub(crate) unnoticed: Option<BTreeSet<usize>>,
    /// The latest epoch under which anybody saw the catalog.
    pub(crate) served: u64,
    pub(crate) writers: Vec<Writer>,
    /// Commits of processes that are gone, still on their way.
    pub(crate) late: Vec<Commit>,
    pub(crate) made: BTreeSet<CommitId>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) deleters: Vec<Deleter>,
    /// Checkpoints that were taken and not yet written.
    pub(crate) exports: VecDeque<TableExport>,
    pub(crate) rebuilders: Vec<Rebuilder>,
    pub(crate) queries: Vec<Query>,
    /// What a querier serves while the catalog is away.
    pub(crate) last_seen: Vec<Vec<Place>>,
    /// Drops of which only the first half was done.
    pub(crate) half_drops: Vec<Arc<TableDef>>,
    /// Tables that somebody set out to drop: their rows may go.
    pub(crate) doomed: BTreeSet<TableId>,
    /// Tables that are dropped: their rows are gone.
    pub(crate) dropped: BTreeSet<TableId>,
    pub(crate) serials: u32,
    steps: u64,
    /// Definitions by table for whoever asks what a name was.
    pub(crate) names: BTreeMap<TableId, String>,
    /// Checkpoints were damaged since the last rebuild, so that the next one may be refused.
    pub(crate) damaged: bool,
    /// A rebuild was refused for a good reason; an operator has to restore a file.
    pub(crate) is_over: bool,
    /// How often what happened.
    pub(crate) events: Events,
    /// Whether the own planner is used, which gives files no order.
    pub(crate) unordered: bool,
    /// Whether a change by somebody who was superseded is a violation by itself, whatever it comes to.
    pub(crate) fences_checked: bool,
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, removed: &'static [Protection], focus: Focus) -> Self {
        let protections = Protections { removed };
        let clock = Arc::new(ManualClock::new(START));
        let store = Store::new(&clock, limits(&protections), 1);
        let owner = store.epochs().catalog;
        let mut world = Self {
            focus,
            random: Random::new(seed),
            clock,
            ids: ModelIds::new(0),
            streams: 2,
            store,
            dumps: Vec::new(),
            layers: Layers::default(),
            owner,
            recovering: false,
            unnoticed: None,
            served: FIRST_EPOCH,
            writers: (1..).take(WRITERS).map(Writer::new).collect(),
            late: Vec::new(),
            made: BTreeSet::new(),
            jobs: Vec::new(),
            deleters: Vec::new(),
            exports: VecDeque::new(),
            rebuilders: Vec::new(),
            queries: Vec::new(),
            last_seen: Vec::new(),
            half_drops: Vec::new(),
            doomed: BTreeSet::new(),
            dropped: BTreeSet::new(),
            serials: 0,
            steps: 0,
            names: BTreeMap::new(),
            unordered: [Protection::Proven, Protection::ExactCover, Protection::ProductPlan]
                .iter()
                .any(|rule| !protections.hold(*rule)),
            damaged: false,
            is_over: false,
            events: Events::default(),
            fences_checked: true,
            trace: None,
            protections,
        };
        for writer in 0..world.writers.len() {
            world.start(writer);
        }
        world
    }

    pub(crate) fn holds(&self, protection: Protection) -> bool {
        self.protections.hold(protection)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn limits(&self) -> Limits {
        limits(&self.protections)
    }

    /// A stream of identities that nobody used.
    pub(crate) fn new_stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    pub(crate) fn commit_id(&self) -> CommitId {
        CommitId::from_uuid(self.ids.random())
    }

    /// Notes what happened, where a history is told.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let at = self.now().since(START).as_secs();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{at:>5} s  {}", what()));
        }
    }

    /// Counts what happened.
    pub(crate) fn count(&mut self, event: Event) {
        self.events.count(event);
    }

    /// One thing happens, then everything is checked.
    pub(crate) fn step(&mut self) -> Result<(), Violation> {
        self.clock.advance(Duration::from_millis(self.random.below(900)));
        let step = self.choose();
        let writer = self.random.index(self.writers.len()).unwrap_or(0);
        match step {
            Step::Write => self.write(writer),
            Step::Freeze => self.freeze(writer),
            Step::Upload => self.upload(writer),
            Step::Commit => self.commit(writer)?,
            Step::Crash => self.crash(writer),
            Step::Start => self.start(writer),
            Step::Truncate => self.truncate(writer),
            Step::LateCommit => self.late_commit()?,
            Step::ClaimMerge => self.claim_merge(),
            Step::ClaimMove => self.claim_move(),
            Step::Work => self.work()?,
            Step::Renew => self.renew(),
            Step::ListGraves => self.list_graves(),
            Step::ListOrphans => self.list_orphans(),
            Step::Delete => self.delete()?,
            Step::Export => self.export(),
            Step::Checkpoint => self.checkpoint(),
            Step::Drop => self.drop_table(),
            Step::FollowDrop => self.follow_drop(),
            Step::Query => self.query(),
            Step::Lose => self.lose(),
            Step::RollBack => self.roll_back(),
            Step::ForgetClosing => self.forget_closing(),
            Step::Remember => self.remember(),
            Step::Damage => self.damage(),
            Step::Rebuild => self.rebuild()?,
            Step::Pause => self.pause(),
        }
        if self.unnoticed.as_ref().is_some_and(BTreeSet::is_empty) {
            // Every log was read over what is left, and none missed anything.
            self.unnoticed = None;
            self.count(Event::Forgiven);
        }
        self.steps += 1;
        if self.steps.is_multiple_of(20) {
            self.check_rebuildable()?;
        }
        self.check()
    }

    /// The next step, by chance and weight.
    fn choose(&mut self) -> Step {
        let extra: u64 = self.focus.iter().map(|(_, weight)| weight).sum();
        let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum::<u64>() + extra;
        let mut left = self.random.below(all);
        for (step, weight) in WEIGHTS.iter().chain(self.focus) {
            if left < *weight {
                return *step;
            }
            left -= weight;
        }
        Step::Write
    }

    /// Nothing happens for a while.
    fn pause(&mut self) {
        let seconds = 5 + self.random.below(240);
        self.clock.advance(Duration::from_secs(seconds));
        self.note(|| format!("nothing happens for {seconds} s"));
    }

    /// A query takes the files of a table; where the catalog is away, those that were seen last.
    fn query(&mut self) {
        let until = self.now().plus(QUERY_MAX);
        let places = if self.recovering {
            let Some(index) = self.random.index(self.last_seen.len()) else { return };
            self.last_seen[index].clone()
        } else {
            let tables = self.store.live_tables();
            let Some(index) = self.random.index(tables.len()) else { return };
            self.places(tables[index].id)
        };
        self.count(Event::Queried);
        self.queries.push(Query { places, until });
    }

    /// Where the table's live files lie.
    pub(crate) fn places(&self, table: TableId) -> Vec<Place> {
        let snapshot = self.store.snapshot(table);
        snapshot.iter().flat_map(|snapshot| &snapshot.files).map(|file| crate::layers::place_of(file)).collect()
    }
}

fn limits(protections: &Protections) -> Limits {
    let day = Duration::from_secs(24 * 60 * 60);
    Limits {
        file_age_max: if protections.hold(Protection::FileAge) { FILE_AGE_MAX } else { day },
        grace: if protections.hold(Protection::Grace) { GRACE } else { Duration::ZERO },
        ..Limits::default()
    }
}
