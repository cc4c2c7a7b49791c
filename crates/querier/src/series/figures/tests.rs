use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use proptest::prelude::*;

use super::*;

const ALL: [Statistic; 5] = [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max, Statistic::Mean];

fn folded(kind: NumberKind, pieces: &[Numbers<'_>]) -> Figures {
    let mut kept = Kept::default();
    ALL.into_iter().for_each(|statistic| kept.add(statistic));
    let mut figures = Figures::new(kind, kept);
    figures.grow(2);
    pieces.iter().for_each(|piece| figures.fold(1, *piece));
    figures
}

fn state(figures: &Figures, kind: NumberKind, statistic: Statistic) -> Vec<ArrayRef> {
    figures.states(statistic, &state_types(kind, statistic)).unwrap()
}

proptest! {
    #[test]
    fn integers_fold_to_what_they_are(values in proptest::collection::vec(any::<i64>(), 1..200), cut in 0..200_usize) {
        let cut = cut.min(values.len());
        let pieces = [Numbers::Integers(&values[..cut]), Numbers::Integers(&values[cut..])];
        let kind = NumberKind::Integer;
        let figures = folded(kind, &pieces);
        let value = |statistic| state(&figures, kind, statistic)[0].as_primitive::<Int64Type>().value(1);
        prop_assert_eq!(value(Statistic::Count), values.len() as i64);
        prop_assert_eq!(value(Statistic::Sum), values.iter().fold(0, |sum: i64, value| sum.wrapping_add(*value)));
        prop_assert_eq!(value(Statistic::Min), *values.iter().min().unwrap());
        prop_assert_eq!(value(Statistic::Max), *values.iter().max().unwrap());
        let exact: i128 = values.iter().map(|&value| i128::from(value)).sum();
        prop_assert_eq!(state(&figures, kind, Statistic::Mean)[1].as_primitive::<Float64Type>().value(1), exact as f64);
    }

    #[test]
    fn unsigned_integers_fold_to_what_they_are(values in proptest::collection::vec(any::<u64>(), 1..200)) {
        let words: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        let kind = NumberKind::Unsigned;
        let figures = folded(kind, &[Numbers::Integers(&words)]);
        let value = |statistic| state(&figures, kind, statistic)[0].as_primitive::<UInt64Type>().value(1);
        prop_assert_eq!(value(Statistic::Sum), values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value)));
        prop_assert_eq!(value(Statistic::Min), *values.iter().min().unwrap());
        prop_assert_eq!(value(Statistic::Max), *values.iter().max().unwrap());
    }

    #[test]
    fn floats_fold_in_their_total_order(values in proptest::collection::vec(any::<f64>(), 1..200)) {
        let kind = NumberKind::Float;
        let figures = folded(kind, &[Numbers::Floats(&values)]);
        let value = |statistic| state(&figures, kind, statistic)[0].as_primitive::<Float64Type>().value(1).to_bits();
        let end = |pick: fn(f64, f64) -> bool| {
            let better = |best: f64, value: &f64| if pick(*value, best) { *value } else { best };
            values.iter().skip(1).fold(values[0], better).to_bits()
        };
        prop_assert_eq!(value(Statistic::Min), end(|a, b| a.total_cmp(&b).is_lt()));
        prop_assert_eq!(value(Statistic::Max), end(|a, b| a.total_cmp(&b).is_gt()));
    }
}

#[test]
fn sums_of_floats_are_as_exact_as_one_after_the_other() {
    let values: Vec<f64> = (0..1_000).map(|index| f64::from(index) * 0.1).collect();
    let kind = NumberKind::Float;
    let sum = state(&folded(kind, &[Numbers::Floats(&values)]), kind, Statistic::Sum)[0]
        .as_primitive::<Float64Type>()
        .value(1);
    assert!((sum - 49_950.0).abs() < 1e-9, "{sum}");
}

#[test]
fn a_group_without_values_has_no_figure_but_its_count() {
    let kind = NumberKind::Integer;
    let figures = folded(kind, &[]);
    for statistic in ALL {
        let last = state(&figures, kind, statistic).pop().unwrap();
        assert_eq!(last.is_null(1), statistic != Statistic::Count, "{statistic:?}");
    }
}

#[test]
fn rows_without_values_are_passed_over() {
    let mut kept = Kept::default();
    kept.add(Statistic::Sum);
    let mut figures = Figures::new(NumberKind::Integer, kept);
    figures.grow(1);
    let present = BooleanBuffer::from(vec![true, false, false, true]);
    figures.fold_present(0, Numbers::Integers(&[1, 20, 300, 4_000]), &present);
    let sum = state(&figures, NumberKind::Integer, Statistic::Sum)[0].as_primitive::<Int64Type>().value(0);
    assert_eq!((sum, figures.counts[0]), (4_001, 2));
}
