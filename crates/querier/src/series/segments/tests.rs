use gigapi_model::Timestamp;

use super::*;

fn run(code: Option<u32>, rows: Range<usize>) -> TextRun {
    TextRun { code, rows }
}

#[test]
fn rows_are_cut_wherever_a_column_changes() {
    let hosts = [run(Some(0), 0..4), run(Some(1), 4..9)];
    let racks = [run(None, 0..2), run(Some(0), 2..6), run(None, 6..9)];
    let found = combine(&[&hosts, &racks], &[0..3, 3..9]);
    assert_eq!(found.codes, [vec![Some(0), None], vec![Some(0), Some(0)], vec![Some(1), Some(0)], vec![Some(1), None]]);
    let segments: Vec<_> = found.segments.iter().map(|segment| (segment.rows.clone(), segment.of)).collect();
    assert_eq!(segments, [(0..2, 0), (2..4, 1), (4..6, 2), (6..9, 3)]);
}

#[test]
fn only_wanted_rows_are_cut() {
    let hosts = [run(Some(0), 0..4), run(Some(1), 4..9), run(Some(0), 9..20)];
    let found = combine(&[&hosts], &[1..3, 3..5, 12..13]);
    let segments: Vec<_> = found.segments.iter().map(|segment| (segment.rows.clone(), segment.of)).collect();
    assert_eq!(segments, [(1..4, 0), (4..5, 1), (12..13, 0)]);
}

#[test]
fn without_columns_all_rows_are_one_combination() {
    let found = combine(&[], &[0..5, 7..9]);
    let segments: Vec<_> = found.segments.iter().map(|segment| (segment.rows.clone(), segment.of)).collect();
    assert_eq!((found.codes, segments), (vec![Vec::new()], vec![(0..5, 0), (7..9, 0)]));
}

fn cuts(times: &[i64], range: (i64, i64), span: Option<Span>) -> Option<Vec<(Range<usize>, i64)>> {
    let range = TimeRange::new(Timestamp::from_nanos(range.0), Timestamp::from_nanos(range.1));
    let mut found = Vec::new();
    cut(times, 100, range, span, &mut |rows, start| found.push((rows, start))).then_some(found)
}

#[test]
fn times_are_cut_by_bounds_and_spans_in_any_order() {
    let span = Some(Span { nanos: 10, origin: 3 });
    let found = cuts(&[0, 3, 12, 13, 14, 2, 2, 40, -7, -8], (-7, 30), span);
    let expected = [(100..101, -7), (101..103, 3), (103..105, 13), (105..107, -7), (108..109, -7)];
    assert_eq!(found, Some(expected.to_vec()));
    assert_eq!(cuts(&[5, 6, 9, 1, 5], (5, 8), None), Some(vec![(100..102, 0), (104..105, 0)]));
}

#[test]
fn a_time_before_the_first_span_is_told() {
    let span = Some(Span { nanos: 10, origin: 5 });
    assert_eq!(cuts(&[i64::MIN], (i64::MIN, i64::MAX), span), None);
}
