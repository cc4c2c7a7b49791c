use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use gigapi_model::{
    BucketSpan, DatabaseName, ErrorKind, FileId, LayerName, Level, SequenceRange, TableId, TableKey, TableName,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use uuid::Uuid;

use super::*;
use crate::FilePath;
use crate::parquet::{EncodedFile, encode_file, read_facts, read_tail_facts};

fn table() -> Arc<TableDef> {
    let (database, name) = (DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap());
    Arc::new(TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::None).unwrap())
}

fn bucket() -> Bucket {
    Bucket::containing(Timestamp::from_nanos(0), BucketSpan::Hour)
}

fn facts(origin: Origin) -> FileFacts {
    FileFacts {
        catalog: CatalogId::from_uuid(Uuid::from_u128(2)),
        catalog_epoch: 3,
        bucket: bucket(),
        created_at: Timestamp::from_nanos(4),
        origin,
    }
}

fn flush() -> Origin {
    Origin::Flush { writer: WriterId::from_uuid(Uuid::from_u128(5)), writer_epoch: 6, lo: 7, hi: 8, part: 0, parts: 2 }
}

fn merge() -> Origin {
    let sources =
        vec![MergeSource { file: FileId::from_uuid(Uuid::from_u128(9)), sequence: SequenceRange { lo: 1, hi: 4 } }];
    Origin::Merge { sequence: SequenceRange { lo: 1, hi: 4 }, sources }
}

fn batch() -> RecordBatch {
    let times: ArrayRef = Arc::new(Int64Array::from(vec![10, 20, 30]));
    RecordBatch::try_from_iter([("time", times)]).unwrap()
}

fn encode(origin: Origin) -> EncodedFile {
    encode_file(&table(), &[batch()], &facts(origin)).unwrap()
}

fn path() -> FilePath {
    FilePath {
        database: table().database.clone(),
        table: table().name.clone(),
        bucket: bucket(),
        id: FileId::from_uuid(Uuid::from_u128(77)),
        level: Level::FLUSHED,
    }
}

fn layer() -> LayerName {
    LayerName::new("hot").unwrap()
}

async fn store_with(path: &Path, bytes: bytes::Bytes) -> InMemory {
    let store = InMemory::new();
    store.put(path, bytes.into()).await.unwrap();
    store
}

#[tokio::test]
async fn the_catalogs_record_is_made_again_from_the_object() {
    for origin in [flush(), merge()] {
        let encoded = encode(origin.clone());
        let path = path().object_path();
        let store = store_with(&path, encoded.bytes.clone()).await;
        let (stored, file, statistics) = read_facts(&store, &layer(), &path).await.unwrap();
        assert_eq!(stored.facts, facts(origin.clone()));
        assert_eq!(*stored.table, *table());
        assert_eq!((stored.rows, stored.time), (encoded.rows, encoded.time));
        assert_eq!(statistics, encoded.statistics);
        let sequence = if origin == flush() { SequenceRange { lo: 0, hi: 0 } } else { SequenceRange { lo: 1, hi: 4 } };
        assert_eq!(
            (file.rows, file.bytes, file.time, file.checksum, file.tail_bytes, file.sequence),
            (3, encoded.bytes.len() as u64, encoded.time, encoded.checksum, encoded.tail_bytes, sequence)
        );
        assert_eq!(
            (file.id, file.level, file.bucket, file.layer),
            (self::path().id, Level::FLUSHED, bucket(), layer())
        );
    }
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_told_apart() {
    let batch = batch();
    let mut plain = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut plain, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let path = path().object_path();
    let store = store_with(&path, plain.into()).await;
    let error = read_facts(&store, &layer(), &path).await.unwrap_err();
    assert!(matches!(&error, Error::NotOurs { reason, .. } if reason.contains("gigapi.facts")), "{error}");
    let elsewhere = Path::from("db/cpu/file.parquet");
    assert!(matches!(read_facts(&store, &layer(), &elsewhere).await.unwrap_err(), Error::NotOurs { .. }));
    let missing = FilePath { level: Level::FINAL, ..self::path() }.object_path();
    assert_eq!(read_facts(&store, &layer(), &missing).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn damage_and_a_wrong_place_are_corrupt() {
    let encoded = encode(flush());
    let path = path().object_path();
    let cut = encoded.bytes.slice(..encoded.bytes.len() - 9);
    let store = store_with(&path, cut).await;
    assert_eq!(read_facts(&store, &layer(), &path).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let later = Bucket::containing(Timestamp::from_nanos(i64::MAX), BucketSpan::Hour);
    let wrong = FilePath { bucket: later, ..self::path() }.object_path();
    let store = store_with(&wrong, encoded.bytes).await;
    let error = read_facts(&store as &dyn ObjectStore, &layer(), &wrong).await.unwrap_err();
    assert!(error.to_string().contains("names bucket date=1970-01-01/hour=00"), "{error}");
}

#[test]
fn the_persisted_form_is_stable() {
    let written = |origin: Origin| {
        let record = Record {
            version: VERSION,
            facts: facts(origin),
            rows: 3,
            time: TimeRange::new(Timestamp::from_nanos(10), Timestamp::from_nanos(30)),
        };
        serde_json::to_string(&record).unwrap()
    };
    let start = concat!(
        r#"{"version":1,"catalog":"00000000-0000-0000-0000-000000000002","catalog_epoch":3,"#,
        r#""bucket":{"start":0,"span":"hour"},"created_at":4,"origin":"#
    );
    let end = r#","rows":3,"time":{"min":10,"max":30}}"#;
    let flushed = concat!(
        r#"{"flush":{"writer":"00000000-0000-0000-0000-000000000005","writer_epoch":6,"#,
        r#""lo":7,"hi":8,"part":0,"parts":2}}"#
    );
    let merged = r#"{"merge":{"sequence":{"lo":1,"hi":4},"sources":[{"file":"00000000-0000-0000-0000-000000000009","sequence":{"lo":1,"hi":4}}]}}"#;
    assert_eq!(written(flush()), format!("{start}{flushed}{end}"));
    assert_eq!(written(merge()), format!("{start}{merged}{end}"));
    assert_eq!(format_checksums(&[vec![1, 0xabc], vec![2]]), "00000000000000010000000000000abc;0000000000000002");
}

#[test]
fn lists_of_checksums_round_trip_and_nothing_else_is_read() {
    let groups = vec![vec![1, u64::MAX], vec![0]];
    assert_eq!(parse_checksums(&format_checksums(&groups)), Some(groups));
    for refused in ["0", "g000000000000000", "é00000000000000", "+000000000000001"] {
        assert_eq!(parse_checksums(refused), None, "{refused}");
    }
}

#[tokio::test]
async fn a_tail_tells_the_facts_without_the_rest() {
    for origin in [flush(), merge()] {
        let (encoded, path) = (encode(origin), path().object_path());
        let mut damaged = encoded.bytes.to_vec();
        damaged[6] ^= 1;
        let size = damaged.len() as u64;
        let store = InMemory::new();
        store.put(&path, damaged.clone().into()).await.unwrap();
        let stored = read_tail_facts(&store, &layer(), &path, size).await.unwrap();
        assert_eq!(stored.facts, facts(stored.facts.origin.clone()));
        assert_eq!((stored.table.as_ref(), stored.rows), (table().as_ref(), 3));
        // A footer that is cut off, or garbage.
        store.put(&path, damaged[..damaged.len() - 3].to_vec().into()).await.unwrap();
        let error = read_tail_facts(&store, &layer(), &path, size - 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        store.put(&path, "PAR1".into()).await.unwrap();
        assert_eq!(read_tail_facts(&store, &layer(), &path, 4).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let missing = read_tail_facts(&InMemory::new(), &layer(), &path().object_path(), 9).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}
