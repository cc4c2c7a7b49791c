use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use parking_lot::Mutex;

use super::{LET_PASS_MAX, Length, Threads};
use crate::Error;

#[tokio::test]
async fn as_much_runs_at_once_as_there_are_threads() {
    let threads = Arc::new(Threads::start(2).unwrap());
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let both = Arc::new(Barrier::new(2));
    let works = (0..8).map(|number| {
        let (threads, running, most) = (Arc::clone(&threads), Arc::clone(&running), Arc::clone(&most));
        let both = Arc::clone(&both);
        tokio::spawn(async move {
            let work = move |_: &_| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                both.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                number
            };
            threads.run("counting", Length::Short, work).await.unwrap()
        })
    });
    let numbers = futures::future::join_all(works.collect::<Vec<_>>()).await;
    assert_eq!(numbers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_defect_ends_its_own_work_only() {
    for length in [Length::Short, Length::Long] {
        let threads = Threads::start(1).unwrap();
        let ended: Result<(), Error> = threads.run("failing", length, |_| panic!("a defect")).await;
        assert!(matches!(ended, Err(Error::Interrupted { operation: "failing" })));
        assert_eq!(threads.run("going on", length, |_| 7).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn long_work_gives_way_to_some_short_work_at_a_time() {
    const SHORT: usize = LET_PASS_MAX + 3;
    let threads = Arc::new(Threads::start(1).unwrap());
    let order = Arc::new(Mutex::new(Vec::new()));
    let (go, wait) = mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let long = tokio::spawn({
        let (threads, order) = (Arc::clone(&threads), Arc::clone(&order));
        async move {
            let work = move |turn: &super::Turn| {
                began.send(()).unwrap();
                wait.recv().unwrap();
                order.lock().push("long 1");
                turn.give_way();
                order.lock().push("long 2");
            };
            threads.run("long", Length::Long, work).await
        }
    });
    begun.await.unwrap();
    let short: Vec<_> = (0..SHORT)
        .map(|_| {
            let order = Arc::clone(&order);
            let work = move |turn: &super::Turn| {
                // Short work lets nothing pass.
                turn.give_way();
                order.lock().push("short");
            };
            let threads = Arc::clone(&threads);
            tokio::spawn(async move { threads.run("short", Length::Short, work).await })
        })
        .collect();
    while threads.line.waiting.lock().short.len() < SHORT {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    long.await.unwrap().unwrap();
    for work in short {
        work.await.unwrap().unwrap();
    }
    let mut expected = vec!["long 1"];
    expected.extend(["short"; LET_PASS_MAX]);
    expected.push("long 2");
    expected.extend(["short"; SHORT - LET_PASS_MAX]);
    assert_eq!(*order.lock(), expected);
}

#[tokio::test]
async fn one_thread_is_for_long_work_before_short_work_takes_all() {
    let threads = Arc::new(Threads::start(1).unwrap());
    let order = Arc::new(Mutex::new(Vec::new()));
    let (go, wait) = mpsc::channel::<()>();
    let run = |name: &'static str, length: Length| {
        let (threads, order) = (Arc::clone(&threads), Arc::clone(&order));
        tokio::spawn(async move { threads.run(name, length, move |_: &_| order.lock().push(name)).await })
    };
    let (began, begun) = tokio::sync::oneshot::channel();
    let blocking = tokio::spawn({
        let threads = Arc::clone(&threads);
        let work = move |_: &super::Turn| {
            began.send(()).unwrap();
            wait.recv().unwrap();
        };
        async move { threads.run("blocking", Length::Short, work).await }
    });
    begun.await.unwrap();
    let all = [run("short", Length::Short), run("long", Length::Long)];
    let both_wait = || {
        let waiting = threads.line.waiting.lock();
        waiting.short.len() + waiting.long.len() >= 2
    };
    while !both_wait() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    blocking.await.unwrap().unwrap();
    for work in all {
        work.await.unwrap().unwrap();
    }
    assert_eq!(*order.lock(), ["long", "short"]);
}

#[tokio::test]
async fn what_waits_is_given_up_with_the_threads() {
    let threads = Threads::start(1).unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let work = move |_: &_| {
        began.send(()).unwrap();
        wait.recv().unwrap();
    };
    let mut first = Box::pin(threads.run("first", Length::Short, work));
    let mut second = Box::pin(threads.run("second", Length::Short, |_: &_| ()));
    assert!(futures::poll!(&mut first).is_pending());
    begun.await.unwrap();
    assert!(futures::poll!(&mut second).is_pending());
    let line = Arc::clone(&threads.line);
    drop((first, second));
    drop(threads);
    assert!(line.waiting.lock().is_over);
    assert!(line.waiting.lock().short.is_empty());
    go.send(()).unwrap();
}
