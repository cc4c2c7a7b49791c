//! Everything at once, at random, with a ledger; and ends that are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration_tests::{Binaries, Chaos, Client, Cluster, Disturbance, LayerKind, Ledger, Role, disturbances, until};

use crate::compaction::together::merging_fast;

const PATIENCE: Duration = Duration::from_secs(120);

const ALL: [Disturbance; 14] = [
    Disturbance::Kill,
    Disturbance::Terminate,
    Disturbance::Pause,
    Disturbance::KillRedis,
    Disturbance::PauseRedis,
    Disturbance::EmptyRedis,
    Disturbance::RollBackRedis,
    Disturbance::CutRedis,
    Disturbance::SilenceRedis,
    Disturbance::SlowRedis,
    Disturbance::CutS3,
    Disturbance::SilenceS3,
    Disturbance::SlowS3,
    Disturbance::BadS3,
];

#[tokio::test(flavor = "multi_thread")]
async fn kill_of_any_process_loses_and_doubles_nothing() {
    let builder = Cluster::builder().writers(2).queriers(2).compactors(1);
    let mut cluster = merging_fast(builder).save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap().over_hours(3);
    let kinds = [Disturbance::Kill, Disturbance::Kill, Disturbance::KillRedis];
    let mut chaos = Chaos::new(31, &kinds).lasting(Duration::from_millis(300));
    chaos.run(&mut cluster, &ledger, disturbances(25), PATIENCE).await.unwrap();
    assert_eq!(chaos.ended_by_themselves(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_and_all_other_disturbances_together_lose_and_double_nothing() {
    let builder = Cluster::builder().writers(2).queriers(2).compactors(1).proxied();
    let builder = builder.set("GIGAPI_METADATA_TIMEOUT_S", "1").set("GIGAPI_S3_CONNECT_TIMEOUT_S", "1");
    let builder = builder.set("GIGAPI_S3_REQUEST_TIMEOUT_S", "3");
    let mut cluster = merging_fast(builder).save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap().over_hours(2);
    let mut chaos = Chaos::new(32, &ALL);
    chaos.run(&mut cluster, &ledger, disturbances(25), PATIENCE).await.unwrap();
}

/// A Redis from the past is noticed by whoever remembers better. Here those are killed, and what remains is the logs.
#[tokio::test(flavor = "multi_thread")]
async fn kill_of_processes_between_short_rollbacks_loses_and_doubles_nothing() {
    let builder = Cluster::builder().writers(2).queriers(1).compactors(1);
    let mut cluster = merging_fast(builder).save_timeout(Duration::from_millis(20)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap().over_hours(2);
    let kinds = [Disturbance::RollBackRedis, Disturbance::Kill, Disturbance::RollBackRedis];
    let mut chaos = Chaos::new(33, &kinds).lasting(Duration::from_millis(80));
    chaos.run(&mut cluster, &ledger, disturbances(25), PATIENCE).await.unwrap();
}

/// The smallest deployment: a writer, a querier and a compactor on one machine, one folder, the embedded catalog.
#[tokio::test(flavor = "multi_thread")]
async fn kill_of_a_writer_and_a_compactor_beside_a_querier_on_one_folder_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let part = |program: &str| {
        let options = integration_tests::ServerOptions::new(&root).program(program);
        let options = options.set("GIGAPI_SAVE_TIMEOUT_S", "0.05").set("GIGAPI_MERGE_TIMEOUT_S", "0.02");
        let options = options.set("GIGAPI_COMPACTOR_LEASE_S", "1");
        options.set("GIGAPI_DELETE_GRACE_S", "1").set("GIGAPI_METADATA_UNSAFE", "true")
    };
    let (writing, reading, merging) = (part("gigapi-writer"), part("gigapi-querier"), part("gigapi-compactor"));
    let ledger = Ledger::new(&folder.path().join("notes")).unwrap();
    let mut writer = writing.start().await.unwrap();
    let querier = reading.start().await.unwrap();
    let mut compactor = merging.start().await.unwrap();
    let mut clients = ledger.start(&[Client::new(writing.url())]).unwrap();
    for _ in 0..disturbances(10) {
        clients.until_acknowledged(2, PATIENCE).await.unwrap();
        writer.kill().unwrap();
        writer = writing.start().await.unwrap();
        clients.until_acknowledged(2, PATIENCE).await.unwrap();
        compactor.kill().unwrap();
        compactor = merging.start().await.unwrap();
    }
    clients.stop(PATIENCE).await.unwrap();
    ledger.until_sound(&querier.client(), PATIENCE).await.unwrap();
    assert!(compactor.stop().await.unwrap().success());
    assert!(writer.stop().await.unwrap().success());
    assert!(querier.stop().await.unwrap().success());
    ledger.verify_published(&root).unwrap().sound().unwrap();
}

/// What clients see of a process that is told to end: answers, then 503, then a closed door; never a broken answer.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_breaks_no_request() {
    for role in [Role::Writer, Role::Querier] {
        let builder = Cluster::builder().binaries(Binaries::Separate).layer(LayerKind::S3);
        let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
        let writer = cluster.writer(0).client();
        let answer = writer.post("/write?db=db&key=none&durability=commit", &[], "m v=1i 1").await.unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
        let over = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let process = if role == Role::Writer { cluster.writer(0) } else { cluster.querier(0) };
                tokio::spawn(until_refused(process.client(), role, Arc::clone(&over)))
            })
            .collect();
        let process = if role == Role::Writer { cluster.writer(0) } else { cluster.querier(0) };
        let client = process.client();
        let busy = async || {
            Ok(client.metric("gigapi_http_requests_total{status=\"204\"}").await.is_ok_and(|n| n > 50.0)
                || client.metric("gigapi_queries_total{outcome=\"ok\"}").await.is_ok_and(|n| n > 50.0))
        };
        until("a busy process", PATIENCE, busy).await.unwrap();
        assert!(process.stop().await.unwrap().success());
        over.store(true, Ordering::SeqCst);
        for client in clients {
            let (taken, wrong) = client.await.unwrap();
            assert_eq!(wrong, [""; 0], "{role:?}");
            assert!(taken > 0);
        }
    }
}

/// Asks until nobody listens; how often it was answered well, and what must not be.
async fn until_refused(client: Client, role: Role, over: Arc<AtomicBool>) -> (u32, Vec<String>) {
    let (mut taken, mut wrong) = (0, Vec::new());
    loop {
        let was_over = over.load(Ordering::SeqCst);
        let answer = match role {
            Role::Writer => client.write("db", "m v=1i").await,
            _ => client.query("db", "SELECT sum(v) FROM m").await,
        };
        match answer {
            Ok(answer) if matches!(answer.status, 200 | 204) => taken += 1,
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => wrong.push(format!("{} {}", answer.status, answer.body)),
            Err(error) => {
                let connecting = error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect);
                if !connecting {
                    wrong.push(format!("{error:#}"));
                }
                if was_over {
                    return (taken, wrong);
                }
                tokio::task::yield_now().await;
            }
        }
    }
}
