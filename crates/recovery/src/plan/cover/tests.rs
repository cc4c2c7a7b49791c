use proptest::prelude::*;

use super::*;

fn holds_each_once(leaves: usize, sets: &[Vec<usize>], chosen: &[usize]) -> bool {
    let mut counts = vec![0; leaves];
    chosen.iter().flat_map(|index| &sets[*index]).for_each(|leaf| counts[*leaf] += 1);
    counts.iter().all(|count| *count == 1)
}

/// Whether any choice of sets is exact, by trying them all.
fn has_cover(leaves: usize, sets: &[Vec<usize>]) -> bool {
    (0_u32..1 << sets.len()).any(|bits| {
        let chosen: Vec<usize> = (0..sets.len()).filter(|index| bits >> index & 1 == 1).collect();
        holds_each_once(leaves, sets, &chosen)
    })
}

#[test]
fn the_largest_set_is_not_always_right() {
    let sets = vec![vec![0, 1, 2], vec![0, 1], vec![2, 3]];
    assert_eq!(exact(4, &sets), Ok(vec![1, 2]));
}

#[test]
fn the_smallest_sets_are_taken_where_they_fit() {
    assert_eq!(exact(3, &[vec![0, 1, 2], vec![1], vec![0], vec![2]]), Ok(vec![1, 2, 3]));
    assert_eq!(exact(3, &[vec![0, 1, 2], vec![1], vec![0]]), Ok(vec![0]));
}

#[test]
fn a_leaf_that_nothing_holds_is_named() {
    assert_eq!(exact(2, &[vec![0]]), Err(NoCover::Leaf(1)));
    assert_eq!(exact(0, &[]), Ok(vec![]));
}

#[test]
fn a_long_row_of_single_files_is_covered_at_once() {
    let sets: Vec<Vec<usize>> = (0..100_000).map(|leaf| vec![leaf]).collect();
    assert_eq!(exact(100_000, &sets).unwrap().len(), 100_000);
}

#[test]
fn one_component_of_many_leaves_needs_no_deep_stack() {
    let mut sets: Vec<Vec<usize>> = (0..50_000).map(|leaf| vec![leaf]).collect();
    sets.push((0..50_000).collect());
    assert_eq!(exact(50_000, &sets).unwrap().len(), 50_000);
    assert_eq!(exact(50_000, &sets[1..]), Ok(vec![49_999]));
}

proptest! {
    #[test]
    fn a_cover_is_found_exactly_where_one_exists(
        leaves in 1_usize..7,
        bits in proptest::collection::vec(1_u8..128, 0..9),
    ) {
        let sets: Vec<Vec<usize>> = bits
            .iter()
            .map(|bits| (0..leaves).filter(|leaf| bits >> leaf & 1 == 1).collect::<Vec<_>>())
            .filter(|set| !set.is_empty())
            .collect();
        match exact(leaves, &sets) {
            Ok(chosen) => prop_assert!(holds_each_once(leaves, &sets, &chosen)),
            Err(NoCover::Leaf(leaf)) => {
                prop_assert!(leaf < leaves);
                prop_assert!(!has_cover(leaves, &sets));
            }
            Err(NoCover::Tangled) => prop_assert!(false, "a small search was given up"),
        }
    }
}
