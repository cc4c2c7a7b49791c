use std::time::Duration;

use crate::tests::world::*;
use crate::{Error, QueryId, QueryOptions, QueryRequest};

/// Joins of a million by a million, which take hours: one that finds nothing, two whose rows multiply.
const ENDLESS: [&str; 3] = [
    "SELECT count(*) FROM generate_series(1, 1000000) AS a JOIN generate_series(1, 1000000) AS b ON a.value + b.value < 0",
    "SELECT count(a.value * b.value) FROM generate_series(1, 1000000) AS a CROSS JOIN generate_series(1, 1000000) AS b",
    "SELECT count(a.value * b.value) FROM generate_series(1, 1000000) AS a \
     JOIN generate_series(1, 1000000) AS b ON a.value % 1 = b.value % 1",
];

const PATIENCE: Duration = Duration::from_secs(60);

/// With one thread for everything, nobody but the join itself can notice that time is up.
#[tokio::test]
async fn a_join_that_does_not_yield_ends_in_time() {
    let options = QueryOptions { timeout: Some(Duration::from_millis(100)), ..QueryOptions::default() };
    let querier = World::new().await.querier_with(options, None);
    for sql in ENDLESS {
        let ended = querier.query(request(sql)).await.map(drop);
        assert!(matches!(ended, Err(Error::Timeout { .. })), "{sql}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_does_not_yield_is_cancelled_and_given_up() {
    let querier = World::new().await.querier();
    let id: QueryId = "0197c3a8-5b0e-7c31-9d2e-3f1f6a1d2c11".parse().unwrap();
    let named = |sql: &str| QueryRequest { id: Some(id), ..request(sql) };
    let begun = async || {
        while querier.status(id).is_none_or(|status| status.figures.rows_scanned == 0) {
            tokio::task::yield_now().await;
        }
    };
    for sql in ENDLESS {
        let asking = tokio::spawn({
            let (querier, request) = (querier.clone(), named(sql));
            async move { querier.query(request).await.map(drop) }
        });
        tokio::time::timeout(PATIENCE, begun()).await.expect("it never began");
        assert!(querier.cancel(id));
        let ended = tokio::time::timeout(PATIENCE, asking).await.expect("it never ended").unwrap();
        assert!(matches!(ended, Err(Error::Cancelled)), "{sql}: {ended:?}");

        // A client that goes away does the same.
        tokio::select! {
            ended = querier.query(named(sql)) => panic!("{sql}: {:?}", ended.map(drop)),
            () = begun() => {}
        }
        let gone = async {
            while querier.status(id).is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("it never went");
    }
}
