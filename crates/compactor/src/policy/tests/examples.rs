//! One situation each.

use super::*;

#[test]
fn level_one_is_merged_when_its_oldest_file_has_waited() {
    let mut world = World::new();
    for second in 0..5 {
        world.now = START + second * SECOND;
        world.flush(world.now, world.now, BucketSpan::Hour, 1000);
    }
    world.now = START + 9 * SECOND;
    let early = world.plan(&HashSet::new());
    assert_eq!(early.merges, []);
    assert_eq!(early.next_due, Some(at(START + 10 * SECOND)));
    world.now = START + 10 * SECOND;
    let due = world.plan(&HashSet::new());
    assert_eq!(due.merges.len(), 1);
    assert_eq!((due.merges[0].inputs.len(), due.merges[0].level.number()), (5, 2));
    assert_eq!(due.merges[0].reason, Reason::Interval);
}

#[test]
fn many_files_do_not_wait() {
    let mut world = World::new();
    for _ in 0..40 {
        world.flush(world.now, world.now + SECOND, BucketSpan::Hour, 1000);
    }
    let plan = world.plan(&HashSet::new());
    assert_eq!(plan.merges.iter().map(|merge| merge.inputs.len()).collect::<Vec<_>>(), [32, 8]);
    assert_eq!(plan.merges[0].reason, Reason::Crowd);
}

#[test]
fn a_file_that_is_alone_is_never_rewritten() {
    let mut world = World::new();
    world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    let file = world.files.clone();
    world.sleep(3000 * DAY);
    assert_eq!(world.files, file);
}

#[test]
fn a_file_as_large_as_the_cap_waits_for_the_next_level() {
    let mut world = World::new();
    world.flush(START, START + SECOND, BucketSpan::Hour, 150 << 20);
    world.flush(START, START + SECOND, BucketSpan::Hour, 1 << 20);
    world.flush(START, START + SECOND, BucketSpan::Hour, 1 << 20);
    world.now += 10 * SECOND;
    let plan = world.plan(&HashSet::new());
    assert_eq!(plan.merges.iter().map(|merge| merge.inputs.len()).collect::<Vec<_>>(), [2]);
    assert!(plan.merges[0].inputs.iter().all(|file| file.bytes == 1 << 20));
}

#[test]
fn an_idle_table_ends_as_one_file_a_bucket() {
    let mut world = World::new();
    for second in 0..3 * 3600 {
        if second % 7 == 0 {
            world.now = START + second * SECOND;
            world.flush(world.now, world.now, BucketSpan::Hour, 40 << 20);
        }
    }
    // Nobody merged meanwhile: the service was down, or the table idle since.
    world.now += 5 * HOUR;
    world.sleep(3 * HOUR);
    let largest = world.files.iter().map(|file| file.bytes).max();
    assert!(largest <= Some(4000 << 20));
    let of_hours = world.files.iter().map(|file| file.bucket).collect::<HashSet<_>>();
    assert_eq!(of_hours.len(), 3);
    // 515 files of 40 MiB are 20 GiB an hour: six files of the cap.
    assert!(world.files.len() <= 3 * 7, "{} files", world.files.len());
}

#[test]
fn what_somebody_holds_is_left_out_and_stands_in_the_way() {
    let mut world = World::new();
    for _ in 0..5 {
        world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    }
    world.now += 11 * SECOND;
    let held = HashSet::from([world.files[2].id]);
    let plan = world.plan(&held);
    check(&plan, &world.files, &held, &world.settings, None);
    let inputs: Vec<u64> = plan.merges.iter().flat_map(|merge| &merge.inputs).map(|file| file.sequence.hi).collect();
    assert_eq!(plan.merges.len(), 2);
    assert_eq!(inputs.len(), 4, "two on each side of it: {inputs:?}");
}

#[test]
fn a_longer_bucket_between_commits_divides_a_merge() {
    let mut world = World::new();
    world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    world.flush(START - DAY, START + DAY, BucketSpan::Month, 200 << 20);
    world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    world.now += 11 * SECOND;
    let plan = world.plan(&HashSet::new());
    check(&plan, &world.files, &HashSet::new(), &world.settings, None);
    assert_eq!(plan.merges.iter().map(|merge| merge.inputs.len()).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn late_rows_join_their_old_bucket() {
    let mut world = World::new();
    world.flush(START, START + HOUR - 1, BucketSpan::Hour, 2000 << 20);
    world.sleep(2 * DAY);
    world.flush(START, START + 1, BucketSpan::Hour, 1000);
    world.sleep(10 * HOUR);
    assert_eq!(world.files.len(), 2, "a trickle does not rewrite two gigabytes at once");
    world.sleep(3 * DAY);
    assert_eq!(world.files.len(), 1, "but a bucket that stays quiet ends as one file");
}

#[test]
fn joins_stop_at_a_tenth_of_the_ttl() {
    for (days, span) in
        [(5, BucketSpan::Hour), (20, BucketSpan::Day), (400, BucketSpan::Month), (4000, BucketSpan::Year)]
    {
        let mut world = World::new();
        world.ttl_min = Some(Duration::from_secs(days * 86_400));
        // Of April and May, so that each span has something to join.
        for hour in (0..48).chain(40 * 24..42 * 24) {
            world.now = START + hour * HOUR;
            world.flush(world.now, world.now, BucketSpan::Hour, 1000);
        }
        world.sleep(1000 * DAY);
        assert!(world.files.iter().all(|file| file.bucket.span() == span), "{days} days: {:?}", world.files);
    }
}

#[test]
fn a_table_without_merging_has_no_plan() {
    let mut world = World::new();
    for _ in 0..50 {
        world.flush(START, START + SECOND, BucketSpan::Hour, 1000);
    }
    world.now += DAY;
    let state = TableState { files: &world.files, held: &HashSet::new(), merging: None, ttl_min: None };
    assert_eq!(plan(&state, at(world.now)), Plan::default());
}

#[test]
fn files_move_and_end_by_the_age_of_their_data() {
    let mut world = World::new();
    world.now = START + 30 * DAY;
    for day in [1, 10, 20, 40] {
        world.flush(world.now - day * DAY, world.now - day * DAY, BucketSpan::Hour, 1000);
    }
    let week = Some(Duration::from_secs(7 * 86_400));
    let month = Some(Duration::from_secs(30 * 86_400));
    let rules = |last: Option<Duration>| {
        [("hot", week), ("warm", Some(Duration::from_secs(15 * 86_400))), ("cold", last)]
            .map(|(name, ttl)| LayerRule { name: layer(name), ttl })
    };
    let none = HashSet::new();
    let found = moves(&world.files, &none, &rules(month), None, at(world.now));
    let moved: Vec<_> = found.moved.iter().map(|moved| (moved.file.sequence.hi, moved.to.as_str())).collect();
    assert_eq!(moved, [(3, "cold"), (2, "warm")], "past a layer that would not keep it either");
    assert_eq!(
        found.expired.iter().map(|(file, why)| (file.sequence.hi, *why)).collect::<Vec<_>>(),
        [(4, Expiry::Layer)]
    );
    assert_eq!(found.next_due, Some(at(world.now - DAY + 7 * DAY)));
    let kept = moves(&world.files, &none, &rules(None), None, at(world.now));
    assert_eq!((kept.moved.len(), kept.expired.len()), (3, 0));
    let of_table = moves(&world.files, &none, &rules(None), Some(Duration::from_secs(15 * 86_400)), at(world.now));
    assert_eq!(
        of_table.expired.iter().map(|(file, why)| (file.sequence.hi, *why)).collect::<Vec<_>>(),
        [(4, Expiry::Table), (3, Expiry::Table)]
    );
    let held = world.files.iter().map(|file| file.id).collect();
    assert_eq!(moves(&world.files, &held, &rules(month), None, at(world.now)), Moves::default());
}

#[test]
fn inputs_that_are_left_out_do_not_lie_between_the_rest() {
    let file = |number: u128, hour: i64, (lo, hi): (u64, u64)| {
        let (min, mut world) = (START + hour * HOUR, World::new());
        world.flush(min, min + SECOND, BucketSpan::Hour, 1000);
        let sequence = SequenceRange { lo, hi };
        Arc::new(DataFile { id: minted(START, number), sequence, ..DataFile::clone(&world.files[0]) })
    };
    let inputs = [file(1, 0, (1, 10)), file(2, 2, (5, 20)), file(3, 1, (3, 30)), file(4, 3, (40, 40))];
    // The third lies between the first two in time and in sequence: no two of them merge without it.
    assert_eq!(first_inputs(&inputs, 1), 3);
    assert_eq!(first_inputs(&inputs, 2), 3);
    assert_eq!(first_inputs(&inputs, 3), 3);
    assert_eq!(first_inputs(&inputs, 4), 4);
    assert_eq!(first_inputs(&inputs[2..], 1), 2);
}
