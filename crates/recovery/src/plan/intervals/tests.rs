use gigapi_model::WriterId;
use uuid::Uuid;

use super::*;

fn candidate(lo: u64, hi: u64, proven: bool) -> Candidate {
    let writer = WriterId::from_uuid(Uuid::from_u128(1));
    Candidate { attempt: Attempt { writer, lo, hi, parts: 1 }, proven }
}

fn ends(candidates: &[Candidate], watermark: Option<u64>) -> (Vec<u64>, Option<u64>) {
    let walk = walk(candidates, watermark).unwrap();
    (walk.chosen.iter().map(|attempt| attempt.hi).collect(), walk.end)
}

#[test]
fn intervals_are_chained_from_the_watermark() {
    let found = [candidate(1, 4, false), candidate(5, 9, false), candidate(10, 12, false)];
    assert_eq!(ends(&found, Some(4)), (vec![9, 12], Some(12)));
    assert_eq!(ends(&found, None), (vec![4, 9, 12], Some(12)));
    assert_eq!(ends(&found, Some(12)), (vec![], Some(12)));
    assert_eq!(ends(&[], None), (vec![], None));
}

#[test]
fn a_gap_ends_the_walk() {
    let found = [candidate(1, 4, false), candidate(6, 9, false)];
    assert_eq!(ends(&found, Some(0)), (vec![4], Some(4)));
    assert_eq!(
        ends(&found, Some(3)),
        (vec![], Some(3)),
        "an interval that begins below the watermark was never committed"
    );
}

#[test]
fn of_two_cuts_the_one_that_reaches_farther_is_taken() {
    let found = [candidate(1, 6, false), candidate(1, 3, false), candidate(4, 8, false)];
    assert_eq!(ends(&found, Some(0)), (vec![3, 8], Some(8)));
}

#[test]
fn a_proven_flush_outweighs_a_longer_reach() {
    let found = [candidate(1, 6, false), candidate(7, 99, false), candidate(1, 3, true), candidate(4, 8, false)];
    assert_eq!(ends(&found, Some(0)), (vec![3, 8], Some(8)));
    assert_eq!(ends(&found, None), (vec![3, 8], Some(8)));
}

#[test]
fn a_proven_flush_that_cannot_be_reached_is_an_error() {
    let found = [candidate(1, 3, false), candidate(5, 8, true)];
    assert_eq!(walk(&found, Some(0)).unwrap_err().lo, 5);
    let contradiction = [candidate(1, 3, true), candidate(2, 8, true)];
    assert!(walk(&contradiction, Some(0)).is_err());
}

#[test]
fn without_a_watermark_the_walk_starts_where_the_proof_is() {
    let found = [candidate(3, 7, false), candidate(5, 9, true), candidate(10, 20, false)];
    assert_eq!(ends(&found, None), (vec![9, 20], Some(20)));
    // A later cut that was never committed does not hide what lies before it.
    let found = [candidate(1, 2, false), candidate(3, 4, false), candidate(3, 100, false)];
    assert_eq!(ends(&found, None), (vec![2, 100], Some(100)));
}

#[test]
fn impossible_intervals_are_ignored() {
    let found = [candidate(5, 4, false), candidate(1, u64::MAX, false), candidate(1, 2, false)];
    assert_eq!(ends(&found, Some(0)), (vec![2], Some(2)));
}
