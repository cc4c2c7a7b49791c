//! Redis is away, slow, refuses writes, is emptied or goes back in time.

use std::collections::BTreeSet;
use std::time::Duration;

use integration_tests::{
    CatalogKind, Chaos, Client, Cluster, Disturbance, Fault, Ledger, Member, Redis, Role, S3, until,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What is wrong with Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Stopped,
    Paused,
    Loading,
    ReadOnly,
    OutOfMemory,
    Late,
}

impl Wrong {
    async fn begin(self, cluster: &mut Cluster) {
        match self {
            Self::Stopped => cluster.redis.kill().unwrap(),
            Self::Paused => cluster.redis.pause().unwrap(),
            Self::Loading => {
                cluster.redis.kill().unwrap();
                cluster.redis.start_loading().await.unwrap();
            }
            Self::ReadOnly => cluster.redis.refuse_writes(true).unwrap(),
            Self::OutOfMemory => cluster.redis.run_out_of_memory(true).unwrap(),
            Self::Late => delay(cluster, Fault::none().delayed(Duration::ZERO, Duration::from_secs(10))).await,
        }
    }

    async fn end(self, cluster: &mut Cluster) {
        match self {
            Self::Stopped => cluster.redis.start_again().await.unwrap(),
            Self::Paused => cluster.redis.resume().unwrap(),
            Self::Loading => cluster.redis.finish_loading().await.unwrap(),
            Self::ReadOnly => cluster.redis.refuse_writes(false).unwrap(),
            Self::OutOfMemory => cluster.redis.run_out_of_memory(false).unwrap(),
            Self::Late => delay(cluster, Fault::none()).await,
        }
    }

    /// Whether Redis answers questions all the same.
    fn can_be_read(self) -> bool {
        matches!(self, Self::ReadOnly | Self::OutOfMemory)
    }
}

async fn delay(cluster: &mut Cluster, fault: Fault) {
    for member in cluster.members() {
        cluster.redis_proxy(member).unwrap().set(fault).await.unwrap();
    }
}

async fn write(client: &Client, lines: &str, durability: &str) -> u16 {
    let path = format!("/write?db=db&key=none&durability={durability}");
    client.post(&path, &[], lines.to_owned()).await.unwrap().status
}

/// The sum of a table's values, and whether the answer says that it is old.
async fn sum(client: &Client) -> (f64, bool) {
    let answer = client.query("db", "SELECT sum(v) AS v FROM m").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let sum = answer.json().unwrap()["results"][0]["v"].clone();
    let sum = sum.as_f64().or_else(|| sum.as_str()?.parse().ok()).unwrap();
    (sum, answer.header("x-gigapi-stale-seconds").is_some())
}

/// Questions that all mean the same, to each endpoint. Each answer is 200, with or without the header that it is old.
async fn sums(client: &Client) -> Vec<(f64, bool)> {
    let mut sums = vec![sum(client).await];
    for sql in [
        "SELECT sum(v) AS v FROM m",
        "WITH x AS (SELECT v FROM m) SELECT sum(v) AS v FROM x",
        "SELECT sum(v) AS v FROM iox.M",
    ] {
        let body = serde_json::json!({ "db": "db", "q": sql }).to_string();
        let answer = client.post("/api/v3/query_sql", &[("content-type", "application/json")], body).await.unwrap();
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        let sum = answer.json().unwrap()[0]["v"].as_f64().unwrap();
        sums.push((sum, answer.header("x-gigapi-stale-seconds").is_some()));
    }
    sums
}

/// The keys of all data files.
async fn data_files(s3: &S3) -> BTreeSet<String> {
    let keys = s3.beside().keys("gigapi").await.unwrap();
    keys.into_iter().filter(|key| key.ends_with(".parquet")).collect()
}

async fn goes_on(wrong: Wrong) {
    let builder = Cluster::builder().queriers(2).compactors(1).proxied().set("GIGAPI_METADATA_TIMEOUT_S", "1");
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let writer = cluster.writer(0).client();
    let queriers = cluster.clients(Role::Querier);
    assert_eq!(write(&writer, "m v=1i 1", "commit").await, 204);
    for querier in &queriers {
        assert_eq!(sums(querier).await, [(1.0, false); 4]);
    }
    let before = data_files(cluster.s3()).await;

    wrong.begin(&mut cluster).await;
    // What is defined goes on being taken; what is not needs the catalog.
    assert_eq!(write(&writer, "m v=2i 2", "wal").await, 204, "{}", cluster.logs());
    let refused = writer.write("db", "new v=1i 1").await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some(), "{:?}", refused.headers);
    for querier in &queriers {
        if wrong.can_be_read() {
            assert_eq!(sums(querier).await, [(1.0, false); 4]);
        } else {
            // The state is noticed by asking, and the first to ask may wait for the answer that does not come.
            until("answers that say how old they are", PATIENCE, async || Ok(sums(querier).await == [(1.0, true); 4]))
                .await
                .unwrap();
        }
        assert_eq!(querier.get("/health").await.unwrap().status, 200);
    }
    let gone = async || Ok(writer.metric("gigapi_catalog_state{state=\"unreachable\"}").await? == 1.0);
    if !wrong.can_be_read() {
        until("a metric that says so", PATIENCE, gone).await.unwrap();
    }
    assert!(data_files(cluster.s3()).await.is_superset(&before));

    wrong.end(&mut cluster).await;
    for querier in &queriers {
        let all = async || Ok(sums(querier).await == [(3.0, false); 4]);
        until("all rows, fresh", PATIENCE, all).await.unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.logs()));
    }
    let defined = async || Ok(write(&writer, "new v=1i 1", "commit").await == 204);
    until("a new table", PATIENCE, defined).await.unwrap();
    assert!(data_files(cluster.s3()).await.is_superset(&before));
    for member in cluster.members() {
        assert!(cluster.process(member).stop().await.unwrap().success(), "{member:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis_costs_definitions_and_freshness_and_no_row() {
    goes_on(Wrong::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_answers_nothing_costs_definitions_and_freshness_and_no_row() {
    goes_on(Wrong::Paused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loads_costs_definitions_and_freshness_and_no_row() {
    goes_on(Wrong::Loading).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_writes_costs_definitions_and_no_row() {
    goes_on(Wrong::ReadOnly).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_costs_definitions_and_no_row() {
    goes_on(Wrong::OutOfMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_ten_seconds_late_is_as_good_as_none() {
    goes_on(Wrong::Late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_two_hundred_milliseconds_late_is_slow_and_nothing_else() {
    let builder = Cluster::builder().proxied().save_timeout(Duration::from_millis(50));
    let mut cluster = builder.spawn().await.unwrap();
    delay(&mut cluster, Fault::none().delayed(Duration::ZERO, Duration::from_millis(200))).await;
    let (writer, querier) = (cluster.writer(0).client(), cluster.querier(0).client());
    assert_eq!(write(&writer, "m v=1i 1", "commit").await, 204);
    assert_eq!(sum(&querier).await, (1.0, false));
    assert_eq!(write(&writer, "m v=2i 2", "commit").await, 204);
    assert_eq!(sum(&querier).await, (3.0, false));
}

/// The log is the limit of what is taken while nothing can be committed; behind it, clients are told to wait.
#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_when_the_log_is_full_and_taken_again_afterwards() {
    let builder = Cluster::builder().set("GIGAPI_METADATA_TIMEOUT_S", "1").set("GIGAPI_WAL_BYTES_MAX", "64MB");
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let writer = cluster.writer(0).client();
    assert_eq!(write(&writer, "m v=0i,a=0,b=0,c=0 0", "commit").await, 204);
    cluster.redis.kill().unwrap();
    let mut taken = 0_u32;
    let mut time = 0_u64;
    let refused = loop {
        // Digits of a generator do not shrink in the log.
        let mut random = fastrand::Rng::with_seed(time);
        let lines: String = (0..20_000)
            .map(|_| {
                time += 1;
                format!("m v=1i,a={},b={},c={} {time}\n", random.u64(..) as f64, random.f64(), random.f64())
            })
            .collect();
        let answer = writer.write("db", lines).await.unwrap();
        match answer.status {
            204 => taken += 20_000,
            _ => break answer,
        }
        assert!(taken < 20_000_000, "the log takes everything");
    };
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    assert!(taken > 0);
    cluster.redis.start_again().await.unwrap();
    let querier = cluster.querier(0).client();
    let all = async || Ok(querier.number("db", "SELECT sum(v) FROM m").await.is_ok_and(|sum| sum == f64::from(taken)));
    until("all rows that were taken and none that were refused", PATIENCE, all).await.unwrap();
    until("writes again", PATIENCE, async || Ok(write(&writer, "m v=0i 0", "wal").await == 204)).await.unwrap();
}

/// Disturbs a cluster while a ledger is written, and looks at what became of the objects.
async fn loses_nothing_by(kind: Disturbance, times: u32) {
    let builder = Cluster::builder().writers(2).queriers(2).compactors(1);
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap();
    let mut chaos = Chaos::new(11, &[kind]).lasting(Duration::from_millis(800));
    let mut files = BTreeSet::new();
    for _ in 0..times {
        chaos.run(&mut cluster, &ledger, 1, PATIENCE).await.unwrap();
        let now = data_files(cluster.s3()).await;
        assert!(now.is_superset(&files), "data files are gone");
        files = now;
    }
    assert_eq!(chaos.ended_by_themselves(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_rebuilt_while_rows_come_in() {
    loses_nothing_by(Disturbance::EmptyRedis, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_from_the_past_is_rebuilt_while_rows_come_in() {
    loses_nothing_by(Disturbance::RollBackRedis, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_emptied_while_nobody_runs_is_rebuilt_at_the_start() {
    let builder = Cluster::builder().writers(2).queriers(1);
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    for number in 0..2 {
        let writer = cluster.writer(number).client();
        assert_eq!(write(&writer, &format!("m,w=w{number} v=1i 1"), "commit").await, 204);
    }
    cluster.writer(0).client().must_write("db", "m,w=w0 v=10i 2").await.unwrap();
    for member in cluster.members() {
        cluster.process(member).kill().unwrap();
    }
    cluster.redis.flush_all().unwrap();
    // A querier waits for somebody who may write.
    cluster.querier(0).spawn().unwrap();
    let querier = cluster.querier(0).client();
    until("a querier that waits", PATIENCE, async || {
        Ok(querier.get("/ready").await.is_ok_and(|answer| answer.status == 503 && answer.body.contains("recovering")))
    })
    .await
    .unwrap();
    cluster.writer(0).spawn().unwrap();
    cluster.writer(1).spawn().unwrap();
    cluster.until_ready(PATIENCE).await.unwrap();
    let all = async || Ok(sum(&querier).await == (12.0, false));
    until("all rows", PATIENCE, all).await.unwrap();
}

/// Redis forgets some commits of each writer while nobody runs who could remember; so few that no checkpoint tells.
async fn forgets_while_nobody_runs(commits: u32) {
    let builder = Cluster::builder().writers(2).queriers(1);
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    for number in 0..2 {
        assert_eq!(write(&cluster.writer(number).client(), "m v=1i", "commit").await, 204);
    }
    let copy = cluster.redis.copy().unwrap();
    for _ in 0..commits {
        for number in 0..2 {
            assert_eq!(write(&cluster.writer(number).client(), "m v=10i", "commit").await, 204);
        }
    }
    for member in cluster.members() {
        cluster.process(member).kill().unwrap();
    }
    cluster.redis.kill().unwrap();
    cluster.redis.start_from(&copy).await.unwrap();
    // One of them goes on for a while before the other is back.
    cluster.querier(0).spawn().unwrap();
    cluster.writer(1).start().await.unwrap();
    for _ in 0..3 {
        assert_eq!(write(&cluster.writer(1).client(), "m v=100i", "commit").await, 204);
    }
    cluster.writer(0).start().await.unwrap();
    cluster.until_ready(PATIENCE).await.unwrap();
    assert_eq!(write(&cluster.writer(0).client(), "m v=1000i", "commit").await, 204);
    let querier = cluster.querier(0).client();
    let expected = f64::from(2 + 2 * 10 * commits + 300 + 1000);
    let all = async || Ok(sum(&querier).await == (expected, false));
    until("each row once", PATIENCE, all).await.unwrap();
    // The layers tell the same.
    cluster.redis.flush_all().unwrap();
    until("each row once after a rebuild", PATIENCE, all).await.unwrap();
    cluster.until_ready(PATIENCE).await.unwrap();
    until("each row once in the rebuilt catalog", PATIENCE, all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forgets_while_nobody_runs_is_told_by_the_logs() {
    forgets_while_nobody_runs(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_redis_forgets_while_nobody_runs_is_made_again() {
    forgets_while_nobody_runs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_while_redis_is_away_waits_for_it() {
    let mut cluster = Cluster::builder().save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    assert_eq!(write(&cluster.writer(0).client(), "m v=1i 1", "commit").await, 204);
    cluster.redis.kill().unwrap();
    for member in cluster.members() {
        let process = cluster.process(member);
        process.kill().unwrap();
        process.spawn().unwrap();
        // It can be asked meanwhile, and says what it waits for.
        let client = process.client();
        let waits = async || {
            let ready = client.get("/ready").await;
            Ok(ready.is_ok_and(|ready| ready.status == 503 && ready.body.contains("waiting for the catalog: ")))
        };
        until("a process that waits", PATIENCE, waits).await.unwrap();
        assert_eq!(client.get("/health").await.unwrap().status, 200);
        let refused = client.get("/query?db=db&q=SELECT+1").await.unwrap();
        assert!(refused.status == 503 && refused.header("retry-after").is_some(), "{refused:?}");
        assert!(process.options().log().contains("waiting for the catalog"));
        // It can be told to stop meanwhile.
        assert!(process.stop().await.unwrap().success());
        process.spawn().unwrap();
    }
    cluster.redis.start_again().await.unwrap();
    cluster.until_ready(PATIENCE).await.unwrap();
    assert_eq!(sum(&cluster.querier(0).client()).await, (1.0, false));
    // One that is refused does not wait.
    assert!(cluster.writer(0).stop().await.unwrap().success());
    cluster.redis.add_user("user", "right", "~gigapi:* +@all").unwrap();
    let url = cluster.redis.url_of("user", "wrong", 0);
    let process = cluster.writer(0);
    process.set("GIGAPI_METADATA_URL", &url);
    process.spawn().unwrap();
    assert!(!process.server().unwrap().until_ended().await.unwrap().success());
    let log = process.options().log();
    assert!(log.contains("correct the address, user or password") && !log.contains("wrong@"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_few_rights_a_database_and_tls_are_enough() {
    let rules = "~gigapi:* +@read +@write +@scripting +@connection +time +config|get +cluster";
    let redis = Redis::start_tls(&[]).await.unwrap();
    redis.add_user("gigapi", "se/cret", rules).unwrap();
    let url = redis.url_of("gigapi", "se%2Fcret", 3);
    let authority = redis.certificates().unwrap().authority().to_owned();
    let builder = Cluster::builder().catalog(CatalogKind::RedisTls).set("GIGAPI_METADATA_URL", &url);
    let builder = builder.set("SSL_CERT_FILE", &authority.to_string_lossy());
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    assert_eq!(write(&cluster.writer(0).client(), "m v=1i 1", "commit").await, 204);
    assert_eq!(sum(&cluster.querier(0).client()).await, (1.0, false));
    // All of it is in that database, and nothing says the password.
    let keys = redis.command(&["INFO", "keyspace"]).unwrap();
    assert!(keys.contains("db3:") && !keys.contains("db0:"), "{keys}");
    for member in [Member(Role::Writer, 0), Member(Role::Querier, 0)] {
        let log = cluster.process(member).options().log();
        assert!(!log.contains("se/cret") && !log.contains("se%2Fcret"), "{log}");
    }
}
