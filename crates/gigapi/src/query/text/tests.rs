use proptest::prelude::*;

use super::*;

#[test]
fn widths_are_those_of_a_terminal() {
    for (text, columns) in [("", 0), ("abc", 3), ("naïve", 5), ("e\u{301}", 1), ("日本", 4), ("😀", 2), ("👩‍🚀", 2)]
    {
        assert_eq!(width(text), columns, "{text}");
    }
}

#[test]
fn what_a_terminal_would_obey_is_written_out() {
    assert_eq!(plain("Oslo – 日本"), "Oslo – 日本");
    assert_eq!(plain("a\nb\tc\r"), r"a\nb\tc\r");
    assert_eq!(plain("\u{1b}[31mred\u{9b}\u{7f}"), r"\u{1b}[31mred\u{9b}\u{7f}");
    assert_eq!(plain("\u{202e}txt"), r"\u{202e}txt");
}

#[test]
fn spans_and_counts_are_short() {
    for (millis, text) in
        [(0, "<1 ms"), (12, "12 ms"), (999, "999 ms"), (1_234, "1.23 s"), (12_340, "12.3 s"), (125_000, "2 min 5 s")]
    {
        assert_eq!(span(Duration::from_millis(millis)), text);
    }
    assert_eq!(counted(0, "row"), "0 rows");
    assert_eq!(counted(1, "row"), "1 row");
    assert_eq!(counted(12_345, "row"), "12,345 rows");
}

proptest! {
    #[test]
    fn what_is_fitted_fits_and_begins_as_it_did(text in any::<String>(), columns in 1_usize..30) {
        let text = plain(&text);
        let fitted = fitted(&text, columns);
        prop_assert!(width(&fitted) <= columns);
        match fitted.strip_suffix(CUT) {
            Some(kept) if *fitted != *text => {
                prop_assert!(text.starts_with(kept));
                prop_assert!(width(&text) > columns);
            }
            _ => prop_assert_eq!(&*fitted, &*text),
        }
    }
}
