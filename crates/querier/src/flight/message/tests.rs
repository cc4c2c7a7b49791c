use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;

/// What a client makes of the messages.
fn decoded(schema: &Schema, messages: Vec<FlightData>) -> RecordBatch {
    let messages = [of_schema(schema)].into_iter().chain(messages).map(Ok::<_, FlightError>);
    let stream = FlightRecordBatchStream::new_from_flight_data(futures::stream::iter(messages.collect::<Vec<_>>()));
    let batches: Vec<RecordBatch> = futures::executor::block_on(stream.try_collect()).unwrap();
    concat_batches(&Arc::new(schema.clone()), &batches).unwrap()
}

#[test]
fn slices_of_a_large_batch_are_not_sent_with_the_whole() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000_000));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let message = Encoder::new().batch(&batch.slice(500_000, 10)).unwrap().remove(0);
    assert!(message.encoded_len() < 1000, "{}", message.encoded_len());
}

#[test]
fn no_rows_are_no_message() {
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef)]).unwrap();
    assert!(Encoder::new().batch(&batch).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_of_any_size_come_through_in_messages_of_a_limited_one(
        lengths in prop::collection::vec(prop_oneof![4 => 0..100_usize, 1 => 100_000..900_000_usize], 1..60),
    ) {
        let texts = StringArray::from_iter_values(lengths.iter().map(|length| "x".repeat(*length)));
        let lists = lengths.iter().map(|length| Some((0..length / 20).map(|n| Some(n as i64))));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
        let columns = [("s", Arc::new(texts) as ArrayRef), ("l", Arc::new(lists) as ArrayRef)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let messages = Encoder::new().batch(&batch).unwrap();
        for message in &messages {
            prop_assert!(message.encoded_len() <= MESSAGE_BYTES_MAX, "{} bytes", message.encoded_len());
        }
        prop_assert_eq!(decoded(&batch.schema(), messages), batch);
    }
}
