use gigapi_model::{ColumnName, ColumnRole, ColumnType, DatabaseName, NewColumn, TableId, TableKey, TableName};
use proptest::prelude::*;

use super::*;

/// A plain file whose id is `number`.
pub(crate) fn file(number: u128) -> DataFile {
    let start = Timestamp::from_nanos(1_744_268_400_000_000_000);
    DataFile {
        id: FileId::from_uuid(Uuid::from_u128(number)),
        level: Level::FLUSHED,
        layer: LayerName::new("hot").unwrap(),
        bucket: Bucket::containing(start, BucketSpan::Hour),
        rows: 10,
        bytes: 2_000,
        time: TimeRange::new(start, start),
        sequence: SequenceRange { lo: 3, hi: 4 },
        checksum: 0xfedc_ba98_7654_3210,
        tail_bytes: 512,
    }
}

#[test]
fn a_file_record_of_version_1_is_these_bytes() {
    let golden: &[u8] = &[
        1, // version
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, // id
        1, 0, // level, hour
        0xa7, 0x64, 0x07, 0x00, // hour 484,519
        10, 0, 0, 0, 0, 0, 0, 0, // rows
        0xd0, 0x07, 0, 0, 0, 0, 0, 0, // bytes
        0x00, 0x60, 0xf0, 0x46, 0xde, 0xe2, 0x34, 0x18, // first time
        0x00, 0x60, 0xf0, 0x46, 0xde, 0xe2, 0x34, 0x18, // last time
        3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, // sequences
        0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, // checksum
        0, 2, 0, 0, // tail
        3, b'h', b'o', b't', // layer
    ];
    assert_eq!(encode_file(&file(0x0102)), golden);
    assert_eq!(decode_file(golden).unwrap(), file(0x0102));
}

#[test]
fn the_longest_file_record_has_at_most_150_bytes() {
    let longest = DataFile { layer: LayerName::new(&"x".repeat(64)).unwrap(), ..file(1) };
    assert!(encode_file(&longest).len() <= 150, "{}", encode_file(&longest).len());
}

#[test]
fn a_definition_of_version_1_is_this_text() {
    let id = TableId::from_uuid(Uuid::from_u128(7));
    let table = TableDef::new(id, DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap(), TableKey::Tags)
        .unwrap()
        .with_columns(
            &[NewColumn {
                name: ColumnName::new("host").unwrap(),
                column_type: ColumnType::String,
                role: ColumnRole::Tag,
            }],
            1000,
        )
        .unwrap();
    let golden = concat!(
        r#"{"v":1,"table":{"id":"00000000-0000-0000-0000-000000000007","database":"db","name":"cpu","columns":["#,
        r#"{"field_id":1,"name":"time","column_type":"time","role":"time"},"#,
        r#"{"field_id":2,"name":"host","column_type":"string","role":"tag"}],"#,
        r#""revision":2,"sort":"tags-then-time","key":"tags","ttl":null}}"#,
    );
    assert_eq!(encode_definition(&table).unwrap(), golden);
    assert_eq!(decode_definition(golden).unwrap(), table);
}

#[test]
fn a_newer_record_is_refused_by_its_version() {
    let mut record = encode_file(&file(1));
    record[0] = 2;
    assert!(decode_file(&record).unwrap_err().to_string().contains("version 2"));
    let error = decode_definition(r#"{"v":2,"table":{}}"#).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -1_i64..=1].prop_map(Timestamp::from_nanos)
}

prop_compose! {
    fn any_file()(
        id in any::<u128>(), level in 1_u8..=4, span in 0_usize..4, at in any_time(), layer in "[a-zA-Z0-9_-]{1,64}",
        numbers in any::<[u64; 5]>(), times in (any_time(), any_time()), tail_bytes in any::<u32>(),
    ) -> DataFile {
        let [rows, bytes, lo, hi, checksum] = numbers;
        DataFile {
            id: FileId::from_uuid(Uuid::from_u128(id)),
            level: Level::new(level).unwrap(),
            layer: LayerName::new(&layer).unwrap(),
            bucket: Bucket::containing(at, BucketSpan::ALL[span]),
            rows, bytes, time: TimeRange::new(times.0, times.1), sequence: SequenceRange { lo, hi }, checksum, tail_bytes,
        }
    }
}

proptest! {
    #[test]
    fn a_file_record_reads_back(file in any_file()) {
        let record = encode_file(&file);
        prop_assert!(record.len() <= 150);
        prop_assert_eq!(decode_file(&record).unwrap(), file);
    }

    #[test]
    fn foreign_bytes_are_refused_or_read_but_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let _ = decode_file(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = FILE_VERSION;
            if let Ok(file) = decode_file(&bytes) {
                prop_assert_eq!(decode_file(&encode_file(&file)).unwrap(), file);
            }
        }
    }

    #[test]
    fn a_cut_record_is_refused(file in any_file(), keep in 0.0_f64..1.0) {
        let record = encode_file(&file);
        let cut = (record.len() as f64 * keep) as usize;
        prop_assert!(decode_file(&record[..cut]).is_err());
    }
}
