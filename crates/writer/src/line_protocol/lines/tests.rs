use proptest::prelude::*;

use super::*;

#[test]
fn lines_are_counted_from_one_in_any_order() {
    let mut counter = LineCounter::new(b"a\n\nb\nc");
    assert_eq!([0, 1, 2, 3, 5, 99, 3, 0].map(|offset| counter.number(offset)), [1, 1, 2, 3, 4, 4, 3, 1]);
}

#[test]
fn the_line_of_a_row_includes_its_quoted_newlines() {
    assert_eq!(line_at(b"a f=1\r\nm f=\"x\ny\" 1\nb", 7), b"m f=\"x\ny\" 1");
    assert_eq!(line_at(b"a f=1\r\nm", 0), b"a f=1");
    assert_eq!(line_at(b"a", 9), b"");
}

#[test]
fn a_cut_holds_whole_lines_up_to_both_limits() {
    let text = b"a f=1\nb f=2\n\nc f=3\n";
    assert_eq!(cut_lines(text, 2, 1_000, false), Some(Cut { bytes: 12, points: 2 }));
    assert_eq!(cut_lines(text, 99, 13, false), Some(Cut { bytes: 13, points: 2 }));
    assert_eq!(cut_lines(text, 99, 14, false), Some(Cut { bytes: 13, points: 2 }));
    assert_eq!(cut_lines(text, 99, 1, false), Some(Cut { bytes: 6, points: 1 }));
    assert_eq!(cut_lines(b"", 9, 9, true), None);
}

#[test]
fn a_torn_line_waits_for_the_rest_unless_there_is_none() {
    assert_eq!(cut_lines(b"a f=1\nb f=", 9, 99, false), Some(Cut { bytes: 6, points: 1 }));
    assert_eq!(cut_lines(b"b f=", 9, 99, false), None);
    assert_eq!(cut_lines(b"a f=1\nb f=", 9, 99, true), Some(Cut { bytes: 10, points: 2 }));
}

#[test]
fn a_quoted_newline_cuts_nothing_but_an_open_quote_does_not_take_the_rest() {
    assert_eq!(cut_lines(b"a f=\"x\ny\"\nb f=1\n", 1, 99, false), Some(Cut { bytes: 10, points: 1 }));
    assert_eq!(cut_lines(b"a f=\"x\nb f=1\n", 1, 99, false), None);
    assert_eq!(cut_lines(b"a f=\"x\nb f=1\n", 1, 99, true), Some(Cut { bytes: 7, points: 1 }));
    assert_eq!(cut_lines(b"a f=\"x\nb f=\"y\"\n", 1, 99, false), Some(Cut { bytes: 7, points: 1 }));
}

#[test]
fn a_quote_in_a_comment_opens_nothing() {
    assert_eq!(cut_lines(b"  # a f=\"x\nb f=1\n", 1, 99, false), Some(Cut { bytes: 17, points: 1 }));
    assert_eq!(cut_lines(b"  # a f=\"x\n \n", 1, 99, false), Some(Cut { bytes: 13, points: 0 }));
}

proptest! {
    #[test]
    fn cuts_cover_the_text_in_order(
        text in prop::collection::vec(prop::sample::select(&b"am =,\"\\\n#1"[..]), 0..200),
        lines_max in 1..5_usize,
        bytes_max in 1..50_usize,
    ) {
        let mut rest = &text[..];
        while let Some(cut) = cut_lines(rest, lines_max, bytes_max, true) {
            prop_assert!(cut.bytes > 0 && cut.points <= lines_max);
            prop_assert!(cut.bytes <= bytes_max || cut.points <= 1);
            prop_assert!(cut.bytes == rest.len() || rest[cut.bytes - 1] == b'\n');
            rest = &rest[cut.bytes..];
        }
        prop_assert!(rest.is_empty());
    }
}
