use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Threads;
use crate::Error;

#[tokio::test]
async fn as_much_runs_at_once_as_there_are_threads() {
    let threads = Arc::new(Threads::start(2).unwrap());
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let both = Arc::new(std::sync::Barrier::new(2));
    let works = (0..8).map(|number| {
        let (threads, running, most) = (Arc::clone(&threads), Arc::clone(&running), Arc::clone(&most));
        let both = Arc::clone(&both);
        tokio::spawn(async move {
            let work = move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                both.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                number
            };
            threads.run("counting", work).await.unwrap()
        })
    });
    let numbers = futures::future::join_all(works.collect::<Vec<_>>()).await;
    assert_eq!(numbers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_defect_ends_its_own_work_only() {
    let threads = Threads::start(1).unwrap();
    let ended: Result<(), Error> = threads.run("failing", || panic!("a defect")).await;
    assert!(matches!(ended, Err(Error::Interrupted { operation: "failing" })));
    assert_eq!(threads.run("going on", || 7).await.unwrap(), 7);
}
