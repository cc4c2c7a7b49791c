//! Random histories of a whole installation.

#[path = "protocol/check.rs"]
mod check;
#[path = "protocol/deletion.rs"]
mod deletion;
#[path = "protocol/flushing.rs"]
mod flushing;
#[path = "protocol/layers.rs"]
mod layers;
#[path = "protocol/own_plan.rs"]
mod own_plan;
#[path = "protocol/protections.rs"]
mod protections;
#[path = "protocol/random.rs"]
mod random;
#[path = "protocol/rebuilding.rs"]
mod rebuilding;
#[path = "protocol/store.rs"]
mod store;
#[path = "protocol/workers.rs"]
mod workers;
#[path = "protocol/world.rs"]
mod world;
#[path = "protocol/writers.rs"]
mod writers;

use check::Violation;
use protections::Protections;
use world::{Focus, World};

const STEPS: usize = 1000;

fn run(seed: u64, protections: Protections, focus: Focus, traced: bool) -> Result<(), (Violation, Vec<String>)> {
    let mut world = World::new(seed, protections, focus);
    world.trace = traced.then(Vec::new);
    for _ in 0..STEPS {
        if world.is_over {
            break;
        }
        if let Err(violation) = world.step() {
            return Err((violation, world.trace.take().unwrap_or_default()));
        }
    }
    Ok(())
}

#[test]
fn control() {
    let n: u64 = std::env::var("GIGAPI_MODEL_HISTORIES").ok().and_then(|t| t.parse().ok()).unwrap_or(300);
    let from: u64 = std::env::var("GIGAPI_MODEL_SEED").ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let start = std::time::Instant::now();
    let mut bad = 0;
    for seed in from..from + n {
        if let Err((violation, _)) = run(seed, Protections { removed: &[] }, &[], false) {
            bad += 1;
            if bad <= 10 {
                println!("seed {seed}: {violation}");
            }
            if bad == 1 {
                let (_, trace) = run(seed, Protections { removed: &[] }, &[], true).unwrap_err();
                println!("{}", trace.join("\n"));
            }
        }
    }
    println!("{n} histories, {bad} bad, {:?}", start.elapsed());
    assert_eq!(bad, 0);
}

use protections::Protection::{self, *};
use world::Step;

const DELETING: Focus = &[(Step::ListOrphans, 80), (Step::ListGraves, 60), (Step::Delete, 200), (Step::Pause, 10)];
const READING: Focus =
    &[(Step::Query, 150), (Step::ListGraves, 100), (Step::ListOrphans, 60), (Step::Delete, 200), (Step::Lose, 5)];
const LOSING: Focus = &[(Step::Lose, 15), (Step::RollBack, 15), (Step::Rebuild, 200)];
const RACING: Focus = &[(Step::Lose, 15), (Step::Rebuild, 300), (Step::Start, 100), (Step::Commit, 200)];
const ROLLING: Focus = &[
    (Step::RollBack, 15),
    (Step::LateCommit, 100),
    (Step::Crash, 60),
    (Step::Export, 60),
    (Step::Rebuild, 100),
    (Step::Truncate, 100),
];
const DAMAGING: Focus = &[
    (Step::Damage, 15),
    (Step::Export, 60),
    (Step::ClaimMerge, 200),
    (Step::Work, 300),
    (Step::ListGraves, 60),
    (Step::Delete, 200),
    (Step::Lose, 6),
    (Step::RollBack, 6),
];
const RENEWING: Focus = &[(Step::ClaimMove, 100), (Step::Renew, 1500), (Step::ListOrphans, 100), (Step::Delete, 100)];
const CRASHING: Focus = &[(Step::Crash, 60), (Step::Start, 100), (Step::LateCommit, 100)];
const MIX: Focus = &[
    (Step::Damage, 30),
    (Step::Export, 100),
    (Step::ClaimMerge, 300),
    (Step::Work, 700),
    (Step::ListGraves, 150),
    (Step::Delete, 400),
    (Step::Crash, 150),
    (Step::Start, 500),
    (Step::Freeze, 300),
    (Step::Upload, 800),
    (Step::Commit, 100),
    (Step::Lose, 6),
    (Step::Rebuild, 100),
];
const FOCI: &[(&str, Focus)] = &[
    ("", &[]),
    ("deleting", DELETING),
    ("reading", READING),
    ("losing", LOSING),
    ("racing", RACING),
    ("rolling", ROLLING),
    ("damaging", DAMAGING),
    ("renewing", RENEWING),
    ("crashing", CRASHING),
    ("mix", MIX),
];

#[test]
fn explore() {
    let n: u64 = std::env::var("GIGAPI_MODEL_HISTORIES").ok().and_then(|t| t.parse().ok()).unwrap_or(300);
    let all: &'static [&'static [Protection]] = &[
        &[],
        &[ProductPlan],
        &[Base],
        &[CatalogEpoch],
        &[WriterFence],
        &[Watermark],
        &[FileAge],
        &[Lease],
        &[Inputs],
        &[Between],
        &[WriterFence, Watermark],
        &[OneInterval, Watermark],
        &[OneInterval],
        &[Lease, Inputs],
        &[CatalogEpoch, WriterFence],
        &[CatalogEpoch, WriterFence, Watermark],
        &[Sequences],
        &[TruncatePerTable],
        &[DefineFirst],
        &[DefinitionsKept],
        &[Adopt],
        &[DefinitionsKept, Adopt],
        &[SourceStays],
        &[MoveForward],
        &[Grace],
        &[GraveCheckpoint],
        &[OrphanAge],
        &[OrphanModified],
        &[OrphanNotBuried],
        &[OrphanModified, OrphanNotClaimed],
        &[OrphanNotClaimed],
        &[OrphanEpochAge],
        &[LookAgain],
        &[LookAgain, DeletionWaits],
        &[Tombstone],
        &[TombstoneFirst],
        &[ProcessesRemember],
        &[WorkWaits],
        &[DeletionWaits],
        &[DefinitionsWait],
        &[CheckpointsWait],
        &[OneMoment],
        &[NewEpoch],
        &[ExclusiveEpoch],
        &[Reservation],
        &[CheckpointsFirst],
        &[EpochFilter],
        &[LaterLayer],
        &[LaterLayer, LookAgain],
        &[MoveForward, LookAgain],
        &[FooterDefinitions],
        &[Proven],
        &[ExactCover],
        &[Proven, ExactCover],
    ];
    let only = std::env::var("ONLY").unwrap_or_default();
    let foc = std::env::var("FOCUS").unwrap_or_default();
    let checked = std::env::var("UNFENCED").is_err();
    let custom: Focus = std::env::var("W").ok().map_or(&[], |w| {
        let steps = [
            ("Damage", Step::Damage),
            ("Export", Step::Export),
            ("ClaimMerge", Step::ClaimMerge),
            ("Work", Step::Work),
            ("ListGraves", Step::ListGraves),
            ("Delete", Step::Delete),
            ("Crash", Step::Crash),
            ("Start", Step::Start),
            ("Freeze", Step::Freeze),
            ("Upload", Step::Upload),
            ("Commit", Step::Commit),
            ("Lose", Step::Lose),
            ("RollBack", Step::RollBack),
            ("Rebuild", Step::Rebuild),
            ("Write", Step::Write),
            ("LateCommit", Step::LateCommit),
            ("Query", Step::Query),
            ("ListOrphans", Step::ListOrphans),
            ("Pause", Step::Pause),
            ("Drop", Step::Drop),
            ("Checkpoint", Step::Checkpoint),
            ("Truncate", Step::Truncate),
            ("Renew", Step::Renew),
            ("ClaimMove", Step::ClaimMove),
        ];
        let v: Vec<(Step, u64)> = w
            .split(',')
            .map(|p| {
                let (n, k) = p.split_once('=').unwrap();
                (steps.iter().find(|(m, _)| *m == n).unwrap().1, k.parse().unwrap())
            })
            .collect();
        Box::leak(v.into_boxed_slice())
    });
    let foci: Vec<(&str, Focus)> = FOCI.iter().copied().chain([("custom", custom)]).collect();
    for removed in all.iter().filter(|r| format!("{r:?}").contains(&only)) {
        for (name, focus) in foci.iter().filter(|(name, _)| foc == "all" || *name == foc) {
            let mut kinds: std::collections::BTreeMap<String, (u64, u64, String)> = Default::default();
            let mut happened: std::collections::BTreeMap<&str, u64> = Default::default();
            for seed in 0..n {
                let mut world = World::new(seed, Protections { removed }, focus);
                world.fences_checked = checked;
                for _ in 0..STEPS {
                    if world.is_over {
                        break;
                    }
                    if let Err(v) = world.step() {
                        let e = kinds.entry(format!("{:?}", v.kind)).or_insert((0, seed, v.to_string()));
                        e.0 += 1;
                        break;
                    }
                }
                for (k, v) in &world.happened {
                    *happened.entry(k).or_default() += v;
                }
            }
            let text: Vec<String> = kinds.iter().map(|(k, (c, f, _))| format!("{k} {c} (first {f})")).collect();
            println!("{removed:?} {name}: {}", text.join(", "));
            if std::env::var("COVER").is_ok() {
                println!("{happened:#?}");
            }
        }
    }
}

#[test]
fn tell() {
    let seed: u64 = std::env::var("GIGAPI_MODEL_SEED").ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let foc = std::env::var("FOCUS").unwrap_or_default();
    let focus = FOCI.iter().find(|(name, _)| *name == foc).unwrap().1;
    let mut world = World::new(seed, Protections { removed: &[Proven] }, focus);
    world.trace = Some(Vec::new());
    for _ in 0..STEPS {
        if world.is_over {
            break;
        }
        if let Err(v) = world.step() {
            println!("{}\n{v}", world.trace.take().unwrap().join("\n"));
            return;
        }
    }
}
