use arrow::array::{DictionaryArray, Int64Array, StringArray};
use arrow::datatypes::Int32Type;

use super::*;

fn of(columns: Vec<(&str, ArrayRef)>) -> Values {
    Values::of_row(&RecordBatch::try_from_iter(columns).unwrap()).unwrap().unwrap()
}

fn integer(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn names_of(values: &Values) -> Vec<&str> {
    values.0.keys().map(String::as_str).collect()
}

#[test]
fn a_columns_name_says_which_parameter_it_is_for_or_its_place_does() {
    assert_eq!(names_of(&of(vec![("0", integer(1)), ("1", integer(2))])), ["1", "2"]);
    assert_eq!(names_of(&of(vec![("param_0", integer(1))])), ["1", "param_0"]);
    assert_eq!(names_of(&of(vec![("$2", integer(1)), ("$1", integer(2))])), ["1", "2"]);
    assert_eq!(names_of(&of(vec![("$low", integer(1)), ("high", integer(2))])), ["1", "2", "high", "low"]);
    assert_eq!(names_of(&of(vec![("", integer(1)), ("$", integer(2))])), ["$", "1", "2"]);
}

#[test]
fn values_come_back_from_a_handle_as_they_went_in() {
    let words: DictionaryArray<Int32Type> = ["Oslo"].into_iter().collect();
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let values = of(vec![("a", integer(-1)), ("b", Arc::new(words) as ArrayRef), ("c", texts)]);
    assert_eq!(values.0["b"], ScalarValue::Utf8(Some("Oslo".to_owned())));
    assert_eq!(Values::from_bytes(&values.to_bytes().unwrap()).unwrap(), values);
}

#[test]
fn bytes_that_are_no_values_are_an_error() {
    let whole = of(vec![("a", integer(1))]).to_bytes().unwrap();
    for end in 0..whole.len() {
        // An end that only says that nothing follows may be missing.
        if let Ok(values) = Values::from_bytes(&whole[..end]) {
            assert_eq!(names_of(&values), ["1", "a"]);
        }
    }
    assert!(Values::from_bytes(b"hello").is_err());
}

#[test]
fn no_row_is_no_values_and_two_are_refused() {
    let none = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef)]).unwrap();
    assert_eq!(Values::of_row(&none).unwrap(), None);
    let two = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    assert!(Values::of_row(&two).is_err());
}
