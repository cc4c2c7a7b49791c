use proptest::prelude::*;

use super::*;
use crate::record::tests::file;

fn set(spans: &[(i64, i64)]) -> FileSet {
    let mut set = FileSet::default();
    for (index, (min, length)) in spans.iter().enumerate() {
        let mut file = file(index as u128 + 1);
        file.time = TimeRange::new(Timestamp::from_nanos(*min), Timestamp::from_nanos(min + length));
        set.insert(Arc::new(file));
    }
    set
}

proptest! {
    #[test]
    fn a_range_lookup_finds_what_a_full_scan_finds(
        spans in proptest::collection::vec((-1000_i64..1000, 0_i64..200), 0..60),
        min in -1200_i64..1200,
        length in -5_i64..500,
    ) {
        let set = set(&spans);
        let range = TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(min + length));
        let found: Vec<_> = set.overlapping(range).map(|file| file.id).collect();
        let expected: Vec<_> = set.iter().filter(|file| file.time.overlaps(range)).map(|file| file.id).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_removed_file_is_found_no_more() {
    let mut set = set(&[(0, 10), (5, 10)]);
    let first = set.iter().next().map(|file| file.id).unwrap();
    assert!(set.remove(first).is_some());
    assert!(set.get(first).is_none());
    assert_eq!(set.overlapping(TimeRange::ALL).count(), 1);
    assert!(set.remove(first).is_none());
}

#[test]
fn the_ends_of_time_are_part_of_it() {
    let mut set = FileSet::default();
    let mut whole = file(1);
    whole.time = TimeRange::ALL;
    set.insert(Arc::new(whole));
    let early = TimeRange::new(Timestamp::MIN, Timestamp::MIN);
    let late = TimeRange::new(Timestamp::MAX, Timestamp::MAX);
    assert_eq!(set.overlapping(early).count(), 1);
    assert_eq!(set.overlapping(late).count(), 1);
}
