use super::*;

fn batch(origin: Origin) -> Batch {
    Batch { body: Bytes::new(), lines: 0, source_bytes: 0, source: "f".to_owned(), origin }
}

#[test]
fn a_line_of_a_request_is_named_by_its_place_in_the_source() {
    assert_eq!(batch(Origin::Line(41)).place(2), "f:42");
    let rows = batch(Origin::Rows(vec![(1, 7), (2, 9), (5, 10)]));
    assert_eq!(
        [1, 2, 4, 5, 9].map(|line| rows.place(line)),
        ["f: row 7", "f: row 9", "f: row 9", "f: row 10", "f: row 10"]
    );
}

#[test]
fn a_summary_says_how_much_and_how_fast() {
    let sent = Sent { rows: 3, refused: 1, bytes: 1_500_000, seconds: 0.5 };
    assert_eq!(sent.summary(), "3 rows, 1 refused, 1.5 MB of line protocol in 0.50 s (6 rows/s)");
}
