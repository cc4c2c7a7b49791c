//! S3 errs, resets, crawls or is away; links between any two are cut.

use std::time::Duration;

use integration_tests::{
    Binaries, Chaos, Cluster, Disturbance, Fault, Ledger, Member, Proxy, Role, S3, S3Fault, ServerOptions, Writing,
    until,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster whose clients have been answered once.
async fn written(writers: usize) -> (Cluster, Ledger, Writing) {
    let builder = Cluster::builder().writers(writers).compactors(1).proxied().set("GIGAPI_METADATA_TIMEOUT_S", "1");
    let builder = builder.set("GIGAPI_S3_CONNECT_TIMEOUT_S", "1").set("GIGAPI_S3_REQUEST_TIMEOUT_S", "5");
    let cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap().over_hours(3);
    let mut writing = ledger.start(&cluster.clients(Role::Writer)).unwrap();
    writing.until_acknowledged(1, PATIENCE).await.unwrap();
    (cluster, ledger, writing)
}

async fn sound(cluster: &mut Cluster, ledger: &Ledger, writing: Writing) {
    writing.stop(PATIENCE).await.unwrap();
    let rows = Chaos::new(0, &[]).rest(cluster, ledger, PATIENCE).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.logs()));
    assert!(rows > 0);
}

async fn until_more(writing: &mut Writing, requests: u64) {
    let before = writing.acknowledged();
    until("more acknowledged writes", PATIENCE, async || {
        writing.check()?;
        Ok(writing.acknowledged().iter().zip(&before).all(|(now, before)| *now >= before + requests))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_before_and_after_the_deed_lose_and_double_nothing() {
    let (mut cluster, ledger, mut writing) = written(2).await;
    cluster.s3().set(S3Fault { slow_down: 0.05, error_before: 0.05, error_after: 0.02, seed: 5, ..S3Fault::default() });
    let bad = async |cluster: &Cluster| {
        let counts = cluster.s3().counts();
        counts.slowed_down > 5 && counts.failed_before > 5 && counts.failed_after > 3
    };
    while !bad(&cluster).await {
        until_more(&mut writing, 5).await;
    }
    sound(&mut cluster, &ledger, writing).await;
    cluster.s3().restore();
    // Whatever S3 said, each data file that is there was named by the catalog or is nobody's, and none is half.
    assert_eq!(cluster.s3().counts().of("DELETE"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_lose_and_double_nothing() {
    let (mut cluster, ledger, mut writing) = written(2).await;
    cluster.s3().set(S3Fault { reset: 0.2, seed: 6, ..S3Fault::default() });
    while cluster.s3().counts().reset < 20 {
        until_more(&mut writing, 5).await;
    }
    cluster.s3().restore();
    for member in cluster.members_of(Role::Writer) {
        cluster.s3_proxy(member).unwrap().set(Fault::none().resetting(0.05, 7)).await.unwrap();
    }
    until_more(&mut writing, 50).await;
    for member in cluster.members_of(Role::Writer) {
        cluster.s3_proxy(member).unwrap().restore().await.unwrap();
    }
    sound(&mut cluster, &ledger, writing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kilobyte_a_second_delays_rows_and_loses_none() {
    let (mut cluster, ledger, mut writing) = written(1).await;
    cluster.s3().set(S3Fault { bytes_per_second: Some(1000), ..S3Fault::default() });
    for member in cluster.members() {
        cluster.s3_proxy(member).unwrap().set(Fault::none().throttled(1000)).await.unwrap();
    }
    // The log goes on taking rows.
    until_more(&mut writing, 200).await;
    cluster.s3().restore();
    for member in cluster.members() {
        cluster.s3_proxy(member).unwrap().restore().await.unwrap();
    }
    sound(&mut cluster, &ledger, writing).await;
}

/// Writers and queriers do not talk to each other, so these are all the pairs that there are.
#[tokio::test(flavor = "multi_thread")]
async fn any_process_may_be_cut_off_from_redis_and_from_s3() {
    let (mut cluster, ledger, mut writing) = written(2).await;
    for member in cluster.members() {
        for fault in [Fault::cut(), Fault::blackhole()] {
            cluster.redis_proxy(member).unwrap().set(fault).await.unwrap();
            until_more(&mut writing, 5).await;
            cluster.redis_proxy(member).unwrap().restore().await.unwrap();
            cluster.s3_proxy(member).unwrap().set(fault).await.unwrap();
            until_more(&mut writing, 5).await;
            cluster.s3_proxy(member).unwrap().restore().await.unwrap();
        }
        // From both at once: it is alone.
        cluster.redis_proxy(member).unwrap().set(Fault::blackhole()).await.unwrap();
        cluster.s3_proxy(member).unwrap().set(Fault::blackhole()).await.unwrap();
        until_more(&mut writing, 5).await;
        cluster.redis_proxy(member).unwrap().restore().await.unwrap();
        cluster.s3_proxy(member).unwrap().restore().await.unwrap();
    }
    sound(&mut cluster, &ledger, writing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_querier_has_read_it_answers_without_s3() {
    let builder = Cluster::builder().binaries(Binaries::One).proxied().save_timeout(Duration::from_millis(50));
    let mut cluster = builder.set("GIGAPI_S3_CONNECT_TIMEOUT_S", "1").spawn().await.unwrap();
    let lines: String = (0..20_000).map(|row| format!("m,host=h{} v={row}i {row}\n", row % 50)).collect();
    let answer = cluster.writer(0).client().post("/write?db=db&durability=commit&key=none", &[], lines).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    let querier = cluster.querier(0).client();
    let question = "SELECT sum(v) FROM m WHERE host = 'h7'";
    let first = querier.number("db", question).await.unwrap();
    let asked = cluster.s3().counts().of("GET");
    assert_eq!(querier.number("db", question).await.unwrap(), first);
    assert_eq!(cluster.s3().counts().of("GET"), asked, "the second answer came from the cache");
    cluster.s3_proxy(Member(Role::Querier, 0)).unwrap().set(Fault::cut()).await.unwrap();
    let again = querier.query("db", question).await.unwrap();
    assert_eq!(again.status, 200, "{}", again.body);
    let bytes = |name: &str| again.header(name).unwrap().parse::<u64>().unwrap();
    assert!(bytes("x-gigapi-bytes-scanned") > 0);
    assert_eq!(bytes("x-gigapi-bytes-from-cache"), bytes("x-gigapi-bytes-scanned"));
    assert!(querier.metric("gigapi_cache_hits_total{tier=\"memory\"}").await.unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_on_s3_over_tls_needs_no_redis_and_trusts_the_authority_alone() {
    let s3 = S3::start_tls().await.unwrap();
    s3.make_bucket("bucket").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data"))
        .set("GIGAPI_LAYERS_0_NAME", "cold")
        .set("GIGAPI_LAYERS_0_TYPE", "s3")
        .set("GIGAPI_LAYERS_0_URL", s3.account().layer_url("bucket", "deep/prefix"))
        .set("GIGAPI_LAYERS_0_AUTH_KEY", s3.account().key())
        .set("GIGAPI_LAYERS_0_AUTH_SECRET", s3.account().secret())
        .set("GIGAPI_S3_RETRY_TIMEOUT_S", "1");
    let mut refused = options.spawn().unwrap();
    assert!(!refused.until_ended().await.unwrap().success());
    let log = refused.options().log();
    assert!(log.contains("cold") && !log.contains(s3.account().secret()), "{log}");
    let authority = s3.certificates().unwrap().authority();
    let server = options.set("SSL_CERT_FILE", authority).start().await.unwrap();
    let answer = server.client().post("/write?db=db&durability=commit", &[], "m v=1i 1").await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(server.client().number("db", "SELECT sum(v) FROM m").await.unwrap(), 1.0);
    assert!(server.stop().await.unwrap().success());
    let keys = s3.beside().keys("bucket").await.unwrap();
    assert!(keys.iter().any(|key| key.starts_with("deep/prefix/db/m/date=1970-01-01/hour=00/")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_at_the_start_is_waited_for() {
    let s3 = S3::start().await.unwrap();
    s3.make_bucket("bucket").unwrap();
    let proxy = Proxy::to(s3.address()).await.unwrap();
    proxy.set(Fault::cut()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerOptions::new(&folder.path().join("data"))
        .set("GIGAPI_LAYERS_0_NAME", "cold")
        .set("GIGAPI_LAYERS_0_TYPE", "s3")
        .set("GIGAPI_LAYERS_0_URL", s3.account().at(&proxy.address()).layer_url("bucket", "p"))
        .set("GIGAPI_LAYERS_0_AUTH_KEY", s3.account().key())
        .set("GIGAPI_LAYERS_0_AUTH_SECRET", s3.account().secret())
        .spawn()
        .unwrap();
    server.until("/health", 200).await.unwrap();
    assert_eq!(server.client().get("/ready").await.unwrap().status, 503);
    proxy.restore().await.unwrap();
    server.until_ready().await.unwrap();
}

/// A cluster may be disturbed by its store alone for as long as it likes.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_and_goes_loses_and_doubles_nothing() {
    let kinds = [Disturbance::BadS3, Disturbance::CutS3, Disturbance::SilenceS3, Disturbance::SlowS3];
    let builder = Cluster::builder().writers(2).queriers(2).proxied().set("GIGAPI_S3_CONNECT_TIMEOUT_S", "1");
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap().over_hours(2);
    Chaos::new(21, &kinds).run(&mut cluster, &ledger, 10, PATIENCE).await.unwrap();
}
