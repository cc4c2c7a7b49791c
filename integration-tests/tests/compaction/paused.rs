//! A compactor that sleeps while it holds a claim: another one does the work, and what the sleeper does when it wakes up
//! changes nothing.

use integration_tests::{Cluster, Ledger, Member, Role};

use super::*;

/// Writes a ledger into many files of one layer, which nobody merges meanwhile.
async fn written(cluster: &mut Cluster) -> Ledger {
    for number in 0..2 {
        assert!(cluster.compactor(number).stop().await.unwrap().success());
    }
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap();
    let mut writing = ledger.start(&cluster.clients(Role::Writer)).unwrap();
    let many = async || {
        writing.check()?;
        Ok(cluster.live_files("ledger", "ledger").await.is_ok_and(|files| files.len() >= 24))
    };
    until("many files", PATIENCE, many).await.unwrap();
    writing.stop(PATIENCE).await.unwrap();
    ledger.until_sound(&cluster.querier(0).client(), PATIENCE).await.unwrap();
    ledger
}

/// Ids of the live files, in order.
async fn ids(cluster: &Cluster) -> Vec<String> {
    let files = cluster.live_files("ledger", "ledger").await.unwrap();
    files.iter().map(|live| format!("{}@{}", live.file.id, live.file.layer)).collect()
}

async fn a_sleeper_changes_nothing(cold_after: Option<&str>) {
    let builder = Cluster::builder().compactors(2).save_timeout(Duration::from_millis(20));
    let builder = builder.set("GIGAPI_METADATA_UNSAFE", "true").set("GIGAPI_DELETE_GRACE_S", "1");
    let builder = builder.set_for(Role::Compactor, "GIGAPI_MERGE_TIMEOUT_S", "0.002");
    let mut builder = builder.set_for(Role::Compactor, "GIGAPI_COMPACTOR_LEASE_S", "1");
    if let Some(ttl) = cold_after {
        builder = builder.cold_after(ttl);
    }
    let mut cluster = builder.spawn().await.unwrap();
    let ledger = written(&mut cluster).await;
    // What it reads takes it many seconds, so that it can be put to sleep in the middle.
    let (sleeper, other) = (Member(Role::Compactor, 0), Member(Role::Compactor, 1));
    cluster.process(sleeper).set("GIGAPI_COMPACTOR_BANDWIDTH", "4KiB");
    cluster.process(sleeper).start().await.unwrap();
    let client = cluster.process(sleeper).client();
    let running = async || Ok(client.metric("gigapi_compactor_jobs_running").await? > 0.0);
    until("a job of the sleeper", PATIENCE, running).await.unwrap();
    cluster.process(sleeper).server().unwrap().pause().unwrap();
    let before = ids(&cluster).await;
    assert!(before.len() > 1, "the sleeper was done before it slept");
    cluster.process(other).start().await.unwrap();
    let done = async || {
        let files = cluster.live_files("ledger", "ledger").await?;
        let moved = cold_after.is_none() || files.iter().all(|live| live.file.layer.as_str() == "cold");
        Ok(moved && files.len() == 1 && cluster.graves().await? == 0)
    };
    if let Err(error) = until("the other one does all of the work", PATIENCE, done).await {
        panic!("{error:#}: {:?}\n{}", ids(&cluster).await, cluster.logs());
    }
    let merged = ids(&cluster).await;
    cluster.process(sleeper).server().unwrap().resume().unwrap();
    let over = async || Ok(client.metric("gigapi_compactor_jobs_running").await? == 0.0);
    until("the sleeper's job ends", PATIENCE, over).await.unwrap();
    assert_eq!(ids(&cluster).await, merged);
    // It is no reason to accuse a file that others have replaced meanwhile.
    assert!(!cluster.layer_folder().join("_gigapi/quarantine").exists());
    for number in 0..2 {
        assert!(cluster.compactor(number).stop().await.unwrap().success());
    }
    assert_eq!(ids(&cluster).await, merged);
    let rows = ledger.until_sound(&cluster.querier(0).client(), PATIENCE).await.unwrap();
    let files = cluster.live_files("ledger", "ledger").await.unwrap();
    let files: Vec<_> = files.into_iter().map(|live| live.path).collect();
    assert_eq!(ledger.verify_files(&files).unwrap().sound().unwrap(), rows);
    assert_sound(cluster.process(other).options());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compactor_that_sleeps_through_its_lease_in_a_merge_changes_nothing() {
    a_sleeper_changes_nothing(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compactor_that_sleeps_through_its_lease_in_a_relocation_changes_nothing() {
    a_sleeper_changes_nothing(Some("1s")).await;
}
