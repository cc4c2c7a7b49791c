use arrow::array::{
    AsArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray, StringViewArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, UInt64Type};
use gigapi_model::{
    Bucket, BucketSpan, CatalogId, ColumnName, ColumnRole, ColumnType, DatabaseName, ErrorKind, NewColumn, TableId,
    TableKey, TableName, WriterId,
};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{CompressionCodec, Encoding};
use parquet::file::metadata::PageIndexPolicy;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::FileEncoders;
use crate::parquet::{Origin, verify_chunks};

/// 2025-04-10T07:00:00Z.
const HOUR: i64 = 1_744_268_400_000_000_000;

fn table(columns: &[(&str, ColumnType, ColumnRole)]) -> Arc<TableDef> {
    let wanted: Vec<_> = columns
        .iter()
        .map(|&(name, column_type, role)| NewColumn { name: ColumnName::new(name).unwrap(), column_type, role })
        .collect();
    let (database, name) = (DatabaseName::new("db").unwrap(), TableName::new("cpu").unwrap());
    let table = TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::Tags).unwrap();
    Arc::new(table.with_columns(&wanted, 100).unwrap())
}

fn all_types() -> Arc<TableDef> {
    table(&[
        ("host", ColumnType::String, ColumnRole::Tag),
        ("note", ColumnType::String, ColumnRole::Field),
        ("view", ColumnType::String, ColumnRole::Field),
        ("int", ColumnType::Integer, ColumnRole::Field),
        ("uint", ColumnType::Unsigned, ColumnRole::Field),
        ("float", ColumnType::Float, ColumnRole::Field),
        ("flag", ColumnType::Boolean, ColumnRole::Field),
    ])
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

#[derive(Debug, Clone)]
struct Row {
    host: Option<String>,
    note: Option<String>,
    int: Option<i64>,
    uint: Option<u64>,
    float: Option<f64>,
    flag: Option<bool>,
}

fn batch(rows: &[Row]) -> RecordBatch {
    let times: Vec<i64> = (0..rows.len() as i64).map(|row| HOUR + row).collect();
    let notes: Vec<Option<&str>> = rows.iter().map(|row| row.note.as_deref()).collect();
    let hosts: DictionaryArray<Int32Type> = rows.iter().map(|row| row.host.as_deref()).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        // Not in the table's order, which is that of the file.
        ("float", Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>())),
        ("host", Arc::new(hosts)),
        ("time", Arc::new(TimestampNanosecondArray::from(times))),
        ("note", Arc::new(StringArray::from(notes.clone()))),
        ("view", Arc::new(StringViewArray::from(notes))),
        ("int", Arc::new(rows.iter().map(|row| row.int).collect::<Int64Array>())),
        ("uint", Arc::new(rows.iter().map(|row| row.uint).collect::<UInt64Array>())),
        ("flag", Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// Reads a file with the library's reader, which shares no code with the encoder.
fn decode(file: &EncodedFile) -> RecordBatch {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.bytes.clone(), options).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.with_batch_size(1000).build().unwrap().map(|batch| batch.unwrap()).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn assert_same(file: &EncodedFile, rows: &[Row]) {
    let found = decode(file);
    assert_eq!(found.num_rows(), rows.len());
    let names: Vec<_> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["time", "host", "note", "view", "int", "uint", "float", "flag"]);
    let times: Vec<i64> = (0..rows.len() as i64).map(|row| HOUR + row).collect();
    assert_eq!(found.column(0).as_primitive::<Int64Type>().values(), times.as_slice());
    for (row, wanted) in rows.iter().enumerate() {
        let text = |column: usize| {
            let strings = found.column(column).as_string::<i32>();
            strings.is_valid(row).then(|| strings.value(row).to_owned())
        };
        assert_eq!((text(1), text(2), text(3)), (wanted.host.clone(), wanted.note.clone(), wanted.note.clone()));
    }
    let ints: Vec<_> = found.column(4).as_primitive::<Int64Type>().iter().collect();
    assert!(ints.iter().eq(rows.iter().map(|row| &row.int)));
    let uints: Vec<_> = found.column(5).as_primitive::<UInt64Type>().iter().collect();
    assert!(uints.iter().eq(rows.iter().map(|row| &row.uint)));
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let floats = found.column(6).as_primitive::<Float64Type>();
    assert!(floats.iter().map(bits).eq(rows.iter().map(|row| bits(row.float))));
    let flags: Vec<_> = found.column(7).as_boolean().iter().collect();
    assert!(flags.iter().eq(rows.iter().map(|row| &row.flag)));
}

fn encode(rows: &[Row]) -> EncodedFile {
    encode_file(&all_types(), &[batch(rows)], &facts()).unwrap()
}

/// Rows as they come: a few hosts in runs, everything else by a small generator.
fn many_rows(count: usize) -> Vec<Row> {
    let mut state = 7_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let row = |row: usize| Row {
        host: (row > 100).then(|| format!("host-{}", row / 900)),
        note: (next() % 5 > 0).then(|| format!("note {}", next() % 300)),
        int: (next() % 7 > 0).then(|| next() as i64 % 100 - 50),
        uint: (row % 30_000 < 25_000).then(|| next().wrapping_mul(next())),
        float: (next() % 3 > 0).then(|| (next() % 4000) as f64 / 100.0),
        flag: (next() % 2 > 0).then(|| next() % 2 > 0),
    };
    (0..count).map(row).collect()
}

#[test]
fn many_pages_are_read_back_as_they_were() {
    let rows = many_rows(65_000);
    assert_same(&encode(&rows), &rows);
}

#[test]
fn rows_of_several_batches_make_one_file() {
    let rows = many_rows(3000);
    let parts: Vec<RecordBatch> =
        [0..10, 10..1700, 1700..3000].map(|part| batch(&rows).slice(part.start, part.len())).into();
    let file = encode_file(&all_types(), &parts, &facts()).unwrap();
    assert_same(&file, &rows);
    assert_eq!(file.rows, 3000);
}

#[test]
fn row_groups_are_bounded() {
    let rows = ROW_GROUP_ROWS_MAX + 5;
    let times = Int64Array::from_iter_values((0..rows as i64).map(|row| HOUR + row));
    let values = Int64Array::from_iter_values((0..rows as i64).map(|row| row % 97));
    let columns = [("time", Arc::new(times) as ArrayRef), ("v", Arc::new(values) as ArrayRef)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = table(&[("v", ColumnType::Integer, ColumnRole::Field)]);
    let file = encode_file(&table, std::slice::from_ref(&batch), &facts()).unwrap();
    let stored = verify_chunks("x", &file.bytes).unwrap();
    assert_eq!(stored.chunk_checksums.len(), 2);
    let found = decode(&file);
    assert_eq!(found.column(1).as_ref(), batch.column(1).as_ref());
    let sum = (0..rows as i128).map(|row| row % 97).sum();
    assert_eq!(file.statistics.column(2).unwrap().sum, Some(sum));
}

#[test]
fn a_row_without_fields_is_a_file() {
    let rows = vec![Row { host: None, note: None, int: None, uint: None, float: None, flag: None }];
    let file = encode(&rows);
    assert_same(&file, &rows);
    let int = file.statistics.column(5).unwrap();
    assert_eq!((int.null_count, &int.min, &int.max), (1, &None, &None));
}

#[test]
fn columns_that_the_batch_lacks_are_absent() {
    let times: ArrayRef = Arc::new(Int64Array::from(vec![HOUR]));
    let batch = RecordBatch::try_from_iter([("time", times)]).unwrap();
    let file = encode_file(&all_types(), &[batch], &facts()).unwrap();
    assert_eq!(decode(&file).num_columns(), 1);
    assert!(file.statistics.column(2).is_none());
}

#[test]
fn the_footer_tells_ids_order_and_encodings() {
    let file = encode(&many_rows(50_000));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).unwrap();
    let ids: Vec<_> =
        builder.schema().fields().iter().map(|field| field.metadata()["PARQUET:field_id"].clone()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    let group = builder.metadata().row_group(0);
    let order: Vec<_> = group.sorting_columns().unwrap().iter().map(|s| (s.column_idx, s.nulls_first)).collect();
    assert_eq!(order, [(1, true), (0, true)]);
    let has = |column: usize, encoding: Encoding| group.column(column).encodings().any(|found| found == encoding);
    assert!(has(0, Encoding::DELTA_BINARY_PACKED) && has(4, Encoding::DELTA_BINARY_PACKED));
    assert!(has(1, Encoding::RLE_DICTIONARY) && has(2, Encoding::RLE_DICTIONARY) && has(6, Encoding::RLE_DICTIONARY));
    let tags = group.column(1);
    assert!(tags.dictionary_page_offset().is_some());
    assert_eq!(tags.statistics().unwrap().distinct_count_opt(), Some(56));
}

#[test]
fn page_indexes_hold_the_bounds_of_every_page() {
    let file = encode(&many_rows(50_000));
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.bytes.clone(), options).unwrap();
    let metadata = builder.metadata();
    let ColumnIndexMetaData::INT64(times) = &metadata.column_index().unwrap()[0][0] else { panic!("no index") };
    let min: Vec<_> = times.min_values_iter().flatten().copied().collect();
    assert_eq!(min, [HOUR, HOUR + 20_000, HOUR + 40_000]);
    let pages = metadata.offset_index().unwrap()[0][0].page_locations();
    assert_eq!(pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>(), [0, 20_000, 40_000]);
    // All metadata lies in the tail that the catalog names.
    let (start, length) = metadata.row_groups()[0].columns().last().unwrap().byte_range();
    assert_eq!(file.bytes.len() as u64 - (start + length), u64::from(file.tail_bytes));
}

#[test]
fn a_small_file_carries_no_page_index_and_no_frames() {
    let file = encode(&many_rows(3));
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.bytes.clone(), options).unwrap();
    assert!(builder.metadata().offset_index().is_none_or(|groups| groups.iter().all(Vec::is_empty)));
    let codecs = builder.metadata().row_group(0).columns().iter().map(|chunk| chunk.compression_codec());
    assert!(codecs.into_iter().all(|codec| codec == CompressionCodec::UNCOMPRESSED));
}

#[test]
fn floats_that_are_noise_are_not_indexed() {
    let mut state = 1_u64;
    let noise: Vec<f64> = (0..30_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect();
    let times: ArrayRef = Arc::new(Int64Array::from_iter_values((0..30_000).map(|row| HOUR + row)));
    let columns = [("time", times), ("f", Arc::new(Float64Array::from(noise.clone())) as ArrayRef)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = table(&[("f", ColumnType::Float, ColumnRole::Field)]);
    let file = encode_file(&table, &[batch], &facts()).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).unwrap();
    assert!(builder.metadata().row_group(0).column(1).dictionary_page_offset().is_none());
    assert_eq!(decode(&file).column(1).as_primitive::<Float64Type>().values(), noise.as_slice());
}

#[test]
fn long_strings_do_not_make_long_pages() {
    let long: Vec<String> = (0..200).map(|row| format!("{row}").repeat(20_000)).collect();
    let times: ArrayRef = Arc::new(Int64Array::from_iter_values((0..200).map(|row| HOUR + row)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(&long));
    let batch = RecordBatch::try_from_iter([("time", times), ("note", Arc::clone(&texts))]).unwrap();
    let file = encode_file(&all_types(), &[batch], &facts()).unwrap();
    assert_eq!(decode(&file).column(1).as_ref(), texts.as_ref());
    let bounds = file.statistics.column(3).unwrap();
    assert!(!bounds.min_exact && !bounds.max_exact);
}

#[test]
fn what_does_not_fit_is_refused() {
    let times = |nanos: i64| Arc::new(Int64Array::from(vec![nanos])) as ArrayRef;
    let one = |name: &str, array: ArrayRef| {
        let batch = RecordBatch::try_from_iter([("time", times(HOUR)), (name, array)]).unwrap();
        encode_file(&all_types(), &[batch], &facts()).unwrap_err().to_string()
    };
    assert!(one("other", times(1)).contains("\"other\" is not in revision 2"));
    assert!(one("float", times(1)).contains("float is a float but arrives as Int64"));
    let outside = RecordBatch::try_from_iter([("time", times(HOUR - 1))]).unwrap();
    let error = encode_file(&all_types(), &[outside], &facts()).unwrap_err();
    assert!(error.to_string().contains("do not lie in date=2025-04-10/hour=07"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Internal);
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(vec![Field::new("time", DataType::Int64, false)])));
    assert!(encode_file(&all_types(), &[empty], &facts()).unwrap_err().to_string().contains("without rows"));
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![Some(HOUR), None]));
    let batch = RecordBatch::try_from_iter_with_nullable([("time", nulls, true)]).unwrap();
    assert!(encode_file(&all_types(), &[batch], &facts()).unwrap_err().to_string().contains("1 rows have no time"));
}

#[test]
fn an_encoder_is_kept_per_shape() {
    let encoders = FileEncoders::default();
    let batch = batch(&many_rows(1));
    let first = encoders.get(&all_types(), batch.schema_ref()).unwrap();
    assert!(Arc::ptr_eq(&first, &encoders.get(&all_types(), batch.schema_ref()).unwrap()));
    let narrower = batch.project(&[1, 2]).unwrap();
    let other = encoders.get(&all_types(), narrower.schema_ref()).unwrap();
    assert!(!Arc::ptr_eq(&first, &other));
    assert!(first.encode(&[narrower], &facts()).is_err());
}

fn row() -> impl Strategy<Value = Row> {
    let text = prop_oneof!["[a-c]{0,3}", "\\PC{0,6}", Just("x".repeat(200))];
    let float = prop_oneof![any::<f64>(), (0..50_i32).prop_map(|n| f64::from(n) / 10.0), Just(f64::NAN), Just(-0.0)];
    let int = prop_oneof![any::<i64>(), -5..5_i64];
    let uint = prop_oneof![any::<u64>(), 0..5_u64];
    use proptest::option::of;
    (of("[a-d]"), of(text), of(int), of(uint), of(float), of(any::<bool>()))
        .prop_map(|(host, note, int, uint, float, flag)| Row { host, note, int, uint, float, flag })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(200)))]
    #[test]
    fn any_rows_are_read_back_as_they_were(rows in proptest::collection::vec(row(), 1..700)) {
        let file = encode(&rows);
        assert_same(&file, &rows);
        prop_assert_eq!(verify_chunks("x", &file.bytes).unwrap().rows, rows.len() as u64);
        let int = file.statistics.column(5).unwrap();
        let values = || rows.iter().filter_map(|row| row.int);
        prop_assert_eq!(int.sum, Some(values().map(i128::from).sum()));
        prop_assert_eq!(int.min.clone(), values().min().map(Scalar::Integer));
        let uint = file.statistics.column(6).unwrap();
        prop_assert_eq!(uint.max.clone(), rows.iter().filter_map(|row| row.uint).max().map(Scalar::Unsigned));
    }

    #[test]
    fn a_flipped_bit_in_a_chunk_is_found(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let file = encode(&many_rows(2000));
        let data = file.bytes.len() - file.tail_bytes as usize;
        let mut bytes = file.bytes.to_vec();
        bytes[4 + at.index(data - 4)] ^= 1_u8 << bit;
        let error = verify_chunks("x", &Bytes::from(bytes)).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
