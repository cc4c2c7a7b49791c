use super::*;

#[test]
fn bytes_wait_for_those_before_them() {
    let throttle = Throttle::new(Some(1000));
    let now = Instant::now();
    assert_eq!(throttle.delay(500, now), Duration::ZERO);
    assert_eq!(throttle.delay(2000, now), Duration::from_millis(500));
    assert_eq!(throttle.delay(1, now + Duration::from_secs(1)), Duration::from_millis(1500));
    assert_eq!(throttle.delay(1, now + Duration::from_secs(60)), Duration::ZERO, "nothing is saved up");
    assert_eq!(Throttle::new(None).delay(u64::MAX, now), Duration::ZERO);
}

#[tokio::test]
async fn memory_is_shared_and_never_more_than_there_is() {
    let memory = Memory::new(10 << 20);
    assert_eq!(memory.bytes(), 10 << 20);
    let all = memory.take(1 << 40).await.expect("all of it");
    assert_eq!(all.num_permits(), 10);
    assert!(memory.permits.try_acquire().is_err());
    drop(all);
    let (first, second) = (memory.take(1).await.expect("some"), memory.take(9 << 20).await.expect("the rest"));
    assert_eq!((first.num_permits(), second.num_permits()), (1, 9));
}
