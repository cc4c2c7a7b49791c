use gigapi_model::ManualClock;

use super::*;

fn keys() -> (Arc<Keys>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    (Arc::new(Keys::new(Arc::clone(&clock) as Arc<dyn Clock>)), clock)
}

fn record(key: &str, clock: &ManualClock) -> IdempotencyRecord {
    IdempotencyRecord { key: key.to_owned(), received_at: clock.now(), answer: b"answer".to_vec() }
}

#[tokio::test]
async fn a_key_is_known_once_it_is_remembered_and_for_ten_minutes() {
    let (keys, clock) = keys();
    let Lookup::New(ticket) = keys.look_up("a").await else { panic!("known before it was ever used") };
    keys.remember(record("a", &clock), None);
    drop(ticket);
    assert!(matches!(keys.look_up("a").await, Lookup::Answered(answered) if answered.record.answer == b"answer"));
    clock.advance(KEY_KEPT + Duration::from_nanos(1));
    assert!(matches!(keys.look_up("a").await, Lookup::New(_)));
}

#[tokio::test]
async fn a_repetition_waits_for_the_request_that_holds_the_key() {
    let (keys, clock) = keys();
    let Lookup::New(ticket) = keys.look_up("a").await else { panic!("known") };
    let repeated = tokio::spawn({
        let keys = Arc::clone(&keys);
        async move { matches!(keys.look_up("a").await, Lookup::Answered(_)) }
    });
    tokio::task::yield_now().await;
    assert!(!repeated.is_finished());
    keys.remember(record("a", &clock), None);
    drop(ticket);
    assert!(repeated.await.unwrap());
}

#[tokio::test]
async fn a_key_whose_request_failed_is_new_again() {
    let (keys, _) = keys();
    let Lookup::New(ticket) = keys.look_up("a").await else { panic!("known") };
    drop(ticket);
    assert!(matches!(keys.look_up("a").await, Lookup::New(_)));
}
