//! One list of scenarios that every implementation passes.
//!
//! A scenario is a plain async function over [`Rig`]: a catalog behind the trait and the clock that it
//! reads. To have another implementation checked, write a function that makes its `Rig` and name it in
//! [`suite`]. Scenarios never look at how an implementation stores what it knows.

mod claims;
mod commits;
mod races;
mod settings;
mod state;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{
    Actor, Change, Clock, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DataFile, DatabaseName, FileId, Ids,
    ManualClock, NewColumn, NewFile, SequenceRange, SystemIds, TableDef, TableId, TableKey, TableName, TimeRange,
    Timestamp, WriterId,
};

use crate::record::tests::file as plain_file;
use crate::redis::tests::server::TestServer;
use crate::{Catalog, Claim, CommitOutcome, Definition, Limits, Result, WriterSession};

/// A catalog under test.
pub(crate) struct Rig {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<ManualClock>,
    /// Keeps the folder of a stored catalog.
    pub(crate) _folder: Option<tempfile::TempDir>,
    /// Keeps the server of a catalog that has one.
    pub(crate) _server: Option<TestServer>,
}

/// When scenarios begin.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);

/// Small limits, so that scenarios meet them.
pub(crate) fn limits() -> Limits {
    Limits { databases_max: 3, tables_per_database_max: 4, columns_max: 6, ..Limits::default() }
}

/// Lists the scenarios and runs each on each implementation.
macro_rules! suite {
    ($($module:ident: $($scenario:ident),+;)+) => {
        /// Every scenario, one after the other, each on a rig of its own.
        pub(crate) async fn all<F: Future<Output = Rig>>(rig: impl Fn() -> F) {
            $($(
                $module::$scenario(&rig().await).await;
            )+)+
        }

        suite!(@on memory, memory_rig, $($module: $($scenario),+;)+);
        suite!(@on embedded, embedded_rig, $($module: $($scenario),+;)+);
        suite!(@on redis, redis_rig, $($module: $($scenario),+;)+);
    };
    (@on $name:ident, $rig:ident, $($module:ident: $($scenario:ident),+;)+) => {
        mod $name {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::$module::$scenario(&super::$rig().await).await;
                }
            )+)+
        }
    };
}

suite! {
    tables:
        a_lost_definition_is_adopted_under_its_own_id,
        writers_are_remembered,
        writers_are_registered_until_they_are_withdrawn,
        a_definition_makes_a_table_and_its_database,
        a_definition_extends_a_table_once,
        a_conflicting_definition_names_the_column_and_changes_nothing,
        limits_refuse_columns_tables_and_databases,
        a_dropped_table_answers_dropped_and_its_name_is_free,
        what_was_never_there_is_unknown;
    settings:
        what_is_set_is_seen_by_everybody_under_a_new_version,
        a_setting_that_is_so_already_changes_nothing,
        a_wrong_setting_is_refused_and_changes_nothing,
        settings_of_a_table_that_is_gone_are_refused,
        settings_stay_through_extensions_exports_and_adoptions,
        settings_and_columns_that_race_are_both_kept;
    commits:
        a_flush_becomes_visible_with_its_version_as_sequence,
        a_stale_catalog_epoch_is_refused,
        a_repeated_commit_is_answered_as_the_first_was,
        only_the_last_commits_of_a_writer_are_remembered,
        a_superseded_writer_is_fenced,
        an_interval_is_judged_by_the_watermark,
        a_new_tables_first_interval_begins_with_one,
        a_contradictory_interval_is_refused,
        a_used_file_id_is_refused,
        an_old_file_id_is_refused,
        entries_of_one_call_are_judged_one_by_one,
        a_snapshot_lists_what_overlaps_by_time_and_id,
        statistics_come_back_as_committed,
        idempotency_keys_are_known_for_their_window,
        a_writer_reopens_with_its_watermarks;
    claims:
        a_merge_replaces_its_inputs,
        a_merge_around_a_live_file_is_refused,
        a_merge_of_a_gone_input_is_refused,
        claimed_files_are_refused_until_the_lease_lapses,
        claimed_files_are_told,
        a_taken_over_claim_changes_nothing,
        a_renewed_claim_holds_longer,
        a_released_claim_frees_its_files,
        a_claim_needs_live_files,
        a_claim_touches_only_its_inputs,
        a_claims_commit_is_remembered,
        a_relocated_file_keeps_its_id_and_leaves_a_grave,
        a_relocation_changes_nothing_but_the_layer,
        graves_wait_for_the_grace_and_are_forgotten,
        a_dropped_tables_files_are_buried;
    races:
        one_of_two_conflicting_definitions_wins,
        concurrent_commits_get_versions_without_gaps,
        concurrent_claims_of_one_file_have_one_winner,
        a_commit_whose_caller_went_away_is_recorded_once;
    state:
        an_export_is_restored_as_it_was,
        a_restore_replaces_what_was_there,
        nothing_changes_while_the_catalog_is_rebuilt,
        a_later_rebuild_supersedes_an_earlier_one,
        an_overtaken_catalog_is_closed_until_a_later_epoch,
        a_query_reads_through_a_reader,
        a_contradictory_state_is_refused_and_leaves_nothing,
        writers_and_claims_start_above_what_was_given_before;
}

async fn memory_rig() -> Rig {
    let clock = Arc::new(ManualClock::new(START));
    let catalog = crate::MemoryCatalog::new(clock.clone(), Arc::new(SystemIds), limits());
    Rig { catalog: Arc::new(catalog), clock, _folder: None, _server: None }
}

async fn embedded_rig() -> Rig {
    let clock = Arc::new(ManualClock::new(START));
    let folder = tempfile::tempdir().unwrap();
    let catalog = crate::EmbeddedCatalog::open(folder.path(), clock.clone(), Arc::new(SystemIds), limits()).unwrap();
    Rig { catalog: Arc::new(catalog), clock, _folder: Some(folder), _server: None }
}

async fn redis_rig() -> Rig {
    let clock = Arc::new(ManualClock::new(START));
    let server = TestServer::start(&[]);
    let catalog = server.catalog(limits(), Some(clock.clone())).await;
    Rig { catalog: Arc::new(catalog), clock, _folder: None, _server: Some(server) }
}

impl Rig {
    pub(crate) async fn table(&self, name: &str) -> Arc<TableDef> {
        self.catalog.define(definition("db", name, &[])).await.unwrap()
    }

    pub(crate) async fn open(&self, number: u128) -> Writer {
        let id = WriterId::from_uuid(uuid::Uuid::from_u128(number));
        let session = self.catalog.open_writer(id).await.unwrap();
        let catalog_epoch = self.catalog.epochs().await.unwrap().epoch;
        Writer { id, session, catalog_epoch }
    }

    /// A file that is minted now and holds the seconds `min..=max` after the start.
    pub(crate) fn file(&self, min: i64, max: i64) -> DataFile {
        let at = |seconds: i64| Timestamp::from_nanos(START.nanos() + seconds * 1_000_000_000);
        DataFile {
            id: SystemIds.file_id(self.clock.now()),
            time: TimeRange::new(at(min), at(max)),
            sequence: SequenceRange { lo: 0, hi: 0 },
            ..plain_file(1)
        }
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        let mut answers = self.catalog.commit(vec![commit]).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// Flushes one file as the writer's next interval.
    pub(crate) async fn flush(&self, writer: &Writer, table: TableId, seq: u64, file: DataFile) -> DataFile {
        let outcome = self.commit(writer.flush(table, seq, seq, vec![file.clone()])).await.unwrap();
        let CommitOutcome::Committed { version } = outcome else { panic!("{outcome:?}") };
        DataFile { sequence: SequenceRange { lo: version, hi: version }, ..file }
    }

    pub(crate) async fn live(&self, table: TableId) -> Vec<DataFile> {
        let snapshot = self.catalog.snapshot(table, TimeRange::ALL).await.unwrap();
        snapshot.files.iter().map(|file| DataFile::clone(file)).collect()
    }

    pub(crate) fn replace(&self, table: TableId, claim: Claim, removed: &[&DataFile], added: Vec<DataFile>) -> Commit {
        Commit {
            table,
            catalog_epoch: 1,
            id: commit_id(),
            actor: Actor::Claim { claim: claim.id, token: claim.token },
            change: Change {
                added: added.into_iter().map(with_statistics).collect(),
                removed: removed.iter().map(|file| file.id).collect(),
            },
            idempotency: Vec::new(),
        }
    }

    /// Begins a rebuild and ends it.
    pub(crate) async fn restore(&self, state: crate::Restore) {
        self.catalog.begin_restore(state.epoch).await.unwrap();
        self.catalog.restore(state).await.unwrap();
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// An open write-ahead log.
pub(crate) struct Writer {
    pub(crate) id: WriterId,
    pub(crate) session: WriterSession,
    pub(crate) catalog_epoch: u64,
}

impl Writer {
    pub(crate) fn flush(&self, table: TableId, lo: u64, hi: u64, files: Vec<DataFile>) -> Commit {
        Commit {
            table,
            catalog_epoch: self.catalog_epoch,
            id: commit_id(),
            actor: Actor::Writer { writer: self.id, epoch: self.session.epoch, lo, hi },
            change: Change { added: files.into_iter().map(with_statistics).collect(), removed: Vec::new() },
            idempotency: Vec::new(),
        }
    }
}

fn commit_id() -> CommitId {
    CommitId::from_uuid(SystemIds.random())
}

/// Statistics that tell the file they belong to.
fn with_statistics(file: DataFile) -> NewFile {
    let statistics = file.id.uuid().as_bytes().to_vec();
    NewFile { file, statistics }
}

pub(crate) fn definition(database: &str, table: &str, columns: &[(&str, ColumnType, ColumnRole)]) -> Definition {
    let columns = columns.iter().map(|(name, column_type, role)| NewColumn {
        name: ColumnName::new(name).unwrap(),
        column_type: *column_type,
        role: *role,
    });
    Definition {
        database: DatabaseName::new(database).unwrap(),
        table: TableName::new(table).unwrap(),
        columns: columns.collect(),
        key: TableKey::Tags,
    }
}

pub(crate) fn ids(files: &[&DataFile]) -> Vec<FileId> {
    files.iter().map(|file| file.id).collect()
}
