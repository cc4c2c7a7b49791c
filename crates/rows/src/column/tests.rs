use super::*;

fn integers() -> Column {
    Column::new(Values::Integer(Vec::new()))
}

#[test]
fn a_column_without_gaps_keeps_no_validity() {
    let mut column = integers();
    for row in 0..100 {
        assert!(column.set_integer(row, 7));
    }
    assert!(column.nulls().is_none());
    assert_eq!(column.len(), 100);
}

#[test]
fn skipped_rows_are_missing() {
    let mut column = integers();
    column.set_integer(0, 1);
    column.set_integer(3, 4);
    column.pad(5);
    let valid: Vec<_> = (0..6).map(|row| column.is_valid(row)).collect();
    assert_eq!(valid, [true, false, false, true, false, false]);
    assert_eq!(column.values(), &Values::Integer(vec![1, 0, 0, 4, 0]));
}

#[test]
fn the_last_mention_in_a_row_stands() {
    let mut column = integers();
    column.set_integer(1, 5);
    column.set_integer(1, 6);
    assert_eq!(column.values(), &Values::Integer(vec![0, 6]));
    assert!(!column.is_valid(0) && column.is_valid(1));
}

#[test]
fn a_row_that_was_given_up_leaves_nothing() {
    let mut column = Column::new(Values::String(Strings::default()));
    column.set_string(0, b"one");
    column.set_string(1, b"two");
    column.truncate(1);
    column.set_string(2, b"three");
    assert_eq!(column.len(), 3);
    assert!(!column.is_valid(1));
    let Values::String(texts) = column.values() else { panic!("not texts") };
    assert_eq!((texts.get(0), texts.get(1), texts.get(2)), (&b"one"[..], &b""[..], &b"three"[..]));
}

#[test]
fn a_value_of_another_type_is_not_taken() {
    let mut column = integers();
    assert!(!column.set_float(0, 1.0));
    assert!(column.is_empty());
}
