//! Clusters, and what disturbs them.

use std::time::Duration;

use integration_tests::{
    Binaries, CatalogKind, Chaos, Cluster, Disturbance, Fault, LayerKind, Ledger, Member, Role, until,
};

const PATIENCE: Duration = Duration::from_secs(60);

async fn commit(client: &integration_tests::Client, lines: &str) {
    let answer = client.post("/write?db=db&key=none&durability=commit", &[], lines.to_owned()).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The same deployment, whichever way its services run.
async fn serves_a_ledger(binaries: Binaries) {
    let cluster = Cluster::builder().writers(2).queriers(2).compactors(1).binaries(binaries);
    let cluster = cluster.catalog(CatalogKind::Redis).layer(LayerKind::S3);
    let mut cluster = cluster.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap();
    let mut writing = ledger.start(&cluster.clients(Role::Writer)).unwrap();
    for member in cluster.members() {
        writing.until_acknowledged(3, PATIENCE).await.unwrap();
        assert!(cluster.process(member).stop().await.unwrap().success());
        cluster.process(member).start().await.unwrap();
    }
    writing.stop(PATIENCE).await.unwrap();
    for querier in cluster.clients(Role::Querier) {
        assert!(ledger.until_sound(&querier, PATIENCE).await.unwrap() > 0);
    }
    let files = cluster.live_files(ledger.name(), ledger.name()).await.unwrap();
    let files: Vec<_> = files.into_iter().map(|live| live.path).collect();
    ledger.verify_files(&files).unwrap().sound().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_inside_the_test_serves_a_ledger() {
    serves_a_ledger(Binaries::Inside).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_of_binaries_serves_a_ledger() {
    serves_a_ledger(Binaries::Separate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_of_one_binary_serves_a_ledger() {
    serves_a_ledger(Binaries::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_writer_takes_another_querier_answers() {
    let cluster = Cluster::builder().writers(2).queriers(2).compactors(1).layer(LayerKind::Fs);
    let mut cluster = cluster.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    assert_eq!(cluster.members().len(), 5);
    commit(&cluster.writer(0).client(), "m v=1i 1").await;
    let client = cluster.querier(1).client();
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 1.0);
    assert_eq!(cluster.live_files("db", "m").await.unwrap().len(), 1);
    assert!(cluster.live_files("db", "m").await.unwrap()[0].path.is_file());
    // The settings of the deployment are those that run.
    let log = cluster.writer(0).options().log();
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    // The same place, the same port, the same rows.
    cluster.writer(0).restart().await.unwrap();
    commit(&cluster.writer(0).client(), "m v=2i 2").await;
    assert!(cluster.querier(1).stop().await.unwrap().success());
    cluster.querier(1).start().await.unwrap();
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_can_be_cut_off_while_the_others_go_on() {
    let cluster = Cluster::builder().writers(2).layer(LayerKind::Fs).proxied();
    let mut cluster = cluster.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let [one, other] = [0, 1].map(|number| Member(Role::Writer, number));
    commit(&cluster.process(one).client(), "m v=1i 1").await;
    cluster.redis_proxy(one).unwrap().set(Fault::cut()).await.unwrap();
    // It keeps what it promises; only the other one can commit.
    cluster.process(one).client().must_write("db", "m v=2i 2").await.unwrap();
    commit(&cluster.process(other).client(), "m v=4i 3").await;
    let client = cluster.querier(0).client();
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 5.0);
    cluster.redis_proxy(one).unwrap().restore().await.unwrap();
    let all = async || Ok(client.number("db", "SELECT sum(v) FROM m").await.is_ok_and(|sum| sum == 7.0));
    until("the row of the writer that was cut off", PATIENCE, all).await.unwrap();
    assert!(cluster.redis_proxy(one).unwrap().accepted() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn disturbances_are_repeatable_and_end() {
    let kinds = [Disturbance::Kill, Disturbance::KillRedis, Disturbance::CutRedis, Disturbance::Pause];
    let mut histories = Vec::new();
    for _ in 0..2 {
        let cluster = Cluster::builder().writers(2).layer(LayerKind::Fs).proxied();
        let mut cluster = cluster.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
        let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap();
        let mut chaos = Chaos::new(4, &kinds).lasting(Duration::from_millis(400));
        let rows = chaos.run(&mut cluster, &ledger, 5, PATIENCE).await.unwrap();
        assert_eq!(rows, ledger.acknowledged().unwrap().iter().sum::<u64>());
        assert_eq!(chaos.ended_by_themselves(), [""; 0]);
        histories.push(chaos.history().to_vec());
    }
    assert_eq!(histories[0].len(), 5);
    assert_eq!(histories[0], histories[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_rows_does_not_pass() {
    let cluster = Cluster::builder().layer(LayerKind::Fs).set("GIGAPI_ACCEPT_WAL_LOSS", "true");
    let cluster = cluster.save_timeout(Duration::from_secs(3600));
    let mut cluster = cluster.spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap();
    let mut writing = ledger.start(&cluster.clients(Role::Writer)).unwrap();
    writing.until_acknowledged(3, PATIENCE).await.unwrap();
    writing.stop(PATIENCE).await.unwrap();
    // What was acknowledged lies in the log alone, and the log goes.
    cluster.writer(0).kill().unwrap();
    std::fs::remove_dir_all(cluster.folder().join("writer-0/data/_gigapi/wal")).unwrap();
    cluster.writer(0).start().await.unwrap();
    let mut chaos = Chaos::new(1, &[Disturbance::Pause]);
    let error = chaos.rest(&mut cluster, &ledger, Duration::from_secs(2)).await.unwrap_err();
    assert!(format!("{error:#}").contains("Lost"), "{error:#}");
}
