use std::collections::BTreeMap;

use gigapi_model::TimeRange;
use proptest::prelude::*;

use super::*;
use crate::record::tests::file;

fn at(number: u16, start: i64) -> Arc<DataFile> {
    let mut file = file(u128::from(number) + 1);
    file.time = TimeRange::new(Timestamp::from_nanos(start), Timestamp::from_nanos(start + 5));
    Arc::new(file)
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u16, i64),
    /// So many in order.
    Fill(u16),
    Remove(u16),
    /// All but every so manieth.
    Thin(u16),
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u16>(), -9_i64..9).prop_map(|(number, start)| Step::Insert(number % 2000, start)),
        2 => (0_u16..1200).prop_map(Step::Fill),
        8 => any::<u16>().prop_map(Step::Remove),
        1 => (2_u16..300).prop_map(Step::Thin),
        2 => Just(Step::Copy),
    ]
}

fn same(files: &Files, expected: &BTreeMap<Key, Arc<DataFile>>) {
    assert!(files.iter().eq(expected.values()));
    assert_eq!((files.len(), files.is_empty()), (expected.len(), expected.is_empty()));
    assert!(files.blocks.iter().all(|block| (1..=BLOCK_MAX).contains(&block.len())));
}

proptest! {
    #[test]
    fn it_is_a_sorted_map_whose_copies_stay_as_they_are(steps in proptest::collection::vec(step(), 0..40)) {
        let (mut files, mut expected) = (Files::default(), BTreeMap::new());
        let mut copies = Vec::new();
        let mut next = 2000;
        for step in steps {
            match step {
                Step::Insert(number, start) => {
                    let file = at(number, start);
                    files.insert(file.clone());
                    expected.insert(key(&file), file);
                }
                Step::Fill(count) => {
                    for _ in 0..count {
                        let file = at(next, i64::from(next));
                        next += 1;
                        files.insert(file.clone());
                        expected.insert(key(&file), file);
                    }
                }
                Step::Remove(index) => {
                    let wanted = expected.keys().nth(usize::from(index) % expected.len().max(1)).copied();
                    let wanted = wanted.unwrap_or((Timestamp::MIN, at(1, 1).id));
                    prop_assert_eq!(files.get(wanted), expected.get(&wanted));
                    prop_assert_eq!(files.remove(wanted), expected.remove(&wanted));
                    prop_assert_eq!(files.get(wanted), None);
                }
                Step::Thin(every) => {
                    let gone: Vec<Key> = expected.keys().copied().enumerate().filter(|(index, _)| index % usize::from(every) != 0).map(|(_, key)| key).collect();
                    for wanted in gone {
                        prop_assert_eq!(files.remove(wanted), expected.remove(&wanted));
                    }
                }
                Step::Copy => copies.push((files.clone(), expected.clone())),
            }
            same(&files, &expected);
            let start = (Timestamp::from_nanos(3), at(700, 0).id);
            prop_assert!(files.iter_from(start).eq(expected.range(start..).map(|(_, file)| file)));
        }
        for (files, expected) in &copies {
            same(files, expected);
        }
        let anew: Files = expected.values().rev().cloned().collect();
        prop_assert!(anew == files);
    }
}

#[test]
fn a_change_leaves_nearly_all_of_a_copy_shared() {
    let mut files: Files = (0..10_000).map(|number| at(number, i64::from(number))).collect();
    assert_eq!(files.blocks.len(), 10_000_usize.div_ceil(BLOCK_MAX), "what comes in order fills its blocks");
    let copy = files.clone();
    files.insert(at(20_000, 5));
    let shared = files.blocks.iter().filter(|block| copy.blocks.iter().any(|other| Arc::ptr_eq(block, other))).count();
    assert_eq!((files.len(), copy.len(), shared), (10_001, 10_000, copy.blocks.len() - 1));
}

#[test]
fn blocks_do_not_outlive_their_files() {
    let mut files: Files = (0..10_000).map(|number| at(number, i64::from(number))).collect();
    for number in (0..10_000).filter(|number| number % 100 != 0) {
        assert!(files.remove(key(&at(number, i64::from(number)))).is_some());
    }
    assert_eq!(files.len(), 100);
    assert!(files.blocks.len() <= 3, "{} blocks for 100 files", files.blocks.len());
}
