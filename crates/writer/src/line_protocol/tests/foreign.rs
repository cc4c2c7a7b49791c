//! Bytes of any kind: nothing panics, every line is accounted for, and what was taken is sound.

use proptest::prelude::*;

use super::super::{ParseOptions, line_at, parse};
use super::{options, rows};

/// Checks that must hold for every body.
fn check(body: &[u8], options: &ParseOptions) {
    let parsed = parse(body, options);
    let mut origins: Vec<usize> = parsed.refused.iter().map(|line| line.origin).collect();
    for table in &parsed.tables {
        let draft = &table.draft;
        assert!(draft.rows() > 0 && draft.series_of_row.len() == draft.rows() && draft.origin.len() == draft.rows());
        assert!(draft.series_of_row.iter().all(|&series| (series as usize) < draft.series_count()));
        for (index, field) in draft.fields.iter().enumerate() {
            assert!(!field.column.is_empty() && field.column.len() <= draft.rows(), "a field without a value");
            let name_and_type = |index: usize| (&draft.fields[index].name, draft.fields[index].column.column_type());
            assert!((0..index).all(|other| name_and_type(other) != name_and_type(index)), "a field is there twice");
        }
        let used = draft.series_pairs.iter().map(|pair| pair.name).max().map_or(0, |name| usize::from(name) + 1);
        assert_eq!(used, draft.tag_names.len(), "a tag name without a series");
        origins.extend(draft.origin.iter().map(|&origin| origin as usize));
    }
    // Reading as text proves that all of it is UTF-8.
    assert_eq!(rows(&parsed).len() + parsed.refused_count, parsed.lines);
    origins.sort_unstable();
    let found = origins.len();
    origins.dedup();
    assert_eq!(origins.len(), found, "two rows began at one byte");
    for line in &parsed.refused {
        assert!(line.origin + line.len <= body.len());
        assert!(line.line_number >= 1 && line.reason.len() < 1_000);
    }
    for &origin in &origins {
        assert!(!line_at(body, origin).is_empty());
    }
}

/// The corpus of the fuzz target, from which [`broken_bodies_are_read_without_harm`] starts too.
const SEEDS: [&str; 6] = [
    include_str!("../../../fuzz/corpus/line_protocol/points"),
    include_str!("../../../fuzz/corpus/line_protocol/escapes"),
    include_str!("../../../fuzz/corpus/line_protocol/blanks"),
    include_str!("../../../fuzz/corpus/line_protocol/types"),
    include_str!("../../../fuzz/corpus/line_protocol/unicode"),
    include_str!("../../../fuzz/corpus/line_protocol/broken"),
];

const GRAMMAR: &[u8] = b",= \n\\\"#\r\t-+.eE0179iutfaTN\0";

fn mutations() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![5 => prop::sample::select(GRAMMAR), 1 => any::<u8>()];
    let edit = (any::<prop::sample::Index>(), 0..4_usize, prop::collection::vec(bytes, 0..4));
    let seeds = prop::collection::vec(prop::sample::select(&SEEDS[..]), 1..6);
    (seeds, prop::collection::vec(edit, 0..8)).prop_map(|(seeds, edits)| {
        let mut body = seeds.concat().into_bytes();
        for (place, removed, added) in edits {
            let at = place.index(body.len() + 1);
            let end = (at + removed).min(body.len());
            body.splice(at..end, added);
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(4_000)))]

    #[test]
    fn any_bytes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&body, &options());
    }

    #[test]
    fn bytes_of_the_grammar_are_read_without_harm(body in prop::collection::vec(prop::sample::select(GRAMMAR), 0..200)) {
        check(&body, &options());
    }

    #[test]
    fn broken_bodies_are_read_without_harm(body in mutations(), small in any::<bool>()) {
        let limits = ParseOptions {
            line_bytes_max: 60, tag_value_bytes_max: 3, columns_max: 4, tables_max: 2, cells_max: 9, described_max: 3, ..options()
        };
        if small {
            // Only the first refused lines are described, so only these can be matched by their origins.
            check(&body, &limits);
        } else {
            check(&body, &options());
        }
    }
}

#[test]
fn the_fuzzing_seeds_are_read_without_harm_at_every_cut() {
    for seed in SEEDS {
        for end in 0..=seed.len() {
            check(&seed.as_bytes()[..end], &options());
            check(&seed.as_bytes()[end..], &options());
        }
    }
}

#[test]
fn bodies_that_invite_quadratic_work_are_read_in_passing() {
    // Each would take minutes if a line's search ran to the body's end for every line.
    let lines = 200_000;
    for line in [
        "a\n",
        "a,b\n",
        "a b\n",
        "a b=\"\n",
        "a b=\"\\\"\n",
        "a b=x,c=\"\n",
        "a b=1\\\n",
        "a,b=\" c\n",
        "\\\n",
        "a,b=c\\ \n",
    ] {
        let parsed = parse(line.repeat(lines).as_bytes(), &options());
        assert!(parsed.lines >= lines / 2, "{line:?}");
    }
    let parsed = parse(format!("{}a f=\"x", "a b=\\\"\n".repeat(lines)).as_bytes(), &options());
    assert_eq!(parsed.refused_count, lines + 1);
}
