//! The catalog's contract.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gigapi_model::{
    CatalogId, ClaimId, Commit, DatabaseName, FileId, IdempotencyRecord, LayerName, NewColumn, NewFile, TableDef,
    TableId, TableKey, TableName, TableSettings, TimeRange, Timestamp, WriterId,
};

use crate::{Files, Freshness, Reader, Result};

/// Which catalog this is and which incarnation of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// Stays the same through rebuilds; layers carry it in their marker.
    pub catalog: CatalogId,
    /// Goes up with every rebuild.
    pub epoch: u64,
    /// When this epoch began, by the catalog's clock.
    pub since: Timestamp,
}

/// How a catalog stands to what this process knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has no identity yet: nothing was ever stored in it, or it was emptied before this process came.
    Unfounded,
    /// It serves.
    Serving(Epochs),
    /// Somebody rebuilds it, and nobody else changes it meanwhile.
    Rebuilding {
        /// The epoch that will begin.
        epoch: u64,
        /// How long ago whoever rebuilds it was heard of.
        silent: Duration,
    },
    /// It was emptied or rolled back behind what a process knows: it has to be rebuilt.
    Lost {
        /// How that was noticed.
        reason: String,
    },
    /// Another catalog is in its place: whoever runs the installation has to say what that means.
    Foreign {
        /// The one that was found.
        found: CatalogId,
    },
}

/// A writer's right to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterSession {
    /// Fences every earlier holder of the same write-ahead log.
    pub epoch: u64,
    /// Whether the catalog had heard of this writer before.
    pub known: bool,
    /// Per table, the last sequence whose rows are in committed files. Dropped tables are absent.
    pub watermarks: HashMap<TableId, u64>,
}

/// What somebody wants a table to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its database; made if it does not exist.
    pub database: DatabaseName,
    /// Its name.
    pub table: TableName,
    /// Columns that it must have.
    pub columns: Vec<NewColumn>,
    /// The key that it gets if this call makes it; an existing table keeps its own.
    pub key: TableKey,
}

/// How a commit ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The change was made, or had been made by an earlier attempt with the same id; the table's version after it.
    Committed {
        /// The version.
        version: u64,
    },
    /// The writer's interval was committed before under another id: its files are not part of the table.
    AlreadyCommitted {
        /// The table's watermark for this writer, at or above the interval's end.
        watermark: u64,
    },
}

/// Whether a table of that id exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableState {
    /// It does.
    Live(Arc<TableDef>),
    /// It did.
    Dropped,
    /// The catalog has never heard of it.
    Unknown,
}

/// A table at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Goes up by one with each change of files or definition.
    pub version: u64,
    /// The definition at that version.
    pub table: Arc<TableDef>,
    /// Live files whose time range overlaps what was asked for, by ascending `(time.min, id)`.
    pub files: Files,
    /// Per writer, the last sequence whose rows are in `files`' table at that version.
    pub watermarks: Arc<HashMap<WriterId, u64>>,
}

/// A file that was removed from its table and not yet deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grave {
    /// Its table.
    pub table: TableId,
    /// The layer it lies on.
    pub layer: LayerName,
    /// Its full object path on that layer.
    pub path: String,
    /// Its id.
    pub file: FileId,
    /// The table's version that was the first without it there. Its object is not to be deleted before a
    /// checkpoint of this version or a later one exists, because a rebuild may need it until then.
    pub version: u64,
    /// Not to be deleted before this, by the catalog's clock.
    pub delete_after: Timestamp,
}

/// Files that a worker wants to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Their table.
    pub table: TableId,
    /// The files; all must be live.
    pub inputs: Vec<FileId>,
    /// How long the claim holds without being renewed.
    pub lease: Duration,
}

/// A leased, fenced right to work on named files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// Higher than that of every earlier claim on the table.
    pub token: u64,
    /// When it lapses unless renewed, by the catalog's clock.
    pub expires: Timestamp,
}

/// All that the catalog knows about one live table at one moment; what a checkpoint holds.
///
/// Claims, recorded commits and graves are left out: after a loss nobody holds a claim of the new epoch,
/// and what was buried is found again as an object that no table names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableExport {
    /// The catalog's epoch at that moment.
    pub epoch: u64,
    /// The definition.
    pub table: Arc<TableDef>,
    /// The table's version.
    pub version: u64,
    /// Live files with their statistics (empty where there are none), by ascending `(time.min, id)`.
    pub files: Vec<NewFile>,
    /// Per writer, the last sequence whose rows are in `files`.
    pub watermarks: HashMap<WriterId, u64>,
}

/// The state of a whole catalog, to be installed in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// The identity that the layers' markers carry.
    pub catalog: CatalogId,
    /// The epoch that begins; higher than every epoch seen in checkpoints, footers and markers.
    pub epoch: u64,
    /// Live tables. Their own `epoch` is history; versions and sequences are kept as they are.
    pub tables: Vec<TableExport>,
    /// Tables that were dropped: their ids answer `Dropped`.
    pub dropped: Vec<TableId>,
}

/// The catalog.
///
/// Every mutating call is atomic and linearizable per table: it is made wholly or not at all, and every
/// later read of the table, by anyone, sees it. [`Catalog::commit`] is idempotent by commit id, so a caller
/// that lost the answer repeats the call. Reads never see a half-made change. An implementation checks
/// everything before its first write; it holds no lock while a caller computes.
///
/// *Why not a transaction over several tables?* In Redis Cluster tables live in different slots. Commits to
/// different tables are independent; [`Catalog::commit`] takes several so that an implementation can share
/// one disk sync among them.
#[async_trait]
pub trait Catalog: Send + Sync + fmt::Debug {
    /// Identity and epoch; one cheap read. `Recovering` unless the catalog serves.
    async fn epochs(&self) -> Result<Epochs>;

    /// Whether the catalog is what this process knows it to be.
    ///
    /// A process remembers what it saw: once it has noticed a loss, every change is refused with `Recovering` until
    /// a later epoch begins, and the other processes are told where that is possible.
    async fn standing(&self) -> Result<Standing>;

    /// Gives a catalog without identity a fresh one, at epoch 1. Only for layers that belong to no catalog: for others
    /// it has to be rebuilt.
    async fn found(&self) -> Result<Epochs>;

    /// What one query reads.
    fn reader(self: Arc<Self>, freshness: Freshness) -> Arc<dyn Reader>;

    /// The present by the catalog's own clock, which decides the age of file ids, claims and graves.
    async fn now(&self) -> Result<Timestamp>;

    /// Opens or reopens a write-ahead log: raises the writer's epoch and reads its watermarks in one step.
    ///
    /// The first epoch of a writer under the catalog's epoch `e` lies above `(e - 1) << 32`, so that a
    /// session from before a rebuild never equals one after it.
    async fn open_writer(&self, writer: WriterId) -> Result<WriterSession>;

    /// All write-ahead logs that were ever opened against this catalog, in no order.
    async fn writers(&self) -> Result<Vec<WriterId>>;

    /// Remembers that the log of `writer` lies at that place (a pod's or a host's name), instead of the one before.
    async fn place_writer(&self, writer: WriterId, place: &str) -> Result<()>;

    /// Whose log lay at that place last. A restored catalog knows no places.
    async fn writer_at(&self, place: &str) -> Result<Option<WriterId>>;

    /// Remembers where other processes reach the writer, instead of the address before: from here on it may hold rows
    /// that are in no file. That lasts until it is withdrawn, however the writer's process ends; a restore leaves it
    /// as it was.
    async fn register_writer(&self, writer: WriterId, address: &str) -> Result<()>;

    /// The writer holds no rows that are in no file, and takes none before it is registered again. Withdrawing one
    /// that is not registered changes nothing.
    async fn withdraw_writer(&self, writer: WriterId) -> Result<()>;

    /// The writers that may hold rows which are in no file, by id, and where they are reached.
    async fn registered_writers(&self) -> Result<BTreeMap<WriterId, String>>;

    /// Installs a definition that a write-ahead log remembers and the catalog has lost, under its own id.
    ///
    /// An unknown table is made; a known one with an older revision is replaced, if the newer one has all its
    /// columns; otherwise nothing happens. Answers the definition as it is afterwards. `Dropped` if the table
    /// was dropped, `NameTaken` if another table has its name or the revisions contradict each other.
    async fn adopt(&self, table: &TableDef) -> Result<Arc<TableDef>>;

    /// All databases, by name. A database exists as long as it has a live table.
    async fn databases(&self) -> Result<Vec<DatabaseName>>;

    /// All live tables of a database, by name; empty if there is no such database.
    async fn tables(&self, database: &DatabaseName) -> Result<Vec<Arc<TableDef>>>;

    /// The live table of that name.
    async fn table(&self, database: &DatabaseName, table: &TableName) -> Result<Option<Arc<TableDef>>>;

    /// What became of a table of that id.
    async fn table_state(&self, table: TableId) -> Result<TableState>;

    /// Makes the table or extends it by the columns that it lacks; all or nothing.
    ///
    /// Returns the definition as it is afterwards. Two callers that race see one order; the later one
    /// extends what the earlier one made, or is told which column conflicts.
    async fn define(&self, definition: Definition) -> Result<Arc<TableDef>>;

    /// Changes what is set for the table; all or nothing.
    ///
    /// Returns the definition as it is afterwards: the next revision, or the present one where all is so already.
    /// `Dropped` and `UnknownTable` as [`Catalog::version`]; `Setting` names what cannot be set. One that races
    /// with [`Catalog::define`] is made before or after it, and neither is lost.
    async fn configure(&self, table: TableId, wanted: &TableSettings) -> Result<Arc<TableDef>>;

    /// All live tables of all databases, by database and name.
    async fn live_tables(&self) -> Result<Vec<Arc<TableDef>>>;

    /// Drops the table: its files go to the graveyard, its id answers `Dropped` from here on. Dropping a
    /// dropped table changes nothing.
    async fn drop_table(&self, table: TableId) -> Result<()>;

    /// Makes one change per entry, each atomic by itself; one answer per entry, in order.
    ///
    /// Checks, in this order and all before the first write: the catalog's epoch; the commit id (known →
    /// the recorded answer); the fence (a writer's epoch and watermark, a claim's token); that removed files
    /// are live and that no live file which overlaps them in time has a sequence between theirs; that added
    /// ids are new to the table and younger than one hour. Then files, graveyard, watermark, idempotency keys, version
    /// plus one. An added file of a writer gets the new version as its sequence.
    ///
    /// A table that has no watermark for a writer has the watermark 0: a first flush covers the writer's sequence from
    /// its very beginning, whatever belongs to other tables. So one that follows on rows which this catalog has
    /// forgotten is a gap.
    ///
    /// A claim removes only its own inputs, and ends with its commit. A file that is both removed and added
    /// is relocated: it differs in its layer alone and may be of any age. A commit id is remembered for the
    /// last 16 commits of a writer to the table, and for an hour after a claim's.
    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome>>;

    /// The table at one moment, with the live files that overlap `range`.
    async fn snapshot(&self, table: TableId, range: TimeRange) -> Result<Snapshot>;

    /// The table's version alone; what a holder of a snapshot asks to learn whether it is current.
    async fn version(&self, table: TableId) -> Result<u64>;

    /// Statistics of these files as they were committed; files without any are absent. They are kept until
    /// a removed file's grave is forgotten, so that holders of an older snapshot find them.
    async fn statistics(&self, table: TableId, files: &[FileId]) -> Result<HashMap<FileId, Arc<[u8]>>>;

    /// Idempotency keys recorded by commits of the last ten minutes; of a key that several commits brought, the
    /// first record.
    async fn idempotency_records(&self) -> Result<Vec<IdempotencyRecord>>;

    /// Claims live, unclaimed files. A lapsed claim is taken over; it can neither commit nor be renewed,
    /// whether or not somebody has taken over.
    async fn claim(&self, request: ClaimRequest) -> Result<Claim>;

    /// Extends a claim by `lease` from now.
    async fn renew(&self, table: TableId, claim: Claim, lease: Duration) -> Result<Claim>;

    /// Gives a claim back; giving back a lost claim does nothing.
    async fn release(&self, table: TableId, claim: Claim) -> Result<()>;

    /// The files of a table that somebody works on: those that a claim names which has not lapsed. A table that was
    /// dropped has none.
    async fn claimed(&self, table: TableId) -> Result<HashSet<FileId>>;

    /// Removed files whose time to be deleted has come.
    async fn graves(&self) -> Result<Vec<Grave>>;

    /// All removed files that are not yet deleted, due or not.
    async fn graveyard(&self) -> Result<Vec<Grave>>;

    /// Forgets graves whose objects are gone: each by its file and its layer, and only if its time to be deleted has
    /// come. The graves of the same file on other layers stay.
    async fn forget_graves(&self, graves: &[Grave]) -> Result<()>;

    /// The table's whole state at one moment.
    async fn export(&self, table: TableId) -> Result<TableExport>;

    /// Begins the rebuild that has taken `epoch`: when it returns, nobody changes anything under an older epoch any
    /// more, and every attempt is refused with `Recovering` or `StaleEpoch`, until the restore. Whoever rebuilds for
    /// long repeats it, to be heard of.
    ///
    /// `StaleEpoch` if the catalog has reached that epoch, or is being rebuilt under a later one.
    async fn begin_restore(&self, epoch: u64) -> Result<()>;

    /// Takes in that a rebuild has taken `epoch`, as the layers tell. A catalog that serves under an earlier one is
    /// about to be closed, or was rolled back to before it was: from here on nobody changes it until a later epoch
    /// begins. One that has reached that epoch is left alone.
    async fn overtaken(&self, epoch: u64) -> Result<()>;

    /// Installs rebuilt state in one step, in place of all that the catalog held; only under the epoch with which
    /// [`Catalog::begin_restore`] was called last.
    ///
    /// Every writer that appears in a watermark is known afterwards; epochs of writers and tokens of claims
    /// start above all that were given before.
    async fn restore(&self, state: Restore) -> Result<()>;
}
