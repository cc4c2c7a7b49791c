//! Days and years of files in a moment.

use super::*;

#[test]
fn a_day_of_steady_ingest_is_rewritten_four_times_at_most() {
    for (writers, bytes) in [(1_u64, 300_000), (1, 3_000), (3, 50_000)] {
        let mut world = World::new();
        let mut most = 0;
        for second in 0..86_400 {
            world.now = START + second * SECOND;
            for _ in 0..writers {
                world.flush(world.now - SECOND, world.now - 1, BucketSpan::Hour, bytes);
            }
            if second % 2 == 0 {
                world.pass();
            }
            most = most.max(world.files.len());
        }
        world.sleep(2 * HOUR);
        let joined = world.merged_bytes.get(&Reason::Join).copied().unwrap_or(0);
        let merged: u64 = world.merged_bytes.values().sum::<u64>() - joined;
        // Hundredths, so that the figure is exact.
        let amplification = merged * 100 / world.flushed_bytes;
        println!(
            "{writers} writers of {bytes} bytes a second: {amplification} hundredths, joins {joined}, at most {most} files"
        );
        assert!(amplification <= 400, "{amplification} hundredths: {:?}", world.merged_bytes);
        assert!(most < 24 * 12, "{most} files at once");
        assert!(world.files.len() <= 25, "{} files after the day", world.files.len());
    }
}

#[test]
fn sixty_thousand_small_files_converge_in_a_few_passes() {
    let mut world = World::new();
    for second in 0..60_000 {
        world.now = START + 30 * DAY + second / 100 * SECOND;
        world.flush(START + second * SECOND, START + (second + 1) * SECOND - 1, BucketSpan::Hour, 10_000);
    }
    // A backfill of old hours, all of it written within minutes: nothing is quiet yet.
    world.settle();
    println!("{} files after {} passes", world.files.len(), world.passes);
    assert!(world.passes <= 5, "{} passes", world.passes);
    assert!(world.files.len() < 100, "{} files", world.files.len());
    world.sleep(3 * HOUR);
    assert!(world.files.len() <= 17, "{} files once all is quiet", world.files.len());
    let rewritten = world.merged_bytes.values().sum::<u64>() / world.flushed_bytes;
    assert!(rewritten <= 5, "rewritten {rewritten} times");
}

#[test]
fn a_sparse_table_of_ten_years_ends_in_about_ten_files() {
    let mut world = World::new();
    for day in 0..3650 {
        world.now = START + day * DAY;
        for reading in 0..4 {
            world.flush(world.now + reading * HOUR, world.now + reading * HOUR, BucketSpan::Hour, 5_000);
            world.now += HOUR;
        }
        world.sleep(1);
    }
    world.sleep(400 * DAY);
    println!("{} files, {:?} of {}", world.files.len(), world.merged_bytes, world.flushed_bytes);
    assert!(world.files.len() <= 11, "{} files", world.files.len());
}

/// Live rows of hours and a backfill of the month at once: no two files of one bucket follow each other.
#[test]
fn a_backfill_beside_live_rows_does_not_pile_up() {
    let mut world = World::new();
    let mut most = 0;
    for second in 0..40_000 {
        world.now = START + second * SECOND;
        world.flush(world.now - SECOND, world.now - 1, BucketSpan::Hour, 100_000);
        world.flush(START - 5 * DAY, world.now - 1, BucketSpan::Month, 100_000);
        if second % 5 == 0 {
            world.pass();
            most = most.max(world.files.len());
        }
    }
    println!(
        "at most {most} files, {} bytes written of {}",
        world.merged_bytes.values().sum::<u64>(),
        world.flushed_bytes
    );
    assert!(most < 300, "{most} files at once");
    let rewritten = world.merged_bytes.values().sum::<u64>() / world.flushed_bytes;
    assert!(rewritten <= 5, "rewritten {rewritten} times");
}

/// What happens to a world, step by step.
#[derive(Debug, Clone)]
enum Step {
    Flush { back: i64, length: i64, span: BucketSpan, bytes: u64 },
    Pass,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let span = prop_oneof![5 => Just(BucketSpan::Hour), 1 => Just(BucketSpan::Day), 1 => Just(BucketSpan::Month)];
    let flush = (0..40 * DAY, 0..DAY, span, prop_oneof![10 => 1_u64..100_000, 1 => 50_u64 << 20..5000 << 20]);
    prop_oneof![
        6 => flush.prop_map(|(back, length, span, bytes)| Step::Flush { back, length, span, bytes }),
        2 => Just(Step::Pass),
        1 => (1..DAY).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn any_history_has_lawful_plans_and_comes_to_rest(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        world.now = START + 400 * DAY;
        for step in steps {
            match step {
                Step::Flush { back, length, span, bytes } => {
                    let min = world.now - back;
                    let end = Bucket::containing(at(min), span).range().max.nanos();
                    world.flush(min, end.min(min + length), span, bytes);
                }
                Step::Pass => drop(world.pass()),
                Step::Wait(span) => world.now += span,
            }
        }
        world.sleep(800 * DAY);
        let rest = world.plan(&HashSet::new());
        prop_assert_eq!(rest, Plan::default());
        // Of a bucket's files that follow each other, two that could be one are one, unless files of other buckets lie
        // between their commits.
        // Where buckets of several spans lie over each other, a few files may stay.
        let spans: HashSet<BucketSpan> = world.files.iter().map(|file| file.bucket.span()).collect();
        for file in world.files.iter().filter(|_| spans.len() == 1) {
            let later = world.files.iter().filter(|other| other.bucket == file.bucket && other.sequence.lo > file.sequence.hi);
            let Some(next) = later.min_by_key(|other| other.sequence.hi) else { continue };
            let both = [Arc::clone(file), Arc::clone(next)];
            let small = file.bytes + next.bytes <= world.settings.bytes_max[2];
            let others = world.files.iter().filter(|third| third.id != file.id && third.id != next.id);
            prop_assert!(!small || group::is_divided(&both, others), "{file:?} {next:?}");
        }
    }
}
