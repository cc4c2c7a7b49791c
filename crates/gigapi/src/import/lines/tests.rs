use std::sync::Arc;

use arrow::array::{DictionaryArray, Float32Array, Int8Array, StringViewArray, TimestampMillisecondArray, UInt16Array};
use arrow::datatypes::Int32Type;
use gigapi_model::Timestamp;
use gigapi_writer::line_protocol::{ParseOptions, Precision, parse};

use super::super::tests::args;
use super::*;

fn lines(columns: Vec<(&str, ArrayRef)>, tags: &[&str]) -> (Vec<String>, Encoded, LeftOut) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let plan = Plan::new(&args("my table", "at:s", tags, &[]), &batch.schema()).unwrap();
    let mut left_out = LeftOut::default();
    let encoded = encode(&batch, &plan, 11, &mut left_out).unwrap();
    let text = String::from_utf8(encoded.body.clone()).unwrap();
    (text.lines().map(str::to_owned).collect(), encoded, left_out)
}

#[test]
fn every_type_becomes_a_field_of_its_kind_and_nulls_are_left_out() {
    let dictionary: DictionaryArray<Int32Type> = [Some("x\"y"), None, Some("z\\")].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("float", Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), Some(1e300)]))),
        ("small", Arc::new(Float32Array::from(vec![Some(0.5), None, None]))),
        ("int", Arc::new(Int8Array::from(vec![Some(-7), None, Some(7)]))),
        ("u16", Arc::new(UInt16Array::from(vec![Some(7), None, None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, None]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("text", Arc::new(dictionary)),
        ("when", Arc::new(TimestampMillisecondArray::from(vec![Some(0), None, None]))),
    ];
    let (lines, _, left_out) = lines(columns, &[]);
    assert_eq!(
        lines,
        [
            "my\\ table float=0.1,small=0.5,int=-7i,u16=7i,u64=18446744073709551615u,bool=true,text=\"x\\\"y\",when=\"1970-01-01T00:00:00\" 1000000000",
            "my\\ table bool=false 2000000000",
            "my\\ table float=1e300,int=7i,text=\"z\\\\\" 3000000000",
        ]
    );
    assert_eq!(left_out.reasons(), None);
}

#[test]
fn rows_that_cannot_be_lines_are_left_out_with_their_reason_and_number() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), Some(5), Some(6)]))),
        ("tag", Arc::new(StringViewArray::from(vec!["a", "a", "a", "b\\", "c\nd", ""]))),
        ("f", Arc::new(StringArray::from(vec![Some("x\ny"), Some("x"), None, Some("x"), Some("x"), Some("z")]))),
    ];
    let (lines, encoded, left_out) = lines(columns, &["tag"]);
    assert_eq!(lines, ["my\\ table,tag=a f=\"x", "y\" 1000000000", "my\\ table f=\"z\" 6000000000"]);
    assert_eq!(encoded.rows, [(1, 11), (3, 16)]);
    assert_eq!(left_out.rows(), 4);
    let reasons = left_out.reasons().unwrap();
    for part in [
        "left out 4 rows",
        "1 have no readable time (the first is row 12)",
        "(the first is row 13)",
        "\"tag\" of row 14",
    ] {
        assert!(reasons.contains(part), "{reasons}");
    }
}

#[test]
fn what_is_written_is_what_the_server_reads() {
    let values = ["plain", "a b,c=d", "back\\slash", "\\\\two", "äö", "\"q\"", "trailing\\ ", "=", ","];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(Int64Array::from_iter_values(0..values.len() as i64))),
        ("t a,g=", Arc::new(StringArray::from_iter_values(values))),
        ("f i,e\"l\\d=", Arc::new(StringArray::from_iter_values(values.map(|value| format!("{value}\\"))))),
    ];
    let (_, encoded, _) = lines(columns, &["t a,g="]);
    let parsed = parse(&encoded.body, &ParseOptions::new(Precision::Nanosecond, Timestamp::from_nanos(0)));
    assert_eq!(parsed.refused, []);
    let table = &parsed.tables[0];
    assert_eq!((table.name.as_str(), table.draft.tag_names[0].as_str()), ("my table", "t a,g="));
    assert_eq!(table.draft.fields[0].name, "f i,e\"l\\d=");
    for (row, value) in values.iter().enumerate() {
        let series = table.draft.series_of_row[row] as usize;
        assert_eq!(table.draft.tag_value(table.draft.series(series)[0]), value.as_bytes());
        let gigapi_rows::Values::String(texts) = table.draft.fields[0].column.values() else { panic!("a text") };
        assert_eq!(texts.get(row), format!("{value}\\").as_bytes());
    }
}
