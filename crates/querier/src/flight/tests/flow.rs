use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use futures::{StreamExt, TryStreamExt};
use prometheus_client::registry::Registry;
use prost::Message;
use tonic::Request;

use super::harness::*;
use crate::QueryOptions;
use crate::flight::Flight;
use crate::flight::message::MESSAGE_BYTES_MAX;
use crate::tests::world::*;

fn ticket(sql: &str) -> Request<Ticket> {
    let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    call(Ticket { ticket: command.as_any().encode_to_vec().into() }, &[("database", "mydb")])
}

/// Waits until every task of the test waits for something else: a paused clock moves on only then.
async fn until_idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

const FILES: i64 = 200;

#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_the_scan() {
    let world = World::new().await;
    for second in 0..FILES {
        world.flush("mydb", "t", &[(DAY + second * HOUR, vec![("v", Integer(second))])]).await;
    }
    let store = Arc::new(Counting::new(world.store.clone()));
    let options = QueryOptions { threads: std::num::NonZeroUsize::MIN, ..QueryOptions::default() };
    let flight = Flight::new(world.querier_over(store.clone(), options, None));
    // Without a condition, whose rows would be gathered into batches, each file is a batch of its own.
    let mut stream = flight.do_get(ticket("SELECT v FROM t")).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    until_idle().await;
    let ahead = store.reads();
    stream.next().await.unwrap().unwrap();
    until_idle().await;
    let one_later = store.reads();
    let rest: Vec<_> = stream.try_collect().await.unwrap();
    let all = store.reads();
    assert!(rest.len() as i64 >= FILES - 2, "{} messages", rest.len());
    assert!(ahead * 4 < all, "{ahead} of {all} reads before the second message was taken");
    assert!(one_later - ahead < all / 10, "{ahead}, {one_later} of {all}");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_query() {
    let mut registry = Registry::default();
    let served = Served::of(weather().await.registered_querier(&mut registry)).await;
    let mut client = served.raw().await;
    let mut stream = client.do_get(ticket(ENDLESS)).await.unwrap().into_inner();
    for _ in 0..3 {
        stream.message().await.unwrap().unwrap();
    }
    assert_eq!(counted(&registry, "queries_active"), 1);
    drop(stream);
    until(|| counted(&registry, "queries_active") == 0).await;

    // So does one whose connection breaks.
    let mut stream = served.raw().await.do_get(ticket(ENDLESS)).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!(counted(&registry, "queries_active"), 1);
    drop(stream);
    until(|| counted(&registry, "queries_active") == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_before_the_first_row_ends_the_query() {
    let mut registry = Registry::default();
    let served = Served::of(weather().await.registered_querier(&mut registry)).await;
    let mut client = served.raw().await;
    let sql = format!("SELECT count(value + 1) FROM ({ENDLESS})");
    let asking = client.do_get(ticket(&sql));
    tokio::select! {
        answered = asking => panic!("{answered:?}"),
        () = until(|| counted(&registry, "queries_active") == 1) => {}
    }
    until(|| counted(&registry, "queries_active") == 0).await;
}

#[tokio::test]
async fn no_message_is_larger_than_clients_take() {
    let served = Served::of(weather().await.querier()).await;
    for (sql, rows) in [
        (
            "SELECT repeat('x', CASE WHEN value % 10 = 0 THEN 700000 ELSE 10 END) AS s, value FROM generate_series(1, 100)",
            100,
        ),
        ("SELECT value, value * 2, value * 3, value * 4 FROM generate_series(1, 500000)", 500_000),
        ("SELECT value, range(0, 20000) AS list FROM generate_series(1, 100)", 100),
        ("SELECT value, {'a': repeat('y', 100000), 'b': [repeat('z', 100000)]} FROM generate_series(1, 100)", 100),
    ] {
        let stream = served.raw().await.do_get(ticket(sql)).await.unwrap().into_inner();
        let messages: Vec<_> = stream.try_collect().await.unwrap();
        let largest = messages.iter().map(Message::encoded_len).max().unwrap();
        assert!(largest <= MESSAGE_BYTES_MAX, "{sql}: {largest} bytes");
        let total: usize = messages.iter().map(Message::encoded_len).sum();
        assert!(messages.len() <= 2 + total / (MESSAGE_BYTES_MAX / 8), "{sql}: {} messages", messages.len());
        let messages = futures::stream::iter(messages.into_iter().map(Ok::<_, FlightError>));
        let batches: Vec<_> = FlightRecordBatchStream::new_from_flight_data(messages).try_collect().await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows, "{sql}");
    }
}

#[tokio::test]
async fn a_row_that_is_larger_comes_alone() {
    let served = Served::of(weather().await.querier()).await;
    let sql = "SELECT CASE WHEN value = 2 THEN repeat('x', 3000000) ELSE 'y' END FROM generate_series(1, 3)";
    let stream = served.raw().await.max_decoding_message_size(16 << 20).do_get(ticket(sql)).await.unwrap();
    let messages: Vec<_> = stream.into_inner().try_collect().await.unwrap();
    let large: Vec<_> = messages.iter().filter(|message| message.encoded_len() > MESSAGE_BYTES_MAX).collect();
    assert_eq!(large.len(), 1);
    assert!(large[0].encoded_len() < 3_010_000);
}
