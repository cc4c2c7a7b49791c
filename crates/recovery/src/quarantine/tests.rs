use object_store::ObjectStoreExt;

use super::*;
use crate::testing::{START, World};

#[tokio::test]
async fn a_mark_is_written_once_listed_and_removed() {
    let mut world = World::new().await;
    let (log, table) = (world.open_log(1).await, world.table("cpu").await);
    let file = world.flush(&table, &log, (1, 1), &[&[1]]).await.remove(0).file;
    let mark = Quarantined::new(&table, &file, "torn".to_owned(), "scrub", START);
    assert!(quarantine(&world.layers, &mark).await.unwrap());
    let later = Quarantined { reason: "worn".to_owned(), ..mark.clone() };
    assert!(!quarantine(&world.layers, &later).await.unwrap(), "the first mark stays");
    assert_eq!(quarantined_files(&world.layers).await.unwrap(), HashSet::from([file.id]));
    assert_eq!(quarantined(&world.layers).await.unwrap(), [(file.id, Ok(mark))]);
    release(&world.layers, &[file.id]).await.unwrap();
    release(&world.layers, &[file.id]).await.unwrap();
    assert!(quarantined_files(&world.layers).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_mark_that_cannot_be_read_still_marks() {
    let world = World::new().await;
    let file: FileId = "00000000-0000-0000-0000-000000000003".parse().unwrap();
    world.layers.first().store.put(&path(file), "{".into()).await.unwrap();
    assert_eq!(quarantined_files(&world.layers).await.unwrap(), HashSet::from([file]));
    assert!(quarantined(&world.layers).await.unwrap()[0].1.is_err());
}

#[test]
fn a_mark_of_version_1_is_this_text() {
    let text = concat!(
        r#"{"v":1,"file":"00000000-0000-0000-0000-000000000003","table":"00000000-0000-0000-0000-000000000001","#,
        r#""database":"db","name":"cpu","layer":"hot","path":"db/cpu/x.1.parquet","reason":"torn","by":"scrub","since":5}"#,
    );
    let file = "00000000-0000-0000-0000-000000000003".parse().unwrap();
    let mark = decode(file, text.as_bytes()).unwrap();
    assert_eq!((mark.reason.as_str(), mark.since), ("torn", Timestamp::from_nanos(5)));
    assert_eq!(serde_json::to_string(&Record { v: VERSION, mark: &mark }).unwrap(), text);
    assert!(decode(file, text.replace(r#""v":1"#, r#""v":2"#).as_bytes()).unwrap_err().contains("version 2"));
    assert!(decode(FileId::from_uuid(uuid::Uuid::nil()), text.as_bytes()).is_err());
}
