use super::*;

#[test]
fn a_dictionary_in_a_list_in_a_struct_becomes_plain_text() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
    let list = DataType::LargeList(Arc::new(Field::new("item", dictionary, true)));
    let wire = wire_type(&DataType::Struct(vec![Field::new("l", list, false)].into()));
    let plain = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    assert_eq!(wire, DataType::Struct(vec![Field::new("l", plain, false)].into()));
}

#[test]
fn types_on_the_wire_stay_what_they_are() {
    for data_type in [
        DataType::Utf8View,
        DataType::LargeBinary,
        DataType::Date32,
        DataType::Decimal256(40, 3),
        DataType::Float16,
        DataType::Timestamp(TimeUnit::Second, Some("+01:00".into())),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Null,
        DataType::FixedSizeList(Arc::new(Field::new("item", DataType::FixedSizeBinary(3), true)), 2),
        DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", DataType::LargeUtf8, true)),
        ),
    ] {
        let once = wire_type(&data_type);
        assert_eq!(wire_type(&once), once, "{data_type}");
    }
}

#[test]
fn columns_of_one_name_are_told_apart_and_may_all_be_null() {
    let field = |nullable| Field::new("time", DataType::Int64, nullable);
    let schema = wire_schema(&Schema::new(vec![field(false), field(true)]));
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["time", "time_1"]);
    assert!(schema.fields().iter().all(|field| field.is_nullable()));
}
