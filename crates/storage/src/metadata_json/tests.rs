use gigapi_model::{DatabaseName, FileId, LayerName, Level, SequenceRange, TableId, TableKey, TableName, TimeRange};
use uuid::Uuid;

use super::*;

fn table() -> TableDef {
    let (database, name) = (DatabaseName::new("mydb").unwrap(), TableName::new("wea ther").unwrap());
    TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::Tags).unwrap()
}

fn bucket() -> Bucket {
    "date=2025-06-10/hour=15".parse().unwrap()
}

fn file(id: u128, min: i64) -> DataFile {
    let (min, max) = (Timestamp::from_nanos(min), Timestamp::from_nanos(min + 9));
    DataFile {
        id: FileId::from_uuid(Uuid::from_u128((0x0190_0000_0000_7000_8000 << 48) | id)),
        level: Level::FLUSHED,
        layer: LayerName::new("default").unwrap(),
        bucket: bucket(),
        rows: 3,
        bytes: 1234,
        time: TimeRange::new(min, max),
        sequence: SequenceRange { lo: 1, hi: 1 },
        checksum: 5,
        tail_bytes: 6,
    }
}

#[test]
fn the_document_is_the_originals_key_by_key() {
    let gone = file(2, 10);
    let path = FilePath::of(&table(), &gone);
    let dropped = Dropped { path, layer: gone.layer, delete_after: Timestamp::from_nanos(30_500_000_000) };
    let document = render(&table(), bucket(), &[file(1, 1_749_567_600_000_000_001)], &[dropped]).unwrap();
    assert_eq!(
        std::str::from_utf8(&document).unwrap(),
        concat!(
            r#"{"type":"wea ther","parquet_size_bytes":1234,"row_count":3,"min_time":1749567600000000001,"#,
            r#""max_time":1749567600000000010,"wal_sequence":0,"drop_queue":[{"id":1,"writer_id":"","#,
            r#""layer":"default","database":"mydb","table":"wea ther","#,
            r#""path":"date=2025-06-10/hour=15/01900000-0000-7000-8000-000000000002.1.parquet","time_s":30}],"#,
            r#""files":[{"layer":"default","database":"mydb","table":"wea ther","#,
            r#""path":"date=2025-06-10/hour=15/01900000-0000-7000-8000-000000000001.1.parquet","#,
            r#""size_bytes":1234,"row_count":3,"chunk_time":1717986918400000000,"min":null,"max":null,"#,
            r#""min_time":1749567600000000001,"max_time":1749567600000000010,"writer_id":"","id":1,"#,
            r#""range":"1h","type":"compacted"}]}"#
        )
    );
}

#[test]
fn the_order_of_files_does_not_matter() {
    let (a, b) = (file(1, 20), file(2, 10));
    let first = render(&table(), bucket(), &[a.clone(), b.clone()], &[]).unwrap();
    assert_eq!(first, render(&table(), bucket(), &[b, a], &[]).unwrap());
}

#[test]
fn an_empty_bucket_is_a_document_too() {
    let document = render(&table(), bucket(), &[], &[]).unwrap();
    let text = std::str::from_utf8(&document).unwrap();
    assert!(text.contains(r#""row_count":0,"min_time":0,"max_time":0"#) && text.contains(r#""files":[]"#), "{text}");
}

#[test]
fn a_document_lies_in_its_buckets_folder() {
    assert_eq!(path(&table(), bucket()), Path::parse("mydb/wea%20ther/date=2025-06-10/hour=15/metadata.json").unwrap());
}
