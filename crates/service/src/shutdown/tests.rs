use super::*;

#[tokio::test]
async fn phases_begin_in_order_and_each_waits_for_its_participants() {
    let shutdown = Shutdown::new();
    let draining = shutdown.join(Phase::Drain, "drain");
    let flushing = shutdown.join(Phase::Flush, "flush");
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.run().await }
    });
    assert!(!shutdown.has_begun());
    shutdown.begin();
    draining.called().await;
    assert_eq!(shutdown.pending(Phase::Flush), ["drain", "flush"]);
    let flush_began = tokio::time::timeout(Duration::from_millis(20), flushing.called()).await;
    assert!(flush_began.is_err(), "flush began while a request was in flight");
    drop(draining);
    flushing.called().await;
    assert!(!running.is_finished());
    drop(flushing);
    running.await.unwrap();
    assert_eq!(shutdown.pending(Phase::Close), Vec::<String>::new());
}

#[tokio::test]
async fn a_shutdown_without_participants_passes_through() {
    let shutdown = Shutdown::new();
    shutdown.begin();
    shutdown.begin();
    shutdown.run().await;
    shutdown.reached(Phase::Close).await;
}

#[tokio::test]
async fn joining_late_finds_the_phase_begun() {
    let shutdown = Shutdown::new();
    shutdown.begin();
    shutdown.run().await;
    shutdown.join(Phase::Flush, "late").called().await;
}

#[tokio::test]
async fn the_first_signal_begins_the_shutdown_and_the_second_is_returned() {
    let signals = Signals::listen().unwrap();
    let shutdown = Shutdown::new();
    let driving = tokio::spawn(signals.drive(shutdown.clone()));
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::TERM).unwrap();
    shutdown.begun().await;
    assert!(!driving.is_finished());
    rustix::process::kill_process(this, rustix::process::Signal::INT).unwrap();
    assert_eq!(driving.await.unwrap(), "SIGINT");
}
