use parking_lot::Mutex;

use super::{LONG, Progress, UnderWay};

#[tokio::test(start_paused = true)]
async fn what_takes_long_is_told_again_and_again() {
    let progress = Progress::new(100, &UnderWay::default());
    let told = Mutex::new(Vec::new());
    let work = async {
        tokio::time::sleep(LONG / 2).await;
        progress.add(40);
        tokio::time::sleep(LONG).await;
        progress.add(60);
        tokio::time::sleep(LONG).await;
        "done"
    };
    let done = progress.watch(work, |done, rows| told.lock().push((done, rows))).await;
    assert_eq!(done, "done");
    assert_eq!(*told.lock(), [(40, 100), (100, 100)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_short_is_not_told() {
    let work = tokio::time::sleep(LONG / 2);
    Progress::new(0, &UnderWay::default()).watch(work, |_, _| panic!("it is short")).await;
}

#[test]
fn all_together_are_what_runs_now() {
    let all = UnderWay::default();
    let (first, second) = (Progress::new(10, &all), Progress::new(5, &all));
    first.add(3);
    second.add(1);
    assert_eq!((all.rows.get(), all.rows_done.get()), (15, 4));
    drop(first);
    assert_eq!((all.rows.get(), all.rows_done.get()), (5, 1));
    drop(second);
    assert_eq!((all.rows.get(), all.rows_done.get()), (0, 0));
}
