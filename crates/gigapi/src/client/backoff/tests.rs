use super::*;

#[test]
fn pauses_grow_to_a_limit_and_differ_between_seeds() {
    let pauses = |seed| {
        let mut backoff = Backoff::new(seed);
        (0..12).map(|_| backoff.next(None)).collect::<Vec<_>>()
    };
    let (one, other) = (pauses(1), pauses(u128::MAX));
    assert_ne!(one, other);
    for (attempt, pause) in one.iter().enumerate() {
        let full = (FIRST * 2_u32.pow(attempt as u32)).min(LONGEST);
        assert!(*pause >= full / 2 && *pause <= full, "attempt {attempt}: {pause:?}");
    }
}

#[test]
fn the_server_gets_the_pause_that_it_asks_for_within_reason() {
    let mut backoff = Backoff::new(7);
    assert!(backoff.next(Some(Duration::from_secs(3))) >= Duration::from_secs(3));
    assert!(backoff.next(Some(Duration::from_secs(86_400))) < Duration::from_secs(70));
    let headers = |text: &str| [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect::<HeaderMap>();
    assert_eq!(retry_after(&headers("5")), Some(Duration::from_secs(5)));
    assert_eq!(retry_after(&headers("Fri, 31 Dec 1999 23:59:59 GMT")), None);
    assert_eq!(retry_after(&HeaderMap::new()), None);
}
