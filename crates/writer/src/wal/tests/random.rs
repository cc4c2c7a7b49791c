//! Random writes, failures, losses of power and releases of two tables, one of which may stay behind.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Rows of both tables.
    Write(u8),
    /// An interval of the second table is about to be committed.
    Note,
    FailAppend,
    FailSync,
    /// Of both tables, or of the first one alone.
    Release(u8, bool),
    PowerLoss(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u8..5).prop_map(Step::Write),
        2 => Just(Step::Note),
        1 => Just(Step::FailAppend),
        1 => Just(Step::FailSync),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(share, both)| Step::Release(share, both)),
        1 => any::<u64>().prop_map(Step::PowerLoss),
        1 => Just(Step::Restart),
    ]
}

/// Values that may be found again: acknowledged ones must be, refused ones may be if the power went.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<u64, i64>,
    refused: Vec<i64>,
    /// Up to where each table's rows are committed.
    released: [u64; 2],
    /// Intervals of the second table that are durable.
    noted: Vec<Interval>,
    next: i64,
}

/// Of both tables rows are written in turns.
fn place_of(value: i64) -> usize {
    usize::from(value % 3 == 0)
}

fn number_of(place: usize) -> u128 {
    place as u128 + 1
}

impl Ledger {
    fn check(&self, replayed: &BTreeMap<u64, i64>, noted: &[Interval]) {
        for interval in &self.noted {
            // One without rows that are to be flushed again tells nothing.
            let open = |(&sequence, &value): (&u64, &i64)| place_of(value) == 1 && sequence > self.released[1];
            if self.acknowledged.range(interval.lo..=interval.hi).any(open) {
                assert!(noted.contains(interval), "{interval:?} was forgotten");
            }
        }
        for (sequence, value) in &self.acknowledged {
            if *sequence > self.released[place_of(*value)] {
                assert_eq!(replayed.get(sequence), Some(value), "sequence {sequence} was lost or replaced");
            }
        }
        for (sequence, value) in replayed {
            let known = self.acknowledged.get(sequence) == Some(value) || self.refused.contains(value);
            assert!(known, "sequence {sequence} holds {value}, which nobody wrote there");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]
    #[test]
    fn random_failures_lose_and_invent_nothing(steps in prop::collection::vec(step(), 1..40), segment in prop::sample::select(vec![1_u64, 600, 1 << 20]), bytes_max in prop::sample::select(vec![2_000, u64::MAX])) {
        let disk = Arc::new(SimulatedDisk::default());
        let mut ledger = Ledger::default();
        let (mut log, _, _) = start_within(&disk, &Seen::default(), segment, bytes_max);
        for step in steps {
            match step {
                Step::Write(count) => {
                    // Sent together, so that they share syncs and failures.
                    let sent: Vec<_> = (0..count).map(|_| {
                        let value = ledger.next;
                        ledger.next += 1;
                        let (append, told) = append_to(number_of(place_of(value)), value);
                        log.append(append).unwrap();
                        (value, told)
                    }).collect();
                    for (value, told) in sent {
                        match told.blocking_recv().unwrap() {
                            Ok(sequence) => { ledger.acknowledged.insert(sequence, value); }
                            Err(_) => ledger.refused.push(value),
                        }
                    }
                }
                Step::FailAppend => disk.fail_next_append(),
                Step::FailSync => disk.fail_next_sync(),
                Step::Note => {
                    let last = ledger.acknowledged.keys().last().copied().unwrap_or(0);
                    let interval = Interval { table: table_of(2).id, lo: ledger.released[1] + 1, hi: last };
                    if interval.lo <= interval.hi && futures::executor::block_on(log.note(&[interval])).is_ok() {
                        ledger.noted.push(interval);
                    }
                }
                Step::Release(share, both) => {
                    let up_to = ledger.acknowledged.keys().last().copied().unwrap_or(0) * u64::from(share) / 255;
                    let places = if both { 0..2 } else { 0..1 };
                    places.for_each(|place| ledger.released[place] = ledger.released[place].max(up_to));
                    let released = ledger.released;
                    log.release(move |table, last| last <= released[usize::from(table == table_of(2).id)]);
                }
                Step::PowerLoss(_) | Step::Restart => {
                    log.close();
                    disk.forget_failures();
                    if let Step::PowerLoss(seed) = step {
                        disk.lose_power(seed);
                    }
                    let noted = noted(&disk);
                    let (again, found, replayed) = start_within(&disk, &Seen::default(), segment, bytes_max);
                    prop_assert_eq!(&found.damage, &Vec::<String>::new());
                    ledger.check(&replayed, &noted);
                    // What came back is as good as acknowledged from here on.
                    for (sequence, value) in replayed {
                        ledger.refused.retain(|refused| *refused != value);
                        ledger.acknowledged.insert(sequence, value);
                    }
                    log = again;
                }
            }
        }
        log.close();
    }
}
