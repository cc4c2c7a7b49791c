//! Heavy queries beside writes: ten at once with little memory neither end the process nor hold up who writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use integration_tests::ServerOptions;

/// What takes memory or time in different ways: sorts, groups, joins that multiply, windows, lists.
const HEAVY: [&str; 10] = [
    "SELECT value FROM generate_series(1, 3000000) ORDER BY value % 1000, value DESC LIMIT 10",
    "SELECT count(*) FROM (SELECT value, count(*) FROM generate_series(1, 3000000) GROUP BY value)",
    "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value + b.value < 0",
    "SELECT count(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b",
    "SELECT max(r) FROM (SELECT row_number() OVER (PARTITION BY value % 7 ORDER BY value) AS r FROM generate_series(1, 2000000))",
    "SELECT count(DISTINCT repeat('x', 20) || value) FROM generate_series(1, 2000000)",
    "SELECT array_length(array_agg(value)) FROM generate_series(1, 20000000)",
    "SELECT count(*) FROM generate_series(1, 3000000) a JOIN generate_series(1, 3000000) b ON a.value = b.value",
    "SELECT string_agg(repeat('y', 100), ',') FROM generate_series(1, 1000000)",
    "SELECT median(value) FROM generate_series(1, 20000000)",
];

#[tokio::test(flavor = "multi_thread")]
async fn ten_heavy_queries_at_once_stop_neither_the_process_nor_its_writes() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data"))
        .set("GIGAPI_QUERY_MEMORY", "64MiB")
        .set("GIGAPI_QUERY_TIMEOUT_S", "10")
        .set("GIGAPI_QUERY_CONCURRENCY", "10");
    let server = options.start().await.unwrap();
    let client = server.client();
    client.must_write("db", "m v=0i 1").await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (client, over) = (client.clone(), Arc::clone(&over));
        async move {
            let mut written = 1_u64;
            while !over.load(Ordering::SeqCst) {
                written += 1;
                client.must_write("db", format!("m v=1i {written}")).await.unwrap();
            }
            written
        }
    });
    let asking = HEAVY.map(|sql| {
        let client = client.clone();
        tokio::spawn(async move { (sql, client.query("db", sql).await.unwrap()) })
    });
    let mut refused = 0;
    for asked in asking {
        let (sql, answer) = asked.await.unwrap();
        if answer.status == 200 {
            continue;
        }
        refused += 1;
        // Whatever cannot be had says which limit it met and by what it is set.
        assert!((400..=503).contains(&answer.status), "{sql}: {} {}", answer.status, answer.body);
        assert!(answer.body.contains("GIGAPI_QUERY_"), "{sql}: {} {}", answer.status, answer.body);
    }
    assert!(refused >= 2, "two of them take hours, and {refused} were refused");
    over.store(true, Ordering::SeqCst);
    let written = writing.await.unwrap();
    assert_eq!(client.number("db", "SELECT count(*) FROM m").await.unwrap(), written as f64);
    assert!(server.stop().await.unwrap().success());
}
