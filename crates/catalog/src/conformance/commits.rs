//! Scenarios about flushes.

use std::collections::HashMap;
use std::time::Duration;

use gigapi_model::{Actor, DataFile, IdempotencyRecord, SequenceRange, TableId, TimeRange, WriterId};

use super::{Rig, ids};
use crate::{ClaimRequest, CommitOutcome, Error};

pub(super) async fn a_flush_becomes_visible_with_its_version_as_sequence(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.file(0, 10);
    let outcome = rig.commit(writer.flush(table.id, 1, 5, vec![file.clone()])).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { version: 2 });
    assert_eq!(rig.catalog.version(table.id).await.unwrap(), 2);
    let snapshot = rig.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!(*snapshot.watermarks, HashMap::from([(writer.id, 5)]));
    assert_eq!(**snapshot.files.iter().next().unwrap(), DataFile { sequence: SequenceRange { lo: 2, hi: 2 }, ..file });
    // An interval without rows of this table moves the watermark.
    rig.commit(writer.flush(table.id, 6, 9, vec![])).await.unwrap();
    let later = rig.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!((later.version, later.files.len(), later.watermarks[&writer.id]), (3, 1, 9));
    assert_eq!((snapshot.version, snapshot.watermarks[&writer.id]), (2, 5), "a snapshot stays as it was");
}

pub(super) async fn a_stale_catalog_epoch_is_refused(rig: &Rig) {
    let (mut writer, table) = (rig.open(1).await, rig.table("cpu").await);
    writer.catalog_epoch += 1;
    let refused = rig.commit(writer.flush(table.id, 1, 1, vec![rig.file(0, 1)])).await.unwrap_err();
    assert!(matches!(refused, Error::StaleEpoch { current: 1, known: 2 }), "{refused:?}");
    assert_eq!(rig.catalog.version(table.id).await.unwrap(), 1);
}

pub(super) async fn a_repeated_commit_is_answered_as_the_first_was(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let commit = writer.flush(table.id, 1, 3, vec![rig.file(0, 1)]);
    let first = rig.commit(commit.clone()).await.unwrap();
    rig.flush(&writer, table.id, 4, rig.file(2, 3)).await;
    assert_eq!(rig.commit(commit.clone()).await.unwrap(), first);
    // The answer comes before the fence: a superseded writer still learns what became of its attempt.
    rig.open(1).await;
    assert_eq!(rig.commit(commit).await.unwrap(), first);
    assert_eq!(rig.live(table.id).await.len(), 2);
    assert_eq!(rig.catalog.version(table.id).await.unwrap(), 3);
}

pub(super) async fn only_the_last_commits_of_a_writer_are_remembered(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let commits: Vec<_> = (1..=17).map(|seq| writer.flush(table.id, seq, seq, vec![])).collect();
    for commit in &commits {
        rig.commit(commit.clone()).await.unwrap();
    }
    let forgotten = rig.commit(commits[0].clone()).await.unwrap();
    assert_eq!(forgotten, CommitOutcome::AlreadyCommitted { watermark: 17 });
    assert_eq!(rig.commit(commits[1].clone()).await.unwrap(), CommitOutcome::Committed { version: 3 });
    assert_eq!(rig.commit(commits[16].clone()).await.unwrap(), CommitOutcome::Committed { version: 18 });
}

pub(super) async fn a_superseded_writer_is_fenced(rig: &Rig) {
    let (old, table) = (rig.open(1).await, rig.table("cpu").await);
    let new = rig.open(1).await;
    assert!(new.session.known && !old.session.known);
    let refused = rig.commit(old.flush(table.id, 1, 1, vec![rig.file(0, 1)])).await.unwrap_err();
    let (current, known) = (new.session.epoch, old.session.epoch);
    assert!(matches!(refused, Error::Fenced { current: c, known: k } if c == current && k == known), "{refused:?}");
    rig.flush(&new, table.id, 1, rig.file(0, 1)).await;
    let mut stranger = rig.open(2).await;
    stranger.id = WriterId::from_uuid(uuid::Uuid::from_u128(3));
    let refused = rig.commit(stranger.flush(table.id, 1, 1, vec![])).await.unwrap_err();
    assert!(matches!(refused, Error::Fenced { current: 0, .. }), "{refused:?}");
}

pub(super) async fn an_interval_is_judged_by_the_watermark(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    rig.commit(writer.flush(table.id, 1, 10, vec![rig.file(0, 1)])).await.unwrap();
    let flush = |lo, hi| rig.commit(writer.flush(table.id, lo, hi, vec![rig.file(2, 3)]));
    assert_eq!(flush(1, 10).await.unwrap(), CommitOutcome::AlreadyCommitted { watermark: 10 });
    assert_eq!(flush(3, 4).await.unwrap(), CommitOutcome::AlreadyCommitted { watermark: 10 });
    let refused = flush(8, 12).await.unwrap_err();
    assert!(matches!(refused, Error::PartlyCommitted { watermark: 10, lo: 8 }), "{refused:?}");
    let refused = flush(12, 13).await.unwrap_err();
    assert!(matches!(refused, Error::Gap { watermark: 10, lo: 12 }), "{refused:?}");
    assert_eq!(rig.live(table.id).await.len(), 1);
    assert_eq!(flush(11, 11).await.unwrap(), CommitOutcome::Committed { version: 3 });
}

pub(super) async fn a_new_tables_first_interval_begins_with_one(rig: &Rig) {
    let (one, two, table) = (rig.open(1).await, rig.open(2).await, rig.table("cpu").await);
    let refused = rig.commit(one.flush(table.id, 41, 50, vec![rig.file(0, 1)])).await.unwrap_err();
    assert!(matches!(refused, Error::Gap { watermark: 0, lo: 41 }), "{refused:?}");
    rig.commit(one.flush(table.id, 1, 50, vec![rig.file(0, 1)])).await.unwrap();
    rig.commit(two.flush(table.id, 1, 7, vec![rig.file(0, 1)])).await.unwrap();
    let refused = rig.commit(one.flush(table.id, 40, 51, vec![])).await.unwrap_err();
    assert!(matches!(refused, Error::PartlyCommitted { watermark: 50, lo: 40 }), "{refused:?}");
    let watermarks = rig.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap().watermarks;
    assert_eq!(*watermarks, HashMap::from([(one.id, 50), (two.id, 7)]));
}

pub(super) async fn a_contradictory_interval_is_refused(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    for (lo, hi) in [(0, 1), (3, 2)] {
        let refused = rig.commit(writer.flush(table.id, lo, hi, vec![])).await.unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused:?}");
    }
    let refused = rig.commit(writer.flush(table.id, 1, 1, vec![rig.file(5, 4)])).await.unwrap_err();
    assert!(matches!(refused, Error::Malformed { .. }), "{refused:?}");
}

pub(super) async fn a_used_file_id_is_refused(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let live = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let exists = |error: Error| matches!(error, Error::FileExists { file } if file == live.id);
    assert!(exists(rig.commit(writer.flush(table.id, 2, 2, vec![live.clone()])).await.unwrap_err()));
    let twice = rig.file(2, 3);
    let refused = rig.commit(writer.flush(table.id, 2, 2, vec![twice.clone(), twice.clone()])).await.unwrap_err();
    assert!(matches!(refused, Error::FileExists { file } if file == twice.id), "{refused:?}");
    // Buried, and even forgotten, an id stays used as long as it is young enough to be added.
    let request = ClaimRequest { table: table.id, inputs: vec![live.id], lease: Duration::from_secs(60) };
    let claim = rig.catalog.claim(request).await.unwrap();
    rig.commit(rig.replace(table.id, claim, &[&live], vec![])).await.unwrap();
    assert!(exists(rig.commit(writer.flush(table.id, 2, 2, vec![live.clone()])).await.unwrap_err()));
    rig.advance(8 * 60);
    rig.catalog.forget_graves(&rig.catalog.graves().await.unwrap()).await.unwrap();
    assert!(rig.catalog.graves().await.unwrap().is_empty());
    assert!(exists(rig.commit(writer.flush(table.id, 2, 2, vec![live.clone()])).await.unwrap_err()));
}

pub(super) async fn an_old_file_id_is_refused(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let (first, second) = (rig.file(0, 1), rig.file(2, 3));
    rig.advance(3600);
    rig.commit(writer.flush(table.id, 1, 1, vec![first])).await.unwrap();
    rig.advance(1);
    let refused = rig.commit(writer.flush(table.id, 2, 2, vec![second.clone()])).await.unwrap_err();
    assert!(matches!(refused, Error::FileTooOld { file } if file == second.id), "{refused:?}");
    let meaningless = DataFile { id: super::plain_file(5).id, ..second };
    let refused = rig.commit(writer.flush(table.id, 2, 2, vec![meaningless])).await.unwrap_err();
    assert!(matches!(refused, Error::FileTooOld { .. }), "{refused:?}");
}

pub(super) async fn entries_of_one_call_are_judged_one_by_one(rig: &Rig) {
    let (writer, cpu, mem) = (rig.open(1).await, rig.table("cpu").await, rig.table("mem").await);
    let shared = rig.file(0, 1);
    let answers = rig
        .catalog
        .commit(vec![
            writer.flush(cpu.id, 1, 1, vec![shared.clone()]),
            writer.flush(cpu.id, 3, 3, vec![rig.file(0, 1)]),
            writer.flush(cpu.id, 2, 2, vec![shared.clone()]),
            writer.flush(mem.id, 1, 2, vec![rig.file(4, 5)]),
            writer.flush(cpu.id, 2, 2, vec![rig.file(6, 7)]),
        ])
        .await;
    assert!(matches!(answers[0], Ok(CommitOutcome::Committed { version: 2 })), "{answers:?}");
    assert!(matches!(answers[1], Err(Error::Gap { watermark: 1, lo: 3 })), "{answers:?}");
    assert!(matches!(answers[2], Err(Error::FileExists { file }) if file == shared.id), "{answers:?}");
    assert!(matches!(answers[3], Ok(CommitOutcome::Committed { version: 2 })), "{answers:?}");
    assert!(matches!(answers[4], Ok(CommitOutcome::Committed { version: 3 })), "{answers:?}");
    assert_eq!((rig.live(cpu.id).await.len(), rig.live(mem.id).await.len()), (2, 1));
    assert!(rig.catalog.commit(vec![]).await.is_empty());
}

pub(super) async fn a_snapshot_lists_what_overlaps_by_time_and_id(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    // Listed before the first file is there, so that what follows reaches a reader as changes.
    assert!(rig.live(table.id).await.is_empty());
    let spans = [(50, 60), (0, 100), (10, 20), (10, 20), (61, 70)];
    let mut files = Vec::new();
    for (seq, (min, max)) in (1..).zip(spans) {
        files.push(rig.flush(&writer, table.id, seq, rig.file(min, max)).await);
    }
    let mut expected = files.clone();
    expected.sort_by_key(|file| (file.time.min, file.id));
    assert_eq!(rig.live(table.id).await, expected);
    let range = TimeRange::new(files[0].time.max, files[0].time.max);
    let snapshot = rig.catalog.snapshot(table.id, range).await.unwrap();
    let found: Vec<_> = snapshot.files.iter().map(|file| file.id).collect();
    assert_eq!(found, ids(&[&files[1], &files[0]]));
    let outside = TimeRange::new(files[4].time.max, files[4].time.min);
    assert!(rig.catalog.snapshot(table.id, outside).await.unwrap().files.len() <= 2);
}

pub(super) async fn statistics_come_back_as_committed(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let with = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let without = rig.file(2, 3);
    let mut commit = writer.flush(table.id, 2, 2, vec![without.clone()]);
    commit.change.added[0].statistics.clear();
    rig.commit(commit).await.unwrap();
    let unknown = rig.file(4, 5);
    let found = rig.catalog.statistics(table.id, &ids(&[&with, &without, &unknown])).await.unwrap();
    assert_eq!(found, HashMap::from([(with.id, with.id.uuid().as_bytes().as_slice().into())]));
}

pub(super) async fn idempotency_keys_are_known_for_their_window(rig: &Rig) {
    let (writer, cpu, mem) = (rig.open(1).await, rig.table("cpu").await, rig.table("mem").await);
    let record = |key: &str, answer: u8| IdempotencyRecord {
        key: key.to_owned(),
        received_at: super::START,
        answer: vec![answer],
    };
    let mut commit = writer.flush(cpu.id, 1, 1, vec![]);
    commit.idempotency = vec![record("b", 1), record("a", 2)];
    rig.commit(commit).await.unwrap();
    rig.advance(300);
    // The other table of the same request brings the key again: the first record stays.
    let mut commit = writer.flush(mem.id, 1, 1, vec![]);
    commit.idempotency = vec![record("a", 9), record("c", 3)];
    rig.commit(commit).await.unwrap();
    let known = rig.catalog.idempotency_records().await.unwrap();
    assert_eq!(known, [record("a", 2), record("b", 1), record("c", 3)]);
    rig.advance(300);
    // A key may be known for longer where a later commit brought it again.
    let later =
        |records: Vec<IdempotencyRecord>| records.into_iter().filter(|record| record.key != "a").collect::<Vec<_>>();
    assert_eq!(later(rig.catalog.idempotency_records().await.unwrap()), [record("c", 3)]);
    let mut refused = writer.flush(cpu.id, 7, 7, vec![]);
    refused.idempotency = vec![record("d", 4)];
    rig.commit(refused).await.unwrap_err();
    assert_eq!(later(rig.catalog.idempotency_records().await.unwrap()), [record("c", 3)]);
    // Those of very many requests.
    rig.advance(600);
    let many: Vec<_> = (10_000..12_500).map(|number| record(&number.to_string(), 5)).collect();
    let mut commit = writer.flush(cpu.id, 2, 2, vec![]);
    commit.idempotency.clone_from(&many);
    rig.commit(commit).await.unwrap();
    assert_eq!(rig.catalog.idempotency_records().await.unwrap(), many);
}

pub(super) async fn a_writer_reopens_with_its_watermarks(rig: &Rig) {
    let (one, two) = (rig.open(1).await, rig.open(2).await);
    let (cpu, mem) = (rig.table("cpu").await, rig.table("mem").await);
    rig.commit(one.flush(cpu.id, 1, 4, vec![])).await.unwrap();
    rig.commit(one.flush(mem.id, 1, 6, vec![])).await.unwrap();
    rig.commit(two.flush(mem.id, 1, 9, vec![])).await.unwrap();
    let again = rig.open(1).await;
    assert_eq!(again.session.epoch, one.session.epoch + 1);
    assert_eq!(again.session.watermarks, HashMap::<TableId, u64>::from([(cpu.id, 4), (mem.id, 6)]));
    let actor = again.flush(cpu.id, 5, 5, vec![]).actor;
    assert!(matches!(actor, Actor::Writer { lo: 5, .. }));
    assert_eq!(rig.open(3).await.session.watermarks, HashMap::new());
}
