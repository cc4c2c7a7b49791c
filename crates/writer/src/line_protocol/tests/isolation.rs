//! A refused line leaves no trace, and limits hold.

use super::super::{ParseOptions, parse};
use super::{Row, Value, options, read, rows};

fn good() -> [&'static str; 4] {
    ["m,t=a f=1,g=2i 1", "n,t=a,u=b s=\"x\" 2", "m,t=b f=2 3", "m f=3,g=4i 4"]
}

#[test]
fn a_bad_line_changes_nothing_for_the_others() {
    let alone = rows(&read(&good().join("\n")));
    for bad in [
        "m,t=a f=1,g=2i,h=",
        "m,t=a f=\"text\",g=x",
        "m,new=tag f=1,new=2 x",
        "m,t=a,new=tag f=",
        "new,t=a f=1 1 1",
        "m,t=b,t=b f=1",
        "m,t=a g=2i,f=1,f=true",
        "m,t=a f=1,g=2i 99999999999999999999",
        "m",
        ",",
        "=",
        "\\",
        "m,t=a f=\"never closed",
    ] {
        for place in 0..=good().len() {
            let mut lines = good().to_vec();
            lines.insert(place, bad);
            let parsed = read(&lines.join("\n"));
            assert_eq!(parsed.refused.len(), 1, "{lines:?}");
            assert_eq!(parsed.refused[0].line_number, place + 1, "{lines:?}");
            assert_eq!(parsed.refused[0].len, bad.len(), "{lines:?}");
            assert_eq!(rows(&parsed), alone, "{lines:?}");
        }
    }
}

#[test]
fn a_bad_line_defines_no_table_tag_or_field() {
    let parsed = read("m,t=a f=1 1\nm,t=a,new=b f=1,also=2 x\nother,t=a f=1 x\nm,t=a f=\"x\" x\nm,t=c f=1 2");
    assert_eq!(parsed.refused_count, 3);
    assert_eq!(parsed.tables.len(), 1);
    let draft = &parsed.tables[0].draft;
    assert_eq!(draft.tag_names, ["t"]);
    assert_eq!(draft.fields.len(), 1);
    assert_eq!(draft.series_count(), 2);
    assert_eq!(draft.tag_bytes, b"ac");
}

#[test]
fn what_a_bad_line_would_have_defined_can_be_defined_by_the_next() {
    let parsed = read("m,new=b f=1,also=2 x\nm,new=b f=1i,also=\"s\" 1\nm,new=b f=2i,also=\"t\" 2");
    assert_eq!((parsed.refused_count, rows(&parsed).len()), (1, 2));
    assert_eq!(rows(&parsed)[1].fields, [("also".into(), Value::String("t".into())), ("f".into(), Value::Integer(2))]);
}

#[test]
fn a_field_may_change_its_type_from_line_to_line() {
    let parsed = read("m f=1 1\nm f=2i 2\nm f=\"3\" 3\nm f=4 4\nm f=true 5");
    let values: Vec<Value> = rows(&parsed).into_iter().map(|row| row.fields[0].1.clone()).collect();
    let expected =
        [Value::float(1.0), Value::Integer(2), Value::String("3".into()), Value::float(4.0), Value::Boolean(true)];
    assert_eq!(values, expected);
    assert_eq!(parsed.tables[0].draft.fields.len(), 4);
}

#[test]
fn sparse_and_reordered_fields_find_their_columns() {
    let parsed = read("m a=1,b=2,c=3 1\nm c=4,a=5 2\nm b=6 3\nm a=7,c=8 4\nm a=9,b=10,c=11 5");
    let rows: Vec<Row> = rows(&parsed);
    let of = |row: usize| rows[row].fields.iter().map(|(name, _)| name.as_str()).collect::<String>();
    assert_eq!([of(0), of(1), of(2), of(3), of(4)], ["abc", "ac", "b", "ac", "abc"]);
    assert_eq!(rows[3].fields[1].1, Value::float(8.0));
}

#[test]
fn series_repeat_in_any_order_without_being_stored_again() {
    let parsed = read(
        "m,t=a f=1 1\nm,t=b f=1 1\nm,t=a f=1 2\nm,t=a f=1 3\nm,t=b f=1 2\nn,t=a f=1 1\nm,t=a f=1 4\nm f=1 5\nm f=1 6",
    );
    assert_eq!(parsed.tables[0].draft.series_of_row, [0, 1, 0, 0, 1, 0, 2, 2]);
    assert_eq!(parsed.tables[0].draft.series_count(), 3);
    assert_eq!(parsed.tables[1].draft.series_count(), 1);
}

#[test]
fn a_longer_measurement_or_tag_is_not_taken_for_its_beginning() {
    let parsed = read("cpu,t=a f=1 1\ncpu,t=a f=1 2\ncpu2,t=a f=1 3\ncpu,t=ab f=1 4\ncpu,t=a\\ b f=1 5");
    let rows = rows(&parsed);
    assert_eq!(rows.iter().map(|row| row.table.as_str()).collect::<Vec<_>>(), ["cpu", "cpu", "cpu2", "cpu", "cpu"]);
    assert_eq!(rows[3].tags[0].1, "ab");
    assert_eq!(rows[4].tags[0].1, "a b");
}

#[test]
fn a_quote_that_is_never_closed_does_not_take_the_following_lines() {
    for last in ["m f=4 4", "m f=\"4\" 4", "m f=\"4\n5\" 4"] {
        let parsed = read(&format!("m f=1 1\nm f=\"open,g=2 2\nm f=3 3\n\n{last}"));
        assert_eq!(rows(&parsed).len(), 3, "{last}");
        assert_eq!((parsed.refused[0].line_number, parsed.refused[0].len), (2, 15), "{last}");
        assert!(parsed.refused[0].reason.contains("opens a quote at column 5"), "{:?}", parsed.refused);
    }
}

#[test]
fn a_line_refused_behind_a_quoted_newline_ends_where_it_ends() {
    let parsed = read("m f=\"a\nevil f=1\nb\",g=x 1\nm f=2 2");
    assert_eq!(rows(&parsed).len(), 1);
    assert_eq!((parsed.refused[0].line_number, parsed.refused[0].len), (1, 24));
}

#[test]
fn refused_lines_name_their_physical_line_and_offset() {
    let parsed = read("\n# c\nm f=\"1\n2\" 1\r\n  m f= \r\nm f=1\nbad");
    let found: Vec<_> = parsed.refused.iter().map(|line| (line.line_number, line.origin, line.len)).collect();
    assert_eq!(found, [(5, 20, 5), (7, 33, 3)]);
}

#[test]
fn only_lines_that_are_not_utf8_are_refused_for_it() {
    let mut body =
        b"m,t=\xC3\xA4 f=1 1\n# \xFF\nm,t=a\xFF f=1 2\nm f=\"\xC3\" 3\n\xFE f=1 4\nm f\xFE=1 5\nm,t\xFE=a f=1 6\n"
            .to_vec();
    body.extend_from_slice("m,t=ä f=2 7".as_bytes());
    let parsed = parse(&body, &options());
    assert_eq!(rows(&parsed).iter().map(|row| row.time).collect::<Vec<_>>(), [1, 7]);
    assert_eq!(parsed.refused.iter().map(|line| line.line_number).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    assert!(parsed.refused.iter().all(|line| line.reason.contains("is not UTF-8")), "{:?}", parsed.refused);
    assert_eq!(parsed.refused[0].reason, "byte at column 6 is not UTF-8; encode the line as UTF-8");
}

#[test]
fn limits_refuse_the_line_that_breaks_them_and_no_other() {
    let limits = ParseOptions {
        line_bytes_max: 30,
        tag_value_bytes_max: 4,
        columns_max: 3,
        tables_max: 2,
        cells_max: 8,
        ..options()
    };
    for (body, part, lines) in [
        ("m f=\"1234567890123456789012345\"\nm f=1", "the line has 31 bytes, 30 is the limit", [2].as_slice()),
        ("m,t=12345 f=1\nm,t=1234 f=1", "has 5 bytes, 4 is the limit", &[2]),
        ("m,a=1 b=1,c=1\nm,a=1 b=1,d=1\nm,d=1 b=1\nm,a=1 c=1", "more than 3 columns", &[1, 4]),
        ("a f=1\nb f=1\nc f=1\na f=1", "more than 2 tables", &[1, 2, 4]),
        ("m a=1,b=1\nm a=1\nm a=1\nm a=1\nm a=1\nn f=1", "more than 8 cells", &[1, 2, 3, 4, 6]),
    ] {
        let parsed = parse(body.as_bytes(), &limits);
        let mut kept: Vec<u32> = parsed.tables.iter().flat_map(|table| table.draft.origin.clone()).collect();
        kept.sort_unstable();
        let mut counter = super::super::LineCounter::new(body.as_bytes());
        let kept: Vec<usize> = kept.iter().map(|&origin| counter.number(origin as usize)).collect();
        assert_eq!(kept, lines, "{body:?}: {:?}", parsed.refused);
        assert!(parsed.refused.iter().all(|line| line.reason.contains(part)), "{:?}", parsed.refused);
    }
}

#[test]
fn refused_lines_beyond_the_described_ones_are_counted() {
    let parsed = parse("bad\n".repeat(1_000).as_bytes(), &ParseOptions { described_max: 7, ..options() });
    assert_eq!((parsed.refused.len(), parsed.refused_count, parsed.lines), (7, 1_000, 1_000));
}
