//! Which rules are taken out, in what kind of history that shows, and how.
//!
//! Where two rules guard one thing, a case takes out both: [`Case::removed`] then has more than one.

use crate::check::Kind;
use crate::protections::Protection::{self, *};
use crate::world::{Focus, Step, WRITERS};

/// Histories of all kinds.
const PLAIN: Focus = &[];
const DELETING: Focus = &[(Step::ListOrphans, 80), (Step::ListGraves, 60), (Step::Delete, 200), (Step::Pause, 10)];
const READING: Focus =
    &[(Step::Query, 150), (Step::ListGraves, 100), (Step::ListOrphans, 60), (Step::Delete, 200), (Step::Lose, 5)];
const LOSING: Focus = &[(Step::Lose, 15), (Step::RollBack, 15), (Step::Rebuild, 200)];
const RACING: Focus = &[(Step::Lose, 15), (Step::Rebuild, 300), (Step::Start, 100), (Step::Commit, 200)];
const ROLLING: Focus = &[
    (Step::RollBack, 15),
    (Step::LateCommit, 100),
    (Step::Crash, 60),
    (Step::Export, 60),
    (Step::Rebuild, 100),
    (Step::Truncate, 100),
];
const DAMAGING: Focus = &[
    (Step::Damage, 15),
    (Step::Export, 60),
    (Step::ClaimMerge, 200),
    (Step::Work, 300),
    (Step::ListGraves, 60),
    (Step::Delete, 200),
    (Step::Lose, 6),
    (Step::RollBack, 6),
];
const RENEWING: Focus = &[(Step::ClaimMove, 100), (Step::Renew, 1500), (Step::ListOrphans, 100), (Step::Delete, 100)];
/// Orphans that are swept, and catalogs that have forgotten what they were.
const LEAVING: Focus = &[
    (Step::ListOrphans, 100),
    (Step::Delete, 200),
    (Step::Pause, 15),
    (Step::Lose, 6),
    (Step::RollBack, 12),
    (Step::Truncate, 150),
];
/// Files on their way to the later layer when the catalog is lost, queries, and somebody who deletes all the time.
const MOVING: Focus = &[
    (Step::ClaimMove, 150),
    (Step::Work, 400),
    (Step::Query, 150),
    (Step::ListGraves, 100),
    (Step::Delete, 200),
    (Step::Lose, 10),
    (Step::RollBack, 5),
    (Step::Rebuild, 200),
];
const CRASHING: Focus = &[(Step::Crash, 60), (Step::Start, 100), (Step::LateCommit, 100)];
/// Writers and mergers that die often, over checkpoints that are often damaged.
const FAILING: Focus = &[
    (Step::Damage, 30),
    (Step::Export, 100),
    (Step::ClaimMerge, 300),
    (Step::Work, 700),
    (Step::ListGraves, 150),
    (Step::Delete, 400),
    (Step::Crash, 150),
    (Step::Start, 500),
    (Step::Freeze, 300),
    (Step::Upload, 800),
    (Step::Commit, 100),
    (Step::Lose, 6),
    (Step::Rebuild, 100),
];

/// A catalog that is often an older copy, and work that goes on in it for long.
const STALLING: Focus = &[
    (Step::RollBack, 20),
    (Step::Freeze, 100),
    (Step::Upload, 300),
    (Step::Commit, 400),
    (Step::Truncate, 200),
    (Step::LateCommit, 50),
    (Step::Rebuild, 50),
];

/// A catalog that is often a slightly older copy, and nobody who remembers.
const FORGETTING: Focus = &[
    (Step::RollBack, 25),
    (Step::Start, 300),
    (Step::Write, 200),
    (Step::Freeze, 300),
    (Step::Upload, 600),
    (Step::Commit, 500),
    (Step::Truncate, 150),
    (Step::LateCommit, 50),
    (Step::ClaimMerge, 60),
    (Step::Work, 150),
    (Step::Rebuild, 100),
];

/// The same, and orphans that are swept.
const SWEEPING: Focus = &[
    (Step::RollBack, 25),
    (Step::Start, 100),
    (Step::Commit, 200),
    (Step::ClaimMerge, 200),
    (Step::Work, 400),
    (Step::ListOrphans, 100),
    (Step::Delete, 200),
    (Step::Pause, 15),
    (Step::Rebuild, 100),
];

/// Rebuilds whose closing is forgotten while they sleep.
const REOPENING: Focus = &[
    (Step::ForgetClosing, 150),
    (Step::Rebuild, 100),
    (Step::Freeze, 200),
    (Step::Upload, 500),
    (Step::Commit, 400),
    (Step::Truncate, 100),
    (Step::Lose, 3),
];

/// All of them by name.
pub(crate) const FOCI: &[(&str, Focus)] = &[
    ("plain", PLAIN),
    ("deleting", DELETING),
    ("reading", READING),
    ("losing", LOSING),
    ("racing", RACING),
    ("rolling", ROLLING),
    ("damaging", DAMAGING),
    ("renewing", RENEWING),
    ("crashing", CRASHING),
    ("failing", FAILING),
    ("stalling", STALLING),
    ("forgetting", FORGETTING),
    ("sweeping", SWEEPING),
    ("reopening", REOPENING),
];

/// A rule, or rules that guard one thing, and what is seen without.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) removed: &'static [Protection],
    pub(crate) focus: Focus,
    pub(crate) expected: Kind,
    pub(crate) writers: usize,
}

impl Case {
    const fn alone(self) -> Self {
        Self { writers: 1, ..self }
    }
}

const fn case(removed: &'static [Protection], focus: Focus, expected: Kind) -> Case {
    Case { removed, focus, expected, writers: WRITERS }
}

pub(crate) const CASES: &[Case] = &[
    // An older token can change nothing, whatever that comes to.
    case(&[WriterFence], CRASHING, Kind::Fence),
    case(&[Lease], PLAIN, Kind::Fence),
    // What it comes to. A commit of an older epoch carries its writer's older epoch too; the catalog checks both.
    case(&[CatalogEpoch, WriterFence], LOSING, Kind::Unrebuildable),
    case(&[Watermark], PLAIN, Kind::Doubled),
    case(&[Lease], DELETING, Kind::Missing),
    // Inputs that are no longer live have no claim either.
    case(&[Lease, Inputs], DELETING, Kind::Doubled),
    case(&[Between], PLAIN, Kind::Order),
    // What is above its writer's watermark is not swept, so a file that comes late is there.
    case(&[FileAge, OrphanBelowWatermark], DELETING, Kind::Missing),
    case(&[OneInterval], PLAIN, Kind::Lost),
    case(&[Sequences], FAILING, Kind::Lost),
    case(&[TruncatePerTable], PLAIN, Kind::Lost),
    case(&[DefineFirst], PLAIN, Kind::Meaning),
    case(&[DefinitionsKept], LOSING, Kind::Meaning),
    case(&[DefinitionsKept], LOSING, Kind::Stranded),
    // Where definitions are kept, a footer says nothing new.
    case(&[FooterDefinitions, DefinitionsKept], FAILING, Kind::Meaning).alone(),
    // What lies on a layer need not be adopted. Where nothing does, one writer brings its own back.
    case(&[Adopt, DefinitionsKept], PLAIN, Kind::Meaning).alone(),
    case(&[SourceStays], PLAIN, Kind::Missing),
    case(&[MoveForward], RENEWING, Kind::Missing),
    case(&[Grace], READING, Kind::Vanished),
    case(&[GraveCheckpoint], DELETING, Kind::Unrebuildable),
    case(&[OrphanAge], DELETING, Kind::Missing),
    // A file that is copied to a later layer is old by its id and claimed.
    case(&[OrphanModified, OrphanNotClaimed], DELETING, Kind::Missing),
    case(&[OrphanNotBuried], DELETING, Kind::Unrebuildable),
    case(&[OrphanEpochAge], READING, Kind::Vanished),
    case(&[LookAgain], DELETING, Kind::Unrebuildable),
    case(&[Tombstone], PLAIN, Kind::Returned),
    case(&[TombstoneFirst], PLAIN, Kind::Returned),
    case(&[ProcessesRemember], PLAIN, Kind::Lost),
    case(&[IntervalsNoted], FORGETTING, Kind::Lost),
    case(&[LogRemembers], FORGETTING, Kind::Lost),
    case(&[EpochsChecked], REOPENING, Kind::Lost),
    case(&[DefinitionsTell], FORGETTING, Kind::Meaning),
    case(&[TombstonesTell], PLAIN, Kind::Returned),
    case(&[OrphanBelowWatermark], LEAVING, Kind::Lost),
    case(&[OrphanNotInput], DELETING, Kind::Unrebuildable),
    // A commit that nobody waits with does not count where a later epoch is taken.
    case(&[WorkWaits, EpochsChecked], STALLING, Kind::Lost),
    case(&[DeletionWaits], DELETING, Kind::Unrebuildable),
    case(&[DefinitionsWait], PLAIN, Kind::Unrebuildable),
    case(&[Base], PLAIN, Kind::Unrebuildable),
    case(&[OneMoment], PLAIN, Kind::Doubled),
    case(&[NewEpoch], STALLING, Kind::Lost),
    case(&[ExclusiveEpoch], STALLING, Kind::Lost),
    case(&[LatestEpoch, EpochsChecked], LOSING, Kind::Lost),
    case(&[Closing], PLAIN, Kind::Lost),
    case(&[CheckpointsFirst], ROLLING, Kind::Unrebuildable),
    // Beyond the checkpoint's watermarks a late file of an older epoch holds acknowledged rows like any other, so it
    // does harm only where no checkpoint is used.
    case(&[EpochFilter, Base], PLAIN, Kind::Unrebuildable),
    // The copy on the earlier layer is buried, and whoever deletes it looks again.
    case(&[LaterLayer, LookAgain], MOVING, Kind::Vanished),
    // A merge is opened up only while its inputs are there, so a cover that is exact finds their rows without it.
    case(&[Proven, ExactCover], FAILING, Kind::Lost),
    case(&[ExactCover], FAILING, Kind::Lost),
];
