//! Any body: no panic, every line accounted for, and pieces that are cut at line ends hold the same lines.
#![no_main]

use gigapi_model::Timestamp;
use gigapi_writer::line_protocol::{ParseOptions, Precision, cut_lines, line_at, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let mut options = ParseOptions::new(Precision::Auto, Timestamp::from_nanos(0));
    options.described_max = usize::MAX;
    let parsed = parse(body, &options);
    let rows: usize = parsed.tables.iter().map(|table| table.draft.rows()).sum();
    assert_eq!(rows + parsed.refused_count, parsed.lines);
    assert_eq!(parsed.refused.len(), parsed.refused_count);
    for line in &parsed.refused {
        assert!(line.len > 0 && line.origin + line.len <= body.len());
    }
    for table in &parsed.tables {
        let draft = &table.draft;
        assert!(draft.rows() > 0 && draft.series_of_row.len() == draft.rows());
        assert!(draft.series_of_row.iter().all(|&series| (series as usize) < draft.series_count()));
        assert!(draft.fields.iter().all(|field| !field.column.is_empty() && field.column.len() <= draft.rows()));
        assert!(draft.origin.iter().all(|&origin| !line_at(body, origin as usize).is_empty()));
        for series in 0..draft.series_count() {
            for pair in draft.series(series) {
                assert!(std::str::from_utf8(draft.tag_value(*pair)).is_ok_and(|value| !value.is_empty()));
            }
        }
    }
    let mut rest = body;
    while let Some(cut) = cut_lines(rest, 3, 100, true) {
        rest = &rest[cut.bytes..];
    }
    assert!(rest.is_empty());
});
