use proptest::prelude::*;

use super::*;

fn column_strategy(rows: usize) -> impl Strategy<Value = Column> {
    let values = prop_oneof![
        prop::collection::vec(any::<f64>(), rows).prop_map(Values::Float),
        prop::collection::vec(any::<i64>(), rows).prop_map(Values::Integer),
        prop::collection::vec(0_i64..300, rows).prop_map(Values::Integer),
        prop::collection::vec(any::<u64>(), rows).prop_map(Values::Unsigned),
        prop::collection::vec(any::<bool>(), rows).prop_map(Values::Boolean),
        prop::collection::vec("\\PC{0,6}", rows).prop_map(|texts| {
            let mut strings = Strings::default();
            texts.iter().for_each(|text| strings.push(text.as_bytes()));
            Values::String(strings)
        }),
    ];
    let valid = prop::option::of(prop::collection::vec(any::<bool>(), rows));
    (values, valid).prop_map(|(values, valid)| Column::from_parts(values, valid.map(BooleanBuffer::from)))
}

fn part_strategy() -> impl Strategy<Value = Part> {
    (0_usize..40).prop_flat_map(|rows| {
        let hosts = prop::collection::vec("[a-z]{0,5}", 1..5);
        let fields = prop::collection::vec(column_strategy(rows), 0..4);
        let picks = prop::collection::vec(any::<u32>(), rows);
        let times = prop_oneof![prop::collection::vec(any::<i64>(), rows), prop::collection::vec(0_i64..9, rows)];
        (hosts, picks, times, fields).prop_map(|(hosts, picks, time, columns)| {
            let mut series = SeriesSet::default();
            for host in &hosts {
                series.push(&[(2, host.as_bytes())]);
            }
            let series_of_row = picks.iter().map(|pick| pick % u32::try_from(hosts.len()).unwrap()).collect();
            let field = |(column, field_id)| PartField { field_id, column };
            Part::new(series, series_of_row, time, columns.into_iter().zip(3..).map(field).collect())
        })
    })
}

fn encoded(part: &Part) -> Vec<u8> {
    let mut bytes = Vec::new();
    part.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(part in part_strategy()) {
        let bytes = encoded(&part);
        let decoded = Part::decode(&bytes).unwrap();
        prop_assert_eq!(decoded.rows(), part.rows());
        prop_assert_eq!(encoded(&decoded), bytes);
        for (a, b) in decoded.fields().iter().zip(part.fields()) {
            for row in 0..part.rows() {
                prop_assert_eq!(a.column.is_valid(row), b.column.is_valid(row));
            }
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_part_but_never_a_panic(
        part in part_strategy(), at in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<prop::sample::Index>()
    ) {
        let mut bytes = encoded(&part);
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        let _ = Part::decode(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = Part::decode(&bytes);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Part::decode(&bytes);
    }
}

#[test]
fn small_integers_take_one_byte_each() {
    let rows = 1000;
    let column = Column::from_parts(Values::Integer((0..rows).map(|value| value % 100).collect()), None);
    let mut series = SeriesSet::default();
    series.push(&[]);
    let time = (0..rows).map(|row| 1_700_000_000_000_000_000 + row).collect();
    let part = Part::new(series, vec![0; 1000], time, vec![PartField { field_id: 2, column }]);
    assert!(encoded(&part).len() < 3_100, "{}", encoded(&part).len());
}
