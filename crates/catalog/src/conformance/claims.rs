//! Scenarios about claims, merges, relocations and graves.

use std::time::Duration;

use gigapi_model::{DataFile, LayerName, SequenceRange, TableId, TimeRange};

use super::{Rig, Writer, ids};
use crate::{Claim, ClaimRequest, CommitOutcome, Error, Grave, Result};

const LEASE: Duration = Duration::from_secs(60);

async fn claim(rig: &Rig, table: TableId, inputs: &[&DataFile]) -> Result<Claim> {
    rig.catalog.claim(ClaimRequest { table, inputs: ids(inputs), lease: LEASE }).await
}

/// A table with files over these seconds.
async fn filled(rig: &Rig, spans: &[(i64, i64)]) -> (Writer, TableId, Vec<DataFile>) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let mut files = Vec::new();
    for (seq, (min, max)) in (1..).zip(spans) {
        files.push(rig.flush(&writer, table.id, seq, rig.file(*min, *max)).await);
    }
    (writer, table.id, files)
}

fn merged(rig: &Rig, inputs: &[&DataFile]) -> DataFile {
    let lo = inputs.iter().map(|file| file.sequence.lo).min().unwrap();
    let hi = inputs.iter().map(|file| file.sequence.hi).max().unwrap();
    let min = inputs.iter().map(|file| file.time.min).min().unwrap();
    let max = inputs.iter().map(|file| file.time.max).max().unwrap();
    DataFile { sequence: SequenceRange { lo, hi }, time: TimeRange::new(min, max), ..rig.file(0, 0) }
}

pub(super) async fn a_merge_replaces_its_inputs(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (5, 20), (50, 60)]).await;
    assert_eq!(rig.live(table).await, files);
    let held = claim(rig, table, &[&files[0], &files[1]]).await.unwrap();
    let output = merged(rig, &[&files[0], &files[1]]);
    let commit = rig.replace(table, held, &[&files[0], &files[1]], vec![output.clone()]);
    assert_eq!(rig.commit(commit).await.unwrap(), CommitOutcome::Committed { version: 5 });
    assert_eq!(rig.live(table).await, [output, files[2].clone()]);
    // The claim ended with its commit.
    let refused = rig.commit(rig.replace(table, held, &[], vec![])).await.unwrap_err();
    assert!(matches!(refused, Error::ClaimLost), "{refused:?}");
}

pub(super) async fn a_merge_around_a_live_file_is_refused(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (4, 6), (5, 20), (100, 110)]).await;
    let around = [&files[0], &files[2]];
    let held = claim(rig, table, &around).await.unwrap();
    let commit = rig.replace(table, held, &around, vec![merged(rig, &around)]);
    let refused = rig.commit(commit).await.unwrap_err();
    assert!(matches!(refused, Error::InputChanged { file } if file == files[1].id), "{refused:?}");
    rig.catalog.release(table, held).await.unwrap();
    // A file between them in sequence that does not overlap them in time does no harm.
    let apart = [&files[0], &files[1], &files[2]];
    let held = claim(rig, table, &apart).await.unwrap();
    rig.commit(rig.replace(table, held, &apart, vec![merged(rig, &apart)])).await.unwrap();
    // Removing without a replacement merges nothing, so nothing stands between.
    let held = claim(rig, table, &[&files[3]]).await.unwrap();
    rig.commit(rig.replace(table, held, &[&files[3]], vec![])).await.unwrap();
}

pub(super) async fn a_merge_of_a_gone_input_is_refused(rig: &Rig) {
    let (writer, table, files) = filled(rig, &[(0, 10), (20, 30)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.advance(61);
    let taken = claim(rig, table, &[&files[0], &files[1]]).await.unwrap();
    rig.commit(rig.replace(table, taken, &[&files[0]], vec![])).await.unwrap();
    let mut flush = writer.flush(table, 3, 3, vec![]);
    flush.change.removed = vec![files[0].id];
    let refused = rig.commit(flush).await.unwrap_err();
    assert!(matches!(refused, Error::InputChanged { file } if file == files[0].id), "{refused:?}");
    let refused = claim(rig, table, &[&files[0]]).await.unwrap_err();
    assert!(matches!(refused, Error::InputChanged { .. }), "{refused:?}");
    assert!(matches!(rig.catalog.renew(table, held, LEASE).await, Err(Error::ClaimLost)));
}

pub(super) async fn claimed_files_are_refused_until_the_lease_lapses(rig: &Rig) {
    let (writer, table, files) = filled(rig, &[(0, 10), (20, 30)]).await;
    let first = claim(rig, table, &[&files[0]]).await.unwrap();
    assert_eq!(first.expires, rig.now().plus(LEASE));
    let refused = claim(rig, table, &[&files[1], &files[0]]).await.unwrap_err();
    assert!(matches!(refused, Error::Claimed { file } if file == files[0].id), "{refused:?}");
    let other = claim(rig, table, &[&files[1]]).await.unwrap();
    assert!(other.token > first.token);
    let mut flush = writer.flush(table, 3, 3, vec![]);
    flush.change.removed = vec![files[0].id];
    let refused = rig.commit(flush.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::Claimed { .. }), "{refused:?}");
    rig.advance(60);
    let taken = claim(rig, table, &[&files[0], &files[1]]).await.unwrap();
    assert!(taken.token > other.token);
}

pub(super) async fn claimed_files_are_told(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (20, 30), (40, 50)]).await;
    let claimed = async || {
        let mut claimed: Vec<_> = rig.catalog.claimed(table).await.unwrap().into_iter().collect();
        claimed.sort_by_key(|file| files.iter().position(|known| known.id == *file));
        claimed
    };
    assert_eq!(claimed().await, []);
    let both = claim(rig, table, &[&files[0], &files[1]]).await.unwrap();
    rig.advance(30);
    let third = claim(rig, table, &[&files[2]]).await.unwrap();
    assert_eq!(claimed().await, ids(&[&files[0], &files[1], &files[2]]));
    rig.advance(30);
    assert_eq!(claimed().await, [files[2].id], "the first lease has lapsed");
    assert!(matches!(rig.catalog.renew(table, both, LEASE).await, Err(Error::ClaimLost)));
    rig.catalog.release(table, third).await.unwrap();
    assert_eq!(claimed().await, []);
    claim(rig, table, &[&files[2]]).await.unwrap();
    let nobody = TableId::from_uuid(uuid::Uuid::from_u128(7));
    assert!(matches!(rig.catalog.claimed(nobody).await, Err(Error::UnknownTable { .. })));
    rig.catalog.drop_table(table).await.unwrap();
    assert_eq!(claimed().await, []);
}

pub(super) async fn a_taken_over_claim_changes_nothing(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10)]).await;
    let old = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.advance(60);
    let late = rig.replace(table, old, &[&files[0]], vec![merged(rig, &[&files[0]])]);
    assert!(matches!(rig.commit(late.clone()).await, Err(Error::ClaimLost)), "a lapsed claim commits");
    let new = claim(rig, table, &[&files[0]]).await.unwrap();
    assert!(matches!(rig.commit(late).await, Err(Error::ClaimLost)));
    assert!(matches!(rig.catalog.renew(table, old, LEASE).await, Err(Error::ClaimLost)));
    rig.catalog.release(table, old).await.unwrap();
    let forged = Claim { id: new.id, token: old.token, expires: new.expires };
    rig.catalog.release(table, forged).await.unwrap();
    assert!(matches!(rig.catalog.renew(table, forged, LEASE).await, Err(Error::ClaimLost)));
    assert_eq!(rig.live(table).await, files);
    rig.commit(rig.replace(table, new, &[&files[0]], vec![merged(rig, &[&files[0]])])).await.unwrap();
}

pub(super) async fn a_renewed_claim_holds_longer(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.advance(40);
    let renewed = rig.catalog.renew(table, held, LEASE).await.unwrap();
    assert_eq!((renewed.id, renewed.token, renewed.expires), (held.id, held.token, rig.now().plus(LEASE)));
    rig.advance(40);
    assert!(matches!(claim(rig, table, &[&files[0]]).await, Err(Error::Claimed { .. })));
    rig.advance(20);
    assert!(matches!(rig.catalog.renew(table, renewed, LEASE).await, Err(Error::ClaimLost)));
}

pub(super) async fn a_released_claim_frees_its_files(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.catalog.release(table, held).await.unwrap();
    rig.catalog.release(table, held).await.unwrap();
    let next = claim(rig, table, &[&files[0]]).await.unwrap();
    assert!(next.token > held.token);
}

pub(super) async fn a_claim_needs_live_files(rig: &Rig) {
    let (_, table, _) = filled(rig, &[(0, 10)]).await;
    let unknown = rig.file(0, 1);
    let refused = claim(rig, table, &[&unknown]).await.unwrap_err();
    assert!(matches!(refused, Error::InputChanged { file } if file == unknown.id), "{refused:?}");
    assert!(matches!(claim(rig, table, &[]).await, Err(Error::Malformed { .. })));
    let nobody = TableId::from_uuid(uuid::Uuid::from_u128(7));
    assert!(matches!(claim(rig, nobody, &[&unknown]).await, Err(Error::UnknownTable { .. })));
    rig.catalog.drop_table(table).await.unwrap();
    assert!(matches!(claim(rig, table, &[&unknown]).await, Err(Error::Dropped { .. })));
}

pub(super) async fn a_claim_touches_only_its_inputs(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (20, 30)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    let beyond = DataFile { sequence: files[1].sequence, ..merged(rig, &[&files[0]]) };
    for commit in [
        rig.replace(table, held, &[&files[1]], vec![]),
        rig.replace(table, held, &[&files[0], &files[0]], vec![]),
        rig.replace(table, held, &[], vec![merged(rig, &[&files[0]])]),
        rig.replace(table, held, &[&files[0]], vec![beyond]),
    ] {
        let refused = rig.commit(commit).await.unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused:?}");
    }
    assert_eq!(rig.live(table).await, files);
}

pub(super) async fn a_claims_commit_is_remembered(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    let commit = rig.replace(table, held, &[&files[0]], vec![merged(rig, &[&files[0]])]);
    let first = rig.commit(commit.clone()).await.unwrap();
    rig.advance(600);
    assert_eq!(rig.commit(commit).await.unwrap(), first);
    assert_eq!(rig.live(table).await.len(), 1);
}

pub(super) async fn a_relocated_file_keeps_its_id_and_leaves_a_grave(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (5, 20)]).await;
    rig.advance(2 * 3600);
    let cold = DataFile { layer: LayerName::new("cold").unwrap(), ..files[0].clone() };
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.commit(rig.replace(table, held, &[&files[0]], vec![cold.clone()])).await.unwrap();
    assert_eq!(rig.live(table).await, [cold.clone(), files[1].clone()]);
    rig.advance(420);
    let graves = rig.catalog.graves().await.unwrap();
    assert_eq!(graves.len(), 1);
    assert_eq!((graves[0].file, graves[0].layer.as_str()), (cold.id, "hot"));
    rig.catalog.forget_graves(&graves).await.unwrap();
    assert!(rig.catalog.graves().await.unwrap().is_empty());
    assert_eq!(rig.catalog.statistics(table, &[cold.id]).await.unwrap().len(), 1, "a live file lost its statistics");
    // Back again: what lies at its old place is live, so no grave may name it.
    let held = claim(rig, table, &[&cold]).await.unwrap();
    rig.commit(rig.replace(table, held, &[&cold], vec![files[0].clone()])).await.unwrap();
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.commit(rig.replace(table, held, &[&files[0]], vec![cold.clone()])).await.unwrap();
    rig.advance(420);
    let graves = rig.catalog.graves().await.unwrap();
    assert_eq!(graves.iter().map(|grave| grave.layer.as_str()).collect::<Vec<_>>(), ["hot"]);
    // A file may lie in graves on several layers; each is forgotten by itself.
    let warm = DataFile { layer: LayerName::new("warm").unwrap(), ..cold.clone() };
    let held = claim(rig, table, &[&cold]).await.unwrap();
    rig.commit(rig.replace(table, held, &[&cold], vec![warm])).await.unwrap();
    rig.advance(420);
    let graves = rig.catalog.graves().await.unwrap();
    assert_eq!(graves.iter().map(|grave| grave.layer.as_str()).collect::<Vec<_>>(), ["hot", "cold"]);
    rig.catalog.forget_graves(&graves[1..]).await.unwrap();
    assert_eq!(rig.catalog.graves().await.unwrap(), graves[..1]);
}

pub(super) async fn a_relocation_changes_nothing_but_the_layer(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    let other_bytes = DataFile { layer: LayerName::new("cold").unwrap(), checksum: 1, ..files[0].clone() };
    for target in [other_bytes, files[0].clone()] {
        let refused = rig.commit(rig.replace(table, held, &[&files[0]], vec![target])).await.unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused:?}");
    }
}

pub(super) async fn graves_wait_for_the_grace_and_are_forgotten(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (20, 30)]).await;
    for file in &files {
        let held = claim(rig, table, &[file]).await.unwrap();
        rig.commit(rig.replace(table, held, &[file], vec![])).await.unwrap();
        rig.advance(10);
    }
    rig.advance(399);
    assert!(rig.catalog.graves().await.unwrap().is_empty());
    assert_eq!(rig.catalog.graveyard().await.unwrap().len(), 2);
    // Told too early, the catalog keeps the grave.
    rig.catalog.forget_graves(&rig.catalog.graveyard().await.unwrap()).await.unwrap();
    rig.advance(1);
    let graves = rig.catalog.graves().await.unwrap();
    assert_eq!(graves.len(), 1);
    assert_eq!((graves[0].table, graves[0].file, graves[0].delete_after), (table, files[0].id, rig.now()));
    assert_eq!(graves[0].version, 4, "two flushes made 2 and 3");
    assert_eq!(graves[0].path, format!("db/cpu/{}/{}.1.parquet", files[0].bucket, files[0].id));
    assert_eq!(rig.catalog.statistics(table, &[files[0].id]).await.unwrap().len(), 1);
    rig.advance(10);
    let graves = rig.catalog.graves().await.unwrap();
    assert_eq!(graves.len(), 2);
    let unknown = Grave { file: rig.file(0, 0).id, ..graves[0].clone() };
    rig.catalog.forget_graves(&[graves[0].clone(), unknown]).await.unwrap();
    let left = rig.catalog.graves().await.unwrap();
    assert_eq!(left.iter().map(|grave| grave.file).collect::<Vec<_>>(), [files[1].id]);
    assert!(rig.catalog.statistics(table, &[files[0].id]).await.unwrap().is_empty());
}

pub(super) async fn a_dropped_tables_files_are_buried(rig: &Rig) {
    let (_, table, files) = filled(rig, &[(0, 10), (20, 30)]).await;
    let held = claim(rig, table, &[&files[0]]).await.unwrap();
    rig.catalog.drop_table(table).await.unwrap();
    assert!(matches!(rig.catalog.renew(table, held, LEASE).await, Err(Error::Dropped { .. })));
    rig.advance(420);
    let mut buried: Vec<_> = rig.catalog.graves().await.unwrap().into_iter().map(|grave| grave.file).collect();
    buried.sort();
    let mut expected = ids(&[&files[0], &files[1]]);
    expected.sort();
    assert_eq!(buried, expected);
}
