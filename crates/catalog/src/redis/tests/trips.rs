//! How often Redis is asked.

use gigapi_model::DataFile;

use super::*;
use crate::{ClaimRequest, CommitOutcome, Freshness};

async fn rig() -> Rig {
    let server = TestServer::start(&[]);
    let clock = Arc::new(ManualClock::new(conformance::START));
    let catalog = server.catalog(Limits::default(), Some(clock.clone())).await;
    Rig { catalog: Arc::new(catalog), clock, _folder: None, _server: Some(server) }
}

/// The same server as another process sees it.
async fn another(rig: &Rig) -> Arc<RedisCatalog> {
    let server = rig._server.as_ref().unwrap();
    Arc::new(server.catalog(Limits::default(), Some(rig.clock.clone())).await)
}

async fn query(catalog: &Arc<RedisCatalog>, table: &TableDef, freshness: Freshness) -> (usize, u64) {
    let before = catalog.round_trips();
    let reader = Arc::clone(catalog).reader(freshness);
    let found = reader.table(&table.database, &table.name).await.unwrap().unwrap();
    let snapshot = reader.snapshot(found.id, &[]).await.unwrap();
    (snapshot.files.len(), catalog.round_trips() - before)
}

#[tokio::test]
async fn a_warm_query_asks_once_and_a_bearably_fresh_one_never() {
    let rig = rig().await;
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let catalog = another(&rig).await;
    query(&catalog, &table, Freshness::default()).await;
    assert_eq!(query(&catalog, &table, Freshness::default()).await, (1, 1));
    // What others commit comes with the one question.
    rig.flush(&writer, table.id, 2, rig.file(2, 3)).await;
    assert_eq!(query(&catalog, &table, Freshness::default()).await, (2, 1));
    rig.flush(&writer, table.id, 3, rig.file(4, 5)).await;
    let an_hour = Freshness { age_max: Duration::from_secs(3600) };
    assert_eq!(query(&catalog, &table, an_hour).await, (2, 0));
    assert_eq!(query(&catalog, &table, Freshness::default()).await, (3, 1));
}

#[tokio::test]
async fn queries_that_come_together_share_an_answer() {
    let rig = rig().await;
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let catalog = another(&rig).await;
    query(&catalog, &table, Freshness::default()).await;
    let before = catalog.round_trips();
    let readers: Vec<_> = (0..100).map(|_| Arc::clone(&catalog).reader(Freshness::default())).collect();
    let asked = readers.iter().map(|reader| reader.snapshot(table.id, &[]));
    futures::future::try_join_all(asked).await.unwrap();
    assert_eq!(catalog.round_trips() - before, 1, "one that was sent after all of them began serves all");
}

#[tokio::test]
async fn a_commit_is_one_round_trip() {
    let rig = rig().await;
    let server = rig._server.as_ref().unwrap();
    let catalog = Arc::new(server.catalog(Limits::default(), None).await);
    let own = Rig {
        catalog: catalog.clone(),
        clock: Arc::new(ManualClock::new(catalog.now().await.unwrap())),
        _folder: None,
        _server: None,
    };
    let (writer, table) = (own.open(1).await, own.table("cpu").await);
    own.flush(&writer, table.id, 1, own.file(0, 1)).await;
    for seq in 2..10 {
        let commit = writer.flush(table.id, seq, seq, vec![own.file(0, 1)]);
        let before = catalog.round_trips();
        let outcome = own.commit(commit).await.unwrap();
        assert_eq!((outcome, catalog.round_trips() - before), (CommitOutcome::Committed { version: seq + 1 }, 1));
    }
    // One that another process came before costs a look and a second attempt.
    let other = own.open(2).await;
    let elsewhere = another(&rig).await;
    let theirs = elsewhere.commit(vec![other.flush(table.id, 1, 1, vec![own.file(0, 1)])]).await.remove(0);
    assert_eq!(theirs.unwrap(), CommitOutcome::Committed { version: 11 });
    let before = catalog.round_trips();
    own.flush(&writer, table.id, 10, own.file(0, 1)).await;
    assert_eq!(catalog.round_trips() - before, 3);
    assert_eq!(own.live(table.id).await.len(), 11);
    assert_eq!(elsewhere.snapshot(table.id, TimeRange::ALL).await.unwrap().files.len(), 11);
}

#[tokio::test]
async fn what_is_moved_on_is_what_is_read_anew() {
    let rig = rig().await;
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let catalog = another(&rig).await;
    let mut held = Vec::new();
    for seq in 1..40_u64 {
        // Out of order in time, some at the same time as others.
        let start = i64::try_from(seq * 7 % 11).unwrap();
        rig.flush(&writer, table.id, seq, rig.file(start, start + 1)).await;
        if seq % 5 == 0 {
            let live = rig.live(table.id).await;
            let input = &live[live.len() / 2];
            let lease = Duration::from_secs(60);
            let request = ClaimRequest { table: table.id, inputs: vec![input.id], lease };
            let claim = rig.catalog.claim(request).await.unwrap();
            let output = DataFile { sequence: input.sequence, ..rig.file(0, 11) };
            let commit = rig.replace(table.id, claim, &[input], vec![output]);
            rig.commit(commit).await.unwrap();
        }
        let reader = Arc::clone(&catalog).reader(Freshness::default());
        let moved = reader.snapshot(table.id, &[]).await.unwrap();
        let anew = another(&rig).await.snapshot(table.id, TimeRange::ALL).await.unwrap();
        assert_eq!((moved.version, &moved.files, &moved.watermarks), (anew.version, &anew.files, &anew.watermarks));
        if seq % 3 == 0 {
            held.push((moved, anew));
        }
    }
    assert!(held.iter().all(|(moved, anew)| moved.files == anew.files), "a snapshot that is held does not change");
}
