use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
use proptest::prelude::*;

use super::layout::{Layout, Wanted, layout};
use super::*;
use crate::query::text::width;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn weather() -> RecordBatch {
    batch(vec![
        ("city", Arc::new(StringArray::from(vec![Some("Oslo"), None, Some("東京")]))),
        ("temperature", Arc::new(Float64Array::from(vec![Some(3.5), Some(-14.25), None]))),
        ("dry", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ("time", Arc::new(TimestampNanosecondArray::from(vec![0, 1_500_000_000, 1_700_000_000_000_000_001]))),
    ])
}

fn drawn(batches: &[RecordBatch], terminal: Option<usize>, colours: bool) -> String {
    let mut drawer = Drawer::new(&batches[0].schema(), terminal, Paint { colours });
    let mut text = String::new();
    for batch in batches {
        drawer.batch(batch, &mut text).unwrap();
    }
    drawer.finish(&mut text);
    text
}

#[test]
fn numbers_stand_at_the_right_and_nulls_are_named() {
    let expected = "
 city │ temperature │ dry   │ time
──────┼─────────────┼───────┼───────────────────────────────
 Oslo │         3.5 │ true  │ 1970-01-01T00:00:00
 NULL │      -14.25 │ false │ 1970-01-01T00:00:01.500
 東京 │        NULL │ true  │ 2023-11-14T22:13:20.000000001
";
    assert_eq!(drawn(&[weather()], None, false), expected[1..]);
    assert_eq!(drawn(&[weather()], Some(120), false), expected[1..]);
}

#[test]
fn colours_change_nothing_but_colours() {
    let painted = drawn(&[weather()], None, true);
    assert!(painted.contains("\u{1b}[2mNULL\u{1b}[0m"), "{painted}");
    let mut plain = painted;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, drawn(&[weather()], None, false));
}

#[test]
fn texts_give_way_to_numbers_in_a_narrow_terminal() {
    let rows = batch(vec![
        ("message", Arc::new(StringArray::from(vec!["a message that is longer than its terminal", "short"]))),
        ("count", Arc::new(Int64Array::from(vec![1_234_567_890_123_i64, 5]))),
    ]);
    let expected = "
 message             │         count
─────────────────────┼───────────────
 a message that is … │ 1234567890123
 short               │             5
";
    assert_eq!(drawn(std::slice::from_ref(&rows), Some(37), false), expected[1..]);
    let mut drawer = Drawer::new(&rows.schema(), Some(15), Paint::default());
    let mut text = String::new();
    drawer.batch(&rows, &mut text).unwrap();
    drawer.finish(&mut text);
    assert_eq!(drawer.hidden(), 1);
    assert_eq!(text, " message\n───────────────\n a message th…\n short\n");
}

#[test]
fn a_value_obeys_no_terminal_and_stays_on_its_line() {
    let rows = batch(vec![("v", Arc::new(StringArray::from(vec!["\u{1b}[2Jx\ny"])))]);
    assert_eq!(drawn(&[rows], None, true).lines().last(), Some(r" \u{1b}[2Jx\ny"));
}

#[test]
fn an_answer_without_rows_has_a_head() {
    assert_eq!(drawn(&[weather().slice(0, 0)], None, false).lines().next(), Some(" city │ temperature │ dry │ time"));
}

#[test]
fn rows_beyond_the_sample_are_drawn_whole_with_the_widths_of_the_sample() {
    let short: Vec<String> = (0..3_000).map(|row| format!("{row:04}")).collect();
    let rows = batch(vec![
        ("id", Arc::new(StringArray::from(short))),
        ("n", Arc::new(Int64Array::from_iter_values(0..3_000))),
    ]);
    let late = batch(vec![
        ("id", Arc::new(StringArray::from(vec!["wider than all before it"]))),
        ("n", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let text = drawn(&[rows, late], None, false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2 + 3_001);
    assert_eq!(lines[2], " 0000 │    0");
    assert_eq!(lines[3_001], " 2999 │ 2999");
    assert_eq!(lines[3_002], " wider than all before it │    1");
}

#[test]
fn wide_rows_can_be_read_line_by_line() {
    let rows = batch(vec![
        ("city", Arc::new(StringArray::from(vec![Some("Oslo"), None]))),
        ("text", Arc::new(StringArray::from(vec!["one\ntwo\u{7}", ""]))),
    ]);
    let mut lines = Lines::new(&rows.schema(), Paint::default());
    let mut text = String::new();
    lines.batch(&rows.slice(0, 1), &mut text).unwrap();
    lines.batch(&rows.slice(1, 1), &mut text).unwrap();
    assert_eq!(text, "city: Oslo\ntext: one\n      two\\u{7}\n\ncity: NULL\ntext: \n");
}

fn wanted() -> impl Strategy<Value = Vec<Wanted>> {
    let column = (0_usize..30, 0_usize..60, any::<bool>());
    prop::collection::vec(column.prop_map(|(name, values, rigid)| Wanted { name, values, rigid }), 1..12)
}

proptest! {
    #[test]
    fn columns_fit_the_terminal_and_numbers_stay_whole(wanted in wanted(), terminal in 5_usize..200) {
        let Layout { widths, hidden } = layout(&wanted, Some(terminal));
        prop_assert_eq!(widths.len() + hidden, wanted.len());
        let drawn = widths.iter().map(|columns| columns + 3).sum::<usize>() - 1;
        prop_assert!(drawn <= terminal.max(3), "{drawn} columns");
        for (column, columns) in wanted.iter().zip(&widths) {
            prop_assert!(*columns <= column.name.max(column.values).max(1));
            prop_assert!(!column.rigid || *columns >= column.values || widths.len() == 1);
        }
        // Whatever fits is not cut.
        let natural = wanted.iter().map(|column| column.name.max(column.values) + 3).sum::<usize>() - 1;
        if natural <= terminal {
            prop_assert_eq!(hidden, 0);
            prop_assert!(wanted.iter().zip(&widths).all(|(column, columns)| *columns == column.name.max(column.values)));
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal(
        texts in prop::collection::vec(prop::option::of(any::<String>()), 1..20),
        terminal in 10_usize..80,
    ) {
        let numbers = Int64Array::from_iter_values(0..texts.len() as i64);
        let rows = batch(vec![
            ("some text", Arc::new(StringArray::from(texts.clone()))),
            ("number", Arc::new(numbers)),
            ("again", Arc::new(StringArray::from(texts))),
        ]);
        let text = drawn(&[rows], Some(terminal), false);
        for line in text.lines() {
            prop_assert!(width(line) <= terminal, "{line:?} has {}", width(line));
        }
    }
}
