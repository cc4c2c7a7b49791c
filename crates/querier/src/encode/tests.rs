use arrow::array::{
    BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray, StringViewArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::Int64Type;

use super::*;

fn gigapi(shape: JsonShape) -> JsonStyle {
    JsonStyle { shape, quoted_integers: true, time: TimeStyle::Rfc3339, nulls: true, content_type: "application/json" }
}

fn influx() -> JsonStyle {
    let time = TimeStyle::NoZone;
    JsonStyle { shape: JsonShape::Array, quoted_integers: false, time, nulls: false, content_type: "application/json" }
}

fn batch() -> RecordBatch {
    let at = 1_745_452_805_000_000_000;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampNanosecondArray::from(vec![at, at + 1]))),
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("small", Arc::new(Int32Array::from(vec![3, 4]))),
        ("f", Arc::new(Float64Array::from(vec![87.025, f64::NAN]))),
        ("b", Arc::new(BooleanArray::from(vec![true, false]))),
        ("s", Arc::new(StringViewArray::from(vec!["a\"\\\n\u{1}ü", "a text longer than twelve bytes"]))),
        ("date", Arc::new(Date32Array::from(vec![20_202, -1]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn encoded(format: Format, batches: &[RecordBatch], time_as_integer: bool) -> Vec<u8> {
    let mut encoder = format.encoder(&batches[0].schema(), time_as_integer).unwrap();
    let mut out = Vec::new();
    encoder.start(&mut out).unwrap();
    batches.iter().for_each(|batch| encoder.batch(batch, &mut out).unwrap());
    encoder.finish(&mut out).unwrap();
    out
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(encoded(format, batches, false)).unwrap()
}

#[test]
fn gigapi_json_has_integers_as_strings_and_zoned_times() {
    let found = text(Format::Json(gigapi(JsonShape::Results)), &[batch()]);
    let expected = concat!(
        r#"{"results":[{"time":"2025-04-24T00:00:05Z","i":"-9223372036854775808","u":"18446744073709551615","small":3,"f":87.025,"b":true,"s":"a\"\\\n\u0001ü","date":"2025-04-24T00:00:00Z"},"#,
        r#"{"time":"2025-04-24T00:00:05.000000001Z","i":null,"u":"0","small":4,"f":null,"b":false,"s":"a text longer than twelve bytes","date":"1969-12-31T00:00:00Z"}]}"#,
        "\n"
    );
    assert_eq!(found, expected);
}

#[test]
fn influxdb_json_has_plain_numbers_times_without_zone_and_no_nulls() {
    let found = text(Format::Json(influx()), &[batch().slice(0, 1), batch().slice(1, 1)]);
    let expected = concat!(
        r#"[{"time":"2025-04-24T00:00:05","i":-9223372036854775808,"u":18446744073709551615,"small":3,"f":87.025,"b":true,"s":"a\"\\\n\u0001ü","date":"2025-04-24"},"#,
        r#"{"time":"2025-04-24T00:00:05.000000001","u":0,"small":4,"f":null,"b":false,"s":"a text longer than twelve bytes","date":"1969-12-31"}]"#,
    );
    assert_eq!(found, expected);
}

#[test]
fn lines_are_one_object_each_and_an_empty_answer_is_empty() {
    let one = batch().project(&[3]).unwrap();
    assert_eq!(
        text(Format::Json(gigapi(JsonShape::Lines)), std::slice::from_ref(&one)),
        "{\"small\":3}\n{\"small\":4}\n"
    );
    assert_eq!(text(Format::Json(gigapi(JsonShape::Results)), &[one.slice(0, 0)]), "{\"results\":[]}\n");
}

#[test]
fn times_can_be_integers_in_every_format() {
    let one = batch().project(&[0]).unwrap().slice(0, 1);
    let json = encoded(Format::Json(gigapi(JsonShape::Lines)), std::slice::from_ref(&one), true);
    assert_eq!(String::from_utf8(json).unwrap(), "{\"time\":\"1745452805000000000\"}\n");
    let csv = encoded(Format::Csv, &[one], true);
    assert_eq!(String::from_utf8(csv).unwrap(), "time\n1745452805000000000\n");
}

#[test]
fn csv_has_one_line_of_names() {
    let two = batch().project(&[0, 6]).unwrap();
    let found = text(Format::Csv, &[two.slice(0, 1), two.slice(1, 1)]);
    assert_eq!(found.lines().next(), Some("time,s"));
    assert_eq!(found.matches("time").count(), 1);
    assert!(found.ends_with("2025-04-24T00:00:05.000000001,a text longer than twelve bytes\n"), "{found}");
}

#[test]
fn columns_of_one_name_are_numbered() {
    let array: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let field = || Field::new("time", DataType::Int32, false);
    let schema = Arc::new(Schema::new(vec![field(), field()]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(&array), array]).unwrap();
    assert_eq!(text(Format::Json(influx()), &[batch]), r#"[{"time":1,"time_1":1}]"#);
}

#[test]
fn nested_values_are_json_and_follow_the_same_habits() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None])]);
    let batch = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).unwrap();
    assert_eq!(text(Format::Json(gigapi(JsonShape::Lines)), &[batch]), "{\"l\":[\"1\",null]}\n");
}

#[test]
fn parquet_and_arrow_read_back_with_plain_strings() {
    let bytes = bytes::Bytes::from(encoded(Format::Parquet, &[batch(), batch()], false));
    let reader = datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(reader.schema().field(6).data_type(), &DataType::Utf8);
    assert_eq!(reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 4);
    let stream = encoded(Format::Arrow, &[batch(), batch()], false);
    let reader = arrow::ipc::reader::StreamReader::try_new(stream.as_slice(), None).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 2);
    let expected: ArrayRef = Arc::new(StringArray::from(vec!["a\"\\\n\u{1}ü", "a text longer than twelve bytes"]));
    assert_eq!(batches[0].column(6), &expected);
}

#[test]
fn a_table_is_drawn_for_people() {
    let drawn = text(Format::Pretty, &[batch().project(&[3]).unwrap()]);
    assert_eq!(drawn, "+-------+\n| small |\n+-------+\n| 3     |\n| 4     |\n+-------+\n");
}
