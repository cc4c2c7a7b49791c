use arrow::array::{Array, AsArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use gigapi_model::{
    Bucket, BucketSpan, CatalogId, ColumnName, DatabaseName, ErrorKind, NewColumn, TableId, TableKey, TableName,
    Timestamp, WriterId,
};
use parquet::arrow::ArrowWriter;
use std::io::Write;
use uuid::Uuid;

use super::*;
use crate::{FileEncoder, FileFacts, Origin};

/// 2025-04-10T07:00:00Z.
const HOUR: i64 = 1_744_268_400_000_000_000;

fn table() -> Arc<TableDef> {
    let column = |name: &str, column_type, role| NewColumn { name: ColumnName::new(name).unwrap(), column_type, role };
    let (database, name) = (DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap());
    let empty = TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::None).unwrap();
    let columns = [
        column("host", ColumnType::String, ColumnRole::Tag),
        column("count", ColumnType::Integer, ColumnRole::Field),
        column("load", ColumnType::Float, ColumnRole::Field),
        column("note", ColumnType::String, ColumnRole::Field),
    ];
    Arc::new(empty.with_columns(&columns, 10).unwrap())
}

fn facts() -> FileFacts {
    FileFacts {
        catalog: CatalogId::from_uuid(Uuid::from_u128(2)),
        catalog_epoch: 3,
        bucket: Bucket::containing(Timestamp::from_nanos(HOUR), BucketSpan::Hour),
        created_at: Timestamp::from_nanos(HOUR),
        origin: Origin::Flush {
            writer: WriterId::from_uuid(Uuid::from_u128(4)),
            writer_epoch: 5,
            lo: 6,
            hi: 7,
            part: 0,
            parts: 1,
        },
    }
}

/// A file of row groups of these sizes, whose count is the row's number; bytes are taken after each group.
fn grouped(groups: &[usize]) -> Bytes {
    let table = table();
    let schema = Schema::new(vec![
        Field::new("time", DataType::Int64, false),
        Field::new("host", decoded_type(table.column("host").unwrap()), true),
        Field::new("count", DataType::Int64, true),
        Field::new("note", DataType::Utf8, true),
    ]);
    let encoder = Arc::new(FileEncoder::new(Arc::clone(&table), &schema).unwrap());
    let mut writer = encoder.start();
    let (mut object, mut start) = (Vec::new(), 0_i64);
    for &rows in groups {
        let numbers = start..start + rows as i64;
        start += rows as i64;
        let done: Result<()> = writer.push_group(rows, |column| {
            let numbers = numbers.clone();
            Ok(match column.name.as_str() {
                "time" => Arc::new(numbers.map(|number| HOUR + number).collect::<Int64Array>()),
                "host" => {
                    let hosts: StringArray = numbers.map(|number| Some(format!("h{:04}", number / 1000))).collect();
                    cast(&hosts, &decoded_type(column)).unwrap()
                }
                "count" => Arc::new(numbers.map(Some).collect::<Int64Array>()),
                _ => Arc::new(
                    numbers.map(|number| (number % 3 > 0).then(|| format!("note {number}"))).collect::<StringArray>(),
                ),
            })
        });
        done.unwrap();
        object.extend_from_slice(&writer.take_bytes().unwrap());
    }
    let finished = writer.finish_taken(&facts()).unwrap();
    assert_eq!(finished.rows, start as u64);
    object.extend_from_slice(&finished.rest);
    crate::parquet::verify_chunks("object", &object.clone().into()).expect("checksums of chunks that were taken");
    object.into()
}

fn counts(file: &StoredRows, rows: Range<u64>) -> Vec<i64> {
    let column = table().column("count").unwrap().field_id;
    let array = file.column(column, rows).unwrap().expect("the file holds it");
    array.as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn any_range_of_rows_is_read_across_row_groups() {
    let object = grouped(&[50_000, 1, 45_000]);
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create_new(folder.path().join("file")).unwrap();
    file.write_all(&object).unwrap();
    let file = Arc::new(File::open(folder.path().join("file")).unwrap());
    for source in [Source::File(file, object.len() as u64), Source::Memory(object)] {
        let opened = StoredRows::open("file", source, &table()).unwrap();
        assert!(opened.whole.is_none(), "it is too large to be decoded at once");
        for rows in [0..1, 0..95_001, 19_999..20_001, 49_999..50_002, 50_000..50_001, 95_000..95_001] {
            let expected: Vec<i64> = (rows.start as i64..rows.end as i64).collect();
            assert_eq!(counts(&opened, rows), expected);
        }
        let load = table().column("load").unwrap().field_id;
        assert!(opened.column(load, 0..10).unwrap().is_none(), "the file lacks the column");
    }
}

#[test]
fn keys_come_in_batches_with_the_dictionary_of_their_row_group() {
    for groups in [&[3000][..], &[30_000, 20_000]] {
        let total: usize = groups.iter().sum();
        let file = Arc::new(StoredRows::open("file", Source::Memory(grouped(groups)), &table()).unwrap());
        assert_eq!(file.whole.is_some(), groups.len() == 1);
        let mut batches = file.batches(&[2, 1], 7000);
        let mut times = Vec::new();
        while let Some(batch) = batches.next_batch().unwrap() {
            assert!(batch.num_rows() <= 7000);
            times.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
            let hosts = batch.column(1).as_dictionary::<arrow::datatypes::Int32Type>();
            assert!(hosts.values().len() <= total.div_ceil(1000), "the dictionary is the group's");
        }
        assert_eq!(times, (0..total as i64).map(|row| HOUR + row).collect::<Vec<_>>());
    }
}

#[test]
fn narrower_stored_types_are_widened_and_others_refused() {
    let id = |id: &str| [("PARQUET:field_id".to_owned(), id.to_owned())].into();
    let write = |count: ArrayRef| {
        let load: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 1.5]));
        let fields = vec![
            Field::new("time", DataType::Int64, false).with_metadata(id("1")),
            Field::new("count", count.data_type().clone(), true).with_metadata(id("3")),
            Field::new("load", DataType::Float32, true).with_metadata(id("4")),
        ];
        let schema = Arc::new(Schema::new(fields));
        let time: ArrayRef = Arc::new(Int64Array::from(vec![HOUR, HOUR + 1]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![time, count, load]).unwrap();
        let mut object = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut object, schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        StoredRows::open("file", Source::Memory(object.into()), &table())
    };
    let file = write(Arc::new(Int32Array::from(vec![7, 8]))).unwrap();
    assert_eq!(counts(&file, 0..2), [7, 8]);
    let load = file.column(4, 0..2).unwrap().unwrap();
    assert_eq!(load.as_primitive::<Float64Type>(), &Float64Array::from(vec![0.5, 1.5]));
    let error = write(Arc::new(StringArray::from(vec!["a", "b"]))).expect_err("strings are no integers");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("column count"), "{error}");
}

#[test]
fn what_cannot_be_decoded_is_named() {
    let object = grouped(&[50_000, 10]);
    for damage in [object.len() / 3, object.len() - 20] {
        let mut damaged = object.to_vec();
        damaged[damage..damage + 8].fill(0xff);
        let outcome = StoredRows::open("the file", Source::Memory(damaged.into()), &table())
            .and_then(|file| (1..5).try_for_each(|field| file.column(field, 0..50_010).map(drop)));
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains("the file"), "{error}");
        }
    }
    let cut = StoredRows::open("the file", Source::Memory(object.slice(..100)), &table()).expect_err("no footer");
    assert!(cut.to_string().contains("the file is damaged"), "{cut}");
}
