use gigapi_model::{Ids, SystemIds};

use super::*;
use crate::testing::{START, World};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

async fn files(count: u64) -> (World, Files) {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    for seq in 1..=count {
        world.flush(&table, &log, (seq, seq), &[&[1]]).await;
    }
    let snapshot = world.catalog.snapshot(table.id, gigapi_model::TimeRange::ALL).await.unwrap();
    (world, snapshot.files)
}

fn ids(files: &[Arc<DataFile>]) -> Vec<FileId> {
    files.iter().map(|file| file.id).collect()
}

#[tokio::test]
async fn files_come_in_the_order_of_their_ids_and_once_in_a_round() {
    let (world, files) = files(5).await;
    let mut all: Vec<FileId> = files.iter().map(|file| file.id).collect();
    all.sort();
    let mut round = Round::first(START.plus(Duration::from_secs(60)));
    assert_eq!(ids(&next_files(round, 2, &files)), all[..2]);
    round.read_up_to(all[1]);
    assert_eq!(ids(&next_files(round, 10, &files)), all[2..]);
    round.end();
    assert!(next_files(round, 10, &files).is_empty());
    assert_eq!(round.at(START.plus(WEEK), WEEK), round, "a minute before the next");
    let next = round.at(START.plus(WEEK + Duration::from_secs(60)), WEEK);
    assert_eq!(ids(&next_files(next, 10, &files)), all);
    drop(world);
}

#[tokio::test]
async fn a_file_younger_than_the_round_waits_for_the_next() {
    let (_world, files) = files(1).await;
    assert!(next_files(Round::first(START), 10, &files).is_empty());
    let later = Round::first(START.plus(Duration::from_secs(1)));
    assert_eq!(next_files(later, 10, &files).len(), 1);
    assert_eq!(later.at(START.plus(WEEK * 2), WEEK), later, "one that is not over goes on");
}

#[test]
fn a_round_of_version_1_is_this_text() {
    let mut round = Round::first(Timestamp::from_nanos(5));
    round.read_up_to("00000000-0000-0000-0000-000000000003".parse().unwrap());
    let text = r#"{"v":1,"began":5,"read":"00000000-0000-0000-0000-000000000003","is_over":false}"#;
    assert_eq!(String::from_utf8(round.encode()).unwrap(), text);
    assert_eq!(Round::decode(text.as_bytes()), Some(round));
    assert_eq!(Round::decode(text.replace(r#""v":1"#, r#""v":2"#).as_bytes()), None);
    let mut many: Vec<FileId> = (0..9).map(|_| SystemIds.file_id(START)).collect();
    let mut sorted = many.clone();
    sorted.sort();
    keep_first(&mut many, 3, |file| *file);
    assert_eq!(many, sorted[..3]);
}
