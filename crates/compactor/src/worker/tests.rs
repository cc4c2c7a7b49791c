mod world;

use std::collections::BTreeMap;

use gigapi_catalog::ClaimRequest;
use gigapi_model::{Change, ErrorKind, Level, SequenceRange, TableKey};
use gigapi_recovery::quarantined_files;
use gigapi_storage::FilePath;
use gigapi_storage::faulty::{Action, Fault, Operation};
use object_store::ObjectStoreExt;

use super::*;

use world::*;

fn row(host: &str, time: i64, value: Option<i64>) -> Row {
    (Some(host.to_owned()), time, value)
}

#[tokio::test]
async fn small_files_become_one_and_the_last_write_wins() {
    let mut world = World::new(TableKey::Tags, None).await;
    let mut expected = BTreeMap::new();
    for number in 0..50 {
        let rows = [("a", number % 7, Some(number)), ("b", number, None), ("c", 0, (number < 3).then_some(number))];
        world.flush(&rows).await;
        expected.insert(("a", number % 7), Some(number));
        expected.insert(("b", number), None);
    }
    expected.insert(("c", 0), Some(2));
    let expected: Vec<Row> = expected.into_iter().map(|((host, time), value)| row(host, time, value)).collect();
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("nothing is in the way");
    assert_eq!(schedule.summary.failures, Vec::<String>::new());
    assert_eq!(world.live().await.len(), 2, "50 files are more than one merge takes");
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(2 * 3600));
        schedule.until_done().await.expect("nothing is in the way");
    }
    let live = world.live().await;
    // The first version made the table.
    assert_eq!((live.len(), live[0].sequence, live[0].level), (1, SequenceRange { lo: 2, hi: 51 }, Level::FINAL));
    assert_eq!(world.rows().await, expected);
    let graves = world.catalog.graveyard().await.expect("a graveyard");
    assert_eq!(graves.len(), 52, "all inputs are buried");
}

#[tokio::test]
async fn a_damaged_file_is_marked_and_the_others_are_merged() {
    let mut world = World::new(TableKey::None, None).await;
    let mut files = Vec::new();
    for number in 0..6 {
        files.push(world.flush(&[("a", number, Some(number))]).await);
    }
    let path = FilePath::of(&world.table, &files[3]).object_path();
    let store = &world.layers.first().store;
    let mut bytes = store.get(&path).await.expect("a file").bytes().await.expect("its bytes").to_vec();
    bytes[30] ^= 1;
    store.put(&path, bytes.into()).await.expect("damage");
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    let live = world.live().await;
    assert!(live.iter().any(|file| file.id == files[3].id), "it stays live: somebody may restore it");
    assert_eq!(live.len(), 3, "two before it, two after it, and itself: {live:?}");
    assert_eq!(schedule.summary.failures.len(), 1);
    let told = &schedule.summary.failures[0];
    assert!(told.contains(&files[3].id.to_string()) && told.contains("checksum"), "{told}");
    assert_eq!(quarantined_files(&world.layers).await.expect("a list"), [files[3].id].into());
    // A compactor that starts anew leaves it out from the beginning.
    let mut next = world.schedule();
    next.until_done().await.expect("a plan");
    assert_eq!(next.summary, crate::Summary::default());
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_is_tried_again() {
    let mut world = World::elsewhere(TableKey::None).await;
    for number in 0..5 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    let before = world.live().await;
    world.clock.advance(11 * SECOND);
    let faults = world.faults.clone().expect("a layer that fails on demand");
    faults.add(Fault::always(Operation::Put, Action::DiskFull));
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert!(schedule.summary.failures[0].contains("no space left"), "{:?}", schedule.summary);
    assert_eq!(world.live().await, before);
    assert_eq!(world.catalog.claimed(world.table.id).await.expect("claims").len(), 0, "the claim was given back");
    faults.clear();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await, before, "its files rest for a while");
    world.clock.advance(61 * SECOND);
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1);
    assert_eq!(world.rows().await.len(), 5);
}

#[tokio::test]
async fn who_sleeps_through_its_lease_changes_nothing() {
    let mut world = World::new(TableKey::None, None).await;
    for number in 0..4 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let worker = world.worker();
    let live = world.live().await;
    let inputs: Vec<FileId> = live.iter().map(|file| file.id).collect();
    let lease = crate::lease::Lease::take(&world.catalog, world.table.id, inputs.clone(), worker.lease);
    let lease = lease.await.expect("free files");
    let other = world.catalog.claim(ClaimRequest { table: world.table.id, inputs: inputs.clone(), lease: SECOND });
    assert_eq!(other.await.expect_err("they are claimed").kind(), ErrorKind::Conflict);
    // Nobody else does anything, and still the right has lapsed.
    world.clock.advance(61 * SECOND);
    let epochs = world.catalog.epochs().await.expect("it serves");
    let change = Change { added: Vec::new(), removed: inputs };
    let refused = worker.commit(world.table.id, epochs, &lease, change).await.expect_err("the lease is over");
    assert!(matches!(refused, Error::Catalog(gigapi_catalog::Error::ClaimLost)), "{refused}");
    assert_eq!(world.live().await, live);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1, "whoever comes next may work");
}

#[tokio::test(start_paused = true)]
async fn work_that_waits_ends_with_its_claim() {
    let mut world = World::new(TableKey::None, None).await;
    world.flush(&[("a", 0, Some(0))]).await;
    let inputs = world.live().await.iter().map(|file| file.id).collect();
    let lease = crate::lease::Lease::take(&world.catalog, world.table.id, inputs, SECOND).await.expect("free files");
    assert!(lease.while_held(async { Ok(7) }).await.is_ok_and(|seven| seven == 7));
    world.clock.advance(2 * SECOND);
    let ended = lease.while_held(std::future::pending::<crate::Result<()>>()).await;
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
}

#[tokio::test]
async fn what_a_dead_process_had_claimed_is_taken_up_once_the_claim_lapses() {
    let mut world = World::new(TableKey::None, None).await;
    for number in 0..4 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let inputs = world.live().await.iter().map(|file| file.id).collect();
    let claim = ClaimRequest { table: world.table.id, inputs, lease: 30 * SECOND };
    world.catalog.claim(claim).await.expect("free files");
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 4, "they are claimed");
    world.clock.advance(31 * SECOND);
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1, "no version changed when the claim lapsed");
}

#[tokio::test]
async fn a_file_whose_mark_is_taken_away_is_merged() {
    let mut world = World::new(TableKey::None, None).await;
    let first = world.flush(&[("a", 0, Some(0))]).await;
    world.flush(&[("a", 1, Some(1))]).await;
    let mark = Quarantined::new(&world.table, &first, "as a test has it".to_owned(), "test", START);
    quarantine(&world.layers, &mark).await.expect("a mark");
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 2);
    let path = gigapi_storage::own_path(["quarantine", &format!("{}.json", first.id)]);
    world.layers.first().store.delete(&path).await.expect("a mark");
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test]
async fn several_compactors_share_the_work_and_double_nothing() {
    let mut world = World::new(TableKey::None, None).await;
    for number in 0..200 {
        world.flush(&[("a", number, Some(number)), ("b", 7, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let expected = world.rows().await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut schedule = world.schedule();
        running.spawn(async move {
            schedule.until_done().await.expect("a plan");
            schedule.summary
        });
    }
    let mut merges = 0;
    while let Some(done) = running.join_next().await {
        let done = done.expect("it ends");
        assert_eq!(done.failures, Vec::<String>::new());
        merges += done.merges;
    }
    assert_eq!(world.rows().await, expected);
    let live = world.live().await;
    assert_eq!(live.iter().map(|file| file.rows).sum::<u64>(), 400);
    assert!(merges >= 7 && live.len() <= 10, "{merges} merges, {} files", live.len());
}

#[tokio::test]
async fn files_move_to_the_next_layer_and_end_on_the_last() {
    let mut world = World::new(TableKey::Tags, Some(Duration::from_secs(3600))).await;
    for number in 0..3 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    let expected = world.rows().await;
    world.clock.advance(Duration::from_secs(3605));
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    let live = world.live().await;
    assert!(live.iter().all(|file| file.layer == layer_name("cold")), "{live:?}");
    assert_eq!(world.rows().await, expected);
    assert!(schedule.summary.relocated_files > 0 && schedule.summary.failures.is_empty());
    let ttl = gigapi_model::TableSettings {
        ttl: gigapi_model::Edit::Set(Duration::from_secs(2 * 3600)),
        ..gigapi_model::TableSettings::default()
    };
    world.catalog.configure(world.table.id, &ttl).await.expect("a ttl");
    world.clock.advance(Duration::from_secs(3600));
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await, []);
    assert_eq!(schedule.summary.failures, Vec::<String>::new());
}

#[tokio::test]
async fn what_waits_holds_until_its_table_changes() {
    let mut world = World::new(TableKey::Tags, None).await;
    for number in 0..70 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    assert_eq!(schedule.plan().await.expect("a catalog that answers"), 3, "32, 32 and 6 files");
    assert_eq!(schedule.plan().await.expect("a catalog that answers"), 3, "nothing has changed");
    for number in 70..98 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    assert_eq!(schedule.plan().await.expect("a catalog that answers"), 4, "the plan is another one");
    schedule.until_done().await.expect("nothing is in the way");
    assert_eq!(schedule.summary.failures, Vec::<String>::new());
    assert_eq!(schedule.summary.merged_files, 98, "no file is in two jobs");
    assert_eq!(world.rows().await.len(), 98);
}
