//! What keeps rows safe, one name for each rule, so that a history can be run without it.

macro_rules! protections {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Protection {
            $($(#[$doc])* $name,)*
        }

        pub(crate) const ALL: &[Protection] = &[$(Protection::$name,)*];
    };
}

protections! {
    // Judged by the catalog at every commit.
    /// A commit carries the catalog's epoch.
    CatalogEpoch,
    /// A commit carries its writer's latest epoch.
    WriterFence,
    /// An interval starts at the watermark plus one.
    Watermark,
    /// An added file's id is young.
    FileAge,
    /// A merge's or a relocation's claim is held.
    Lease,
    /// All inputs are live.
    Inputs,
    /// No live file stands between the inputs.
    Between,

    // Kept by a writer.
    /// A table's next interval is cut when the last one is answered.
    OneInterval,
    /// A log gives no sequence twice, though its segments are gone.
    Sequences,
    /// A segment waits for the watermarks of each of its tables.
    TruncatePerTable,
    /// An interval is in the log before its commit is sent, and is cut the same way when the log is read back.
    IntervalsNoted,
    /// A log that knows of later commits than the catalog has it rebuilt.
    LogRemembers,
    /// A commit counts, watermarks are relied upon and objects are deleted only where no rebuild has taken a later epoch
    /// than the catalog's.
    EpochsChecked,
    /// A definition is in the catalog before a row relies on it.
    DefineFirst,
    /// A definition lies on a layer before a row relies on it.
    DefinitionsKept,
    /// A log's definitions are adopted when it is opened, and after a rebuild.
    Adopt,

    // Kept by workers.
    /// A relocation deletes its source only through the graveyard.
    SourceStays,
    /// Files are relocated to later layers only.
    MoveForward,

    // Kept by whoever deletes.
    /// Queries that hold an older snapshot have ended before a buried file goes.
    Grace,
    /// A buried file waits for a checkpoint or a tombstone.
    GraveCheckpoint,
    /// An orphan is old.
    OrphanAge,
    /// An orphan's age counts from the last writing of its object too.
    OrphanModified,
    /// A flush above its writer's watermark is no orphan.
    OrphanBelowWatermark,
    /// What a merge read is no orphan as long as the merge's output is there and not live either.
    OrphanNotInput,
    /// Buried files are no orphans.
    OrphanNotBuried,
    /// Claimed files are no orphans.
    OrphanNotClaimed,
    /// Orphans are left alone under a young epoch.
    OrphanEpochAge,
    /// Whoever deletes looks at the catalog again before each batch.
    LookAgain,

    // Kept by whoever drops.
    /// A tombstone is written.
    Tombstone,
    /// It is written before the drop.
    TombstoneFirst,

    // While the catalog is lost or rolled back.
    /// A rollback is noticed though no checkpoint tells.
    ProcessesRemember,
    /// Definitions on a layer tell of a rollback.
    DefinitionsTell,
    /// Tombstones tell of a rollback.
    TombstonesTell,
    /// Nobody claims and nobody flushes.
    WorkWaits,
    /// Nobody deletes.
    DeletionWaits,
    /// Nobody makes or extends a table.
    DefinitionsWait,

    // Kept by checkpoints and the rebuild.
    /// A rebuild begins with the newest checkpoint.
    Base,
    /// A checkpoint's files and watermarks are of one moment.
    OneMoment,
    /// A rebuild begins an epoch.
    NewEpoch,
    /// An epoch's number is taken by one rebuild.
    ExclusiveEpoch,
    /// A rebuild that finds a later epoch taken begins again above it.
    LatestEpoch,
    /// A rebuild closes the catalog before it looks at the layers.
    Closing,
    /// Checkpoints of the new epoch are written before the catalog opens.
    CheckpointsFirst,
    /// Files of epochs before the checkpoint's are out, unless it names them.
    EpochFilter,
    /// Of two copies the one on the later layer counts.
    LaterLayer,
    /// Definitions in footers count beside the checkpoint's.
    FooterDefinitions,
    /// A flush that a merge read was committed.
    Proven,
    /// The cover is exact.
    ExactCover,
    /// The product's plan decides. Without it the model's own does, which should make no difference.
    ProductPlan,
}

/// All rules but some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protections {
    pub(crate) removed: &'static [Protection],
}

impl Protections {
    pub(crate) fn hold(&self, protection: Protection) -> bool {
        !self.removed.contains(&protection)
    }
}
