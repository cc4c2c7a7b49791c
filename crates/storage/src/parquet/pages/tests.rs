use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;
use std::sync::Arc;

use super::*;
use crate::parquet::encoding::{delta, hybrid};

/// How a column is written; each is one that files of this project have, or that the library's writer makes.
#[derive(Debug, Clone, Copy)]
enum Written {
    Dictionary,
    Delta,
    Plain,
    Split,
}

fn file(column: &ArrayRef, written: Written, page_rows: usize, group_rows: usize) -> Bytes {
    let schema = Arc::new(Schema::new(vec![Field::new("v", column.data_type().clone(), true)]));
    let path = ColumnPath::from("v");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows.min(64))
        .set_max_row_group_row_count(Some(group_rows));
    let properties = match written {
        Written::Dictionary => properties,
        Written::Delta => properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        Written::Plain => {
            properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::PLAIN)
        }
        Written::Split => properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
    };
    written_with(column, &schema, properties.build())
}

fn written_with(column: &ArrayRef, schema: &Arc<Schema>, properties: WriterProperties) -> Bytes {
    let mut object = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut object, Arc::clone(schema), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(Arc::clone(schema), vec![Arc::clone(column)]).unwrap()).unwrap();
    writer.close().unwrap();
    object.into()
}

fn metadata(object: &Bytes) -> ParquetMetaData {
    let policy = PageIndexPolicy::Optional;
    ParquetMetaDataReader::new().with_page_index_policy(policy).parse_and_finish(object).unwrap()
}

/// Calls `each` with every row group's chunk, its rows in the file, and the bytes of its pages that hold wanted rows.
fn chunks(object: &Bytes, wanted: &[Range<usize>], mut each: impl FnMut(Chunk<'_>, Range<usize>, Arc<ChunkBytes>)) {
    let metadata = metadata(object);
    let mut first = 0;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows() as usize;
        let offsets = metadata.offset_index().map(|index_of| index_of[index][0].page_locations().as_slice());
        let chunk = Chunk { metadata: group.column(0), locations: offsets, rows };
        let ranges = chunk.byte_ranges(wanted);
        let fetched = ranges.iter().map(|range| object.slice(range.start as usize..range.end as usize));
        let bytes = Arc::new(ChunkBytes::new(&ranges, fetched.collect::<Vec<_>>()));
        each(chunk, first..first + rows, bytes);
        first += rows;
    }
}

fn inside(wanted: &[Range<usize>], row: usize) -> bool {
    wanted.iter().any(|range| range.contains(&row))
}

/// The wanted rows as the pages hold them, by their place in the file.
fn numbers(object: &Bytes, wanted: &[Range<usize>]) -> Vec<(usize, Option<u64>)> {
    let mut found = Vec::new();
    let mut reader = NumberReader::default();
    chunks(object, wanted, |chunk, group, bytes| {
        let each = &mut |page: NumberPage<'_>| {
            for (index, row) in page.rows.clone().enumerate() {
                let value = match page.numbers {
                    Numbers::Integers(values) => values[index] as u64,
                    Numbers::Floats(values) => values[index].to_bits(),
                };
                let is_present = page.present.as_ref().is_none_or(|present| present.value(index));
                if inside(wanted, row) {
                    found.push((group.start + row, is_present.then_some(value)));
                }
            }
        };
        reader.read(&chunk, &bytes, wanted, each).unwrap();
    });
    found
}

fn expected<T>(values: &[T], group_rows: usize, wanted: &[Range<usize>]) -> Vec<(usize, T)>
where
    T: Clone,
{
    let rows = values.iter().cloned().enumerate();
    rows.filter(|(row, _)| inside(wanted, row % group_rows)).collect()
}

/// Every row of every row group.
fn all() -> Vec<Range<usize>> {
    std::iter::once(0..usize::MAX).collect()
}

fn ranges() -> impl Strategy<Value = Vec<Range<usize>>> {
    let apart = |mut bounds: Vec<usize>| {
        bounds.sort_unstable();
        bounds.dedup();
        bounds.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect()
    };
    prop_oneof![Just(all()), proptest::collection::vec(0..700_usize, 0..8).prop_map(apart)]
}

fn sometimes<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop_oneof![4 => value.prop_map(Some), 1 => Just(None)]
}

fn stretched<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    let runs = proptest::collection::vec((value, 1..40_usize), 1..60);
    runs.prop_map(|runs| runs.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count)).collect())
}

proptest! {
    #[test]
    fn integers_are_read_back_from_every_encoding(
        values in stretched(sometimes(prop_oneof![-5..5_i64, any::<i64>()])),
        wanted in ranges(),
        written in prop_oneof![Just(Written::Dictionary), Just(Written::Delta), Just(Written::Plain)],
        page_rows in 1..300_usize,
        group_rows in 200..900_usize,
    ) {
        let column: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let object = file(&column, written, page_rows, group_rows);
        let words: Vec<_> = values.iter().map(|value| value.map(|value| value as u64)).collect();
        prop_assert_eq!(numbers(&object, &wanted), expected(&words, group_rows, &wanted));
    }

    #[test]
    fn floats_are_read_back_from_every_encoding(
        values in stretched(sometimes(any::<f64>())),
        wanted in ranges(),
        written in prop_oneof![Just(Written::Dictionary), Just(Written::Split), Just(Written::Plain)],
        page_rows in 1..300_usize,
        group_rows in 200..900_usize,
    ) {
        let column: ArrayRef = Arc::new(Float64Array::from(values.clone()));
        let object = file(&column, written, page_rows, group_rows);
        let words: Vec<_> = values.iter().map(|value| value.map(f64::to_bits)).collect();
        prop_assert_eq!(numbers(&object, &wanted), expected(&words, group_rows, &wanted));
    }

    #[test]
    fn texts_are_read_back_as_runs(
        values in stretched(sometimes("[a-c]{0,2}")),
        wanted in ranges(),
        written in prop_oneof![Just(Written::Dictionary), Just(Written::Plain)],
        page_rows in 1..300_usize,
        group_rows in 200..900_usize,
    ) {
        let column: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let object = file(&column, written, page_rows, group_rows);
        let mut found = Vec::new();
        chunks(&object, &wanted, |chunk, group, bytes| {
            let texts = TextRuns::read(&chunk, &bytes, &wanted).unwrap();
            for pair in texts.runs.windows(2) {
                assert!(pair[0].rows.end < pair[1].rows.start || pair[0].code != pair[1].code, "a run is cut: {pair:?}");
            }
            for run in &texts.runs {
                let text = run.code.map(|code| String::from_utf8(texts.entries[code as usize].to_vec()).unwrap());
                let rows = run.rows.clone().filter(|row| inside(&wanted, *row));
                found.extend(rows.map(|row| (group.start + row, text.clone())));
            }
        });
        prop_assert_eq!(found, expected(&values, group_rows, &wanted));
    }

    #[test]
    fn own_differences_are_read_back(values in proptest::collection::vec(any::<i64>(), 0..700), shift in 0..64_u32) {
        let values: Vec<i64> = values.into_iter().map(|value| value >> shift).collect();
        let (mut packed, mut found) = (Vec::new(), Vec::new());
        delta::encode(&values, &mut packed);
        delta::decode(&packed, values.len(), &mut found).unwrap();
        prop_assert_eq!(found, values);
    }

    #[test]
    fn damaged_values_are_errors_or_values(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        count in 0..2_000_usize,
        width in 0..40_u8,
    ) {
        let mut integers = Vec::new();
        if delta::decode(&bytes, count, &mut integers).is_ok() {
            prop_assert_eq!(integers.len(), count);
        }
        let mut all = 0;
        if hybrid::decode(&bytes, width, count, &mut |_, length| all += length).is_ok() {
            prop_assert_eq!(all, count);
        }
    }
}

#[test]
fn what_is_not_decoded_here_is_told_apart_from_damage() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let second = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0).build();
    let object = written_with(&column, &schema, second);
    chunks(&object, &all(), |chunk, _, bytes| {
        let read = NumberReader::default().read(&chunk, &bytes, &all(), &mut |_| {});
        assert!(matches!(read, Err(PageError::Unsupported(_))), "{read:?}");
    });
    let object = file(&column, Written::Plain, 10, 10);
    chunks(&object, &all(), |chunk, _, bytes| {
        let nothing = Arc::new(ChunkBytes::default());
        let read = NumberReader::default().read(&chunk, &nothing, &all(), &mut |_| {});
        assert!(matches!(read, Err(PageError::Damaged(_))), "{read:?}");
        let texts = TextRuns::read(&chunk, &bytes, &all());
        assert!(texts.is_err(), "{texts:?}");
    });
}

#[test]
fn pages_that_nobody_wants_are_not_fetched() {
    let values: Vec<i64> = (0..1_000).map(|row| row * row * 1_000_003 % 7_919).collect();
    let object = file(&(Arc::new(Int64Array::from(values.clone())) as ArrayRef), Written::Plain, 100, 1_000);
    let wanted = [250..260, 999..1_000];
    chunks(&object, &wanted, |chunk, _, _| {
        let bytes: u64 = chunk.byte_ranges(&wanted).iter().map(|range| range.end - range.start).sum();
        let (_, all) = chunk.metadata.byte_range();
        assert!(bytes * 4 < all, "{bytes} of {all} bytes for two pages of ten");
    });
    let words: Vec<_> = values.iter().map(|value| Some(*value as u64)).collect();
    assert_eq!(numbers(&object, &wanted), expected(&words, 1_000, &wanted));
}
