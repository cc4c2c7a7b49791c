use gigapi_model::{BucketSpan, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn path(table: &str) -> FilePath {
    FilePath {
        database: DatabaseName::new("mydb").unwrap(),
        table: TableName::new(table).unwrap(),
        bucket: "date=2025-04-10/hour=07".parse().unwrap(),
        id: FileId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        level: Level::FLUSHED,
    }
}

#[test]
fn a_path_has_the_layout_of_the_original() {
    let found = path("cpu").object_path();
    assert_eq!(found.as_ref(), "mydb/cpu/date=2025-04-10/hour=07/01900000-0000-7000-8000-000000000001.1.parquet");
}

#[test]
fn names_are_encoded_once() {
    let found = path("a/b %ü").object_path();
    assert!(found.as_ref().starts_with("mydb/a%2Fb%20%25%C3%BC/date="), "{found}");
    assert_eq!(FilePath::parse(&found), Some(path("a/b %ü")));
}

#[test]
fn other_spellings_are_not_paths() {
    let id = "01900000-0000-7000-8000-00000000000a";
    for refused in [
        format!("mydb/cpu/date=2025-04-10/hour=7/{id}.1.parquet"),
        format!("mydb/cpu/date=2025-04-10/hour=07/{id}.5.parquet"),
        format!("mydb/cpu/date=2025-04-10/hour=07/{id}.01.parquet"),
        format!("mydb/cpu/date=2025-04-10/hour=07/{}.1.parquet", id.to_uppercase()),
        format!("mydb/cpu/date=2025-04-10/hour=07/x/{id}.1.parquet"),
        format!("mydb/cpu/data/date=2025-04-10/hour=07/{id}.1.parquet"),
        format!("_gigapi/cpu/date=2025-04-10/hour=07/{id}.1.parquet"),
        "mydb/cpu/date=2025-04-10/hour=07/metadata.json".to_owned(),
    ] {
        assert_eq!(FilePath::parse(&Path::parse(&refused).unwrap()), None, "{refused}");
    }
}

#[test]
fn our_own_objects_lie_apart() {
    assert_eq!(own_path(["checkpoints", "x.json"]).as_ref(), "_gigapi/checkpoints/x.json");
}

proptest! {
    #[test]
    fn paths_round_trip(
        database in "[^_/\\\\\\p{Cc}.][^/\\\\\\p{Cc}]{0,20}",
        table in "[^\\p{Cc}]{1,20}",
        nanos in any::<i64>(),
        span in 0_usize..4,
        id in any::<u128>(),
        level in 1_u8..=4,
    ) {
        let (Ok(database), Ok(table)) = (DatabaseName::new(&database), TableName::new(&table)) else {
            return Ok(());
        };
        let bucket = Bucket::containing(Timestamp::from_nanos(nanos), BucketSpan::ALL[span]);
        let id = FileId::from_uuid(Uuid::from_u128(id));
        let made = FilePath { database, table, bucket, id, level: Level::new(level).unwrap() };
        let path = made.object_path();
        prop_assert_eq!(path.parts().count(), 5);
        prop_assert_eq!(FilePath::parse(&path), Some(made));
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
        if let Ok(path) = Path::parse(&text) {
            let _ = FilePath::parse(&path);
        }
    }
}
