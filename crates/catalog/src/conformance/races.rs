//! Scenarios in which several callers come at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use gigapi_model::{ColumnRole, ColumnType, DefinitionError};
use tokio::task::JoinSet;

use super::{Rig, definition};
use crate::{ClaimRequest, CommitOutcome, Error};

pub(super) async fn one_of_two_conflicting_definitions_wins(rig: &Rig) {
    for round in 0..10 {
        let name = format!("column {round}");
        let mut racers = JoinSet::new();
        for column_type in [ColumnType::Float, ColumnType::Integer] {
            if round == 5 {
                rig.table("cpu").await;
            }
            let wanted = definition("db", &format!("t{}", round / 5), &[(&name, column_type, ColumnRole::Field)]);
            let catalog = rig.catalog.clone();
            racers.spawn(async move { (column_type, catalog.define(wanted).await) });
        }
        let answers = racers.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, answer)| answer.is_ok());
        assert_eq!((won.len(), lost.len()), (1, 1), "{won:?} {lost:?}");
        match &lost[0].1 {
            Err(Error::Definition(DefinitionError::Conflict { name: column, registered_type, .. })) => {
                assert_eq!((column.as_str(), *registered_type), (name.as_str(), won[0].0));
            }
            other => panic!("{other:?}"),
        }
        if round % 5 == 3 {
            let table = won[0].1.as_ref().unwrap();
            rig.catalog.drop_table(table.id).await.unwrap();
        }
    }
}

pub(super) async fn concurrent_commits_get_versions_without_gaps(rig: &Rig) {
    const WRITERS: u128 = 6;
    const COMMITS: u64 = 20;
    let table = rig.table("cpu").await;
    let mut tasks = JoinSet::new();
    for number in 1..=WRITERS {
        let (writer, catalog, id) = (rig.open(number).await, rig.catalog.clone(), table.id);
        let files: Vec<_> = (1..=COMMITS).map(|seq| (seq, rig.file(0, 1))).collect();
        tasks.spawn(async move {
            let mut versions = Vec::new();
            for (seq, file) in files {
                let answer = catalog.commit(vec![writer.flush(id, seq, seq, vec![file])]).await.remove(0);
                let Ok(CommitOutcome::Committed { version }) = answer else { panic!("{answer:?}") };
                versions.push(version);
            }
            assert!(versions.is_sorted());
            versions
        });
    }
    let versions: BTreeSet<u64> = tasks.join_all().await.into_iter().flatten().collect();
    let total = u64::try_from(WRITERS).unwrap() * COMMITS;
    assert_eq!(versions, (2..=total + 1).collect());
    let files = rig.live(table.id).await;
    let sequences: BTreeSet<u64> = files.iter().map(|file| file.sequence.lo).collect();
    assert_eq!((files.len(), sequences), (versions.len(), versions));
}

pub(super) async fn concurrent_claims_of_one_file_have_one_winner(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let file = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let catalog = rig.catalog.clone();
        let request = ClaimRequest { table: table.id, inputs: vec![file.id], lease: Duration::from_secs(60) };
        tasks.spawn(async move { catalog.claim(request).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Error::Claimed { .. }))), "{answers:?}");
}

pub(super) async fn a_commit_whose_caller_went_away_is_recorded_once(rig: &Rig) {
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    for seq in 1..=20 {
        let commit = writer.flush(table.id, seq, seq, vec![rig.file(0, 1)]);
        {
            // Polled once and dropped: the caller is gone before, while or after the commit is made.
            let mut call = std::pin::pin!(rig.catalog.commit(vec![commit.clone()]));
            let _ = futures_poll_once(call.as_mut()).await;
        }
        let outcome = rig.commit(commit).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Committed { version: seq + 1 });
    }
    assert_eq!(rig.live(table.id).await.len(), 20);
}

/// Polls a future a single time.
async fn futures_poll_once<T>(mut future: std::pin::Pin<&mut (dyn Future<Output = T> + Send)>) -> Option<T> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
