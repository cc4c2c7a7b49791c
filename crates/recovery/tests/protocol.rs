//! Random histories of a whole installation: with all of the protocol's rules none breaks an invariant, without one of
//! them some history does.
//!
//! Writers, workers, whoever deletes, rebuilds and accidents take turns, each in steps as small as one call or one
//! object, and after every step everything is checked (`check`). Whatever the product decides without a disk decides
//! here: the memory catalog with its judge, the plan of a rebuild, the detection of a loss, the rule for graves. Logs,
//! work and deletion are written down here once more, so this file proves the protocol and not their code.
//!
//! `GIGAPI_MODEL_HISTORIES` is the number of histories that have to end well. Seeds count from zero and a seed always
//! gives the same history; one that ends badly is told step by step.

#[path = "protocol/cases.rs"]
mod cases;
#[path = "protocol/check.rs"]
mod check;
#[path = "protocol/deletion.rs"]
mod deletion;
#[path = "protocol/events.rs"]
mod events;
#[path = "protocol/flushing.rs"]
mod flushing;
#[path = "protocol/layers.rs"]
mod layers;
#[path = "protocol/loss.rs"]
mod loss;
#[path = "protocol/own_plan.rs"]
mod own_plan;
#[path = "protocol/protections.rs"]
mod protections;
#[path = "protocol/random.rs"]
mod random;
#[path = "protocol/rebuilding.rs"]
mod rebuilding;
#[path = "protocol/records.rs"]
mod records;
#[path = "protocol/store.rs"]
mod store;
#[path = "protocol/workers.rs"]
mod workers;
#[path = "protocol/world.rs"]
mod world;
#[path = "protocol/writers.rs"]
mod writers;

use cases::{CASES, Case, FOCI};
use check::{Kind, Violation};
use events::Events;
use protections::Protection;
use world::{Focus, World};

/// Histories that have to end well, unless the environment says otherwise.
const HISTORIES: u64 = 4_000;
/// Of so many the model's own plan decides one.
const OWN_PLAN_SHARE: u64 = 5;
/// A missing rule shows within so many histories.
const CASE_HISTORIES_MAX: u64 = 2_000;
/// Things that happen in one history.
const STEPS: usize = 1_000;

/// The history of a seed, to its end or to the first violation.
fn run(world: &mut World) -> Result<(), Violation> {
    for _ in 0..STEPS {
        if world.is_over {
            break;
        }
        world.step()?;
    }
    Ok(())
}

fn histories() -> u64 {
    match std::env::var("GIGAPI_MODEL_HISTORIES") {
        Ok(text) => text.parse().expect("GIGAPI_MODEL_HISTORIES is a number"),
        Err(_) => HISTORIES,
    }
}

/// Each seed has one of the foci, so that what is rare in general is common in some.
fn focus_of(seed: u64) -> (&'static str, Focus) {
    let index = usize::try_from(seed).unwrap_or(0) % FOCI.len();
    FOCI[index]
}

/// Runs histories that have to end well; answers how often what happened.
fn assert_unbroken(seeds: u64, removed: &'static [Protection]) -> Events {
    let mut events = Events::default();
    for seed in 0..seeds {
        let (name, focus) = focus_of(seed);
        let mut world = World::new(seed, removed, focus);
        if let Err(violation) = run(&mut world) {
            let mut told = World::new(seed, removed, focus);
            told.trace = Some(Vec::new());
            // The same again.
            let _ = run(&mut told);
            let steps = told.trace.unwrap_or_default().join("\n");
            panic!("seed {seed} with focus {name:?}:\n{steps}\n{violation}");
        }
        events.add(&world.events);
    }
    events
}

#[test]
fn with_all_rules_no_history_breaks_an_invariant() {
    let seeds = histories();
    let events = assert_unbroken(seeds, &[]);
    println!("{seeds} histories\n{events}");
    if seeds >= HISTORIES {
        let missing = events.missing();
        assert!(missing.is_empty(), "none of {seeds} histories came upon {missing:?}, so they prove nothing about it");
    }
}

#[test]
fn the_models_own_plan_makes_no_difference() {
    assert_unbroken(histories().div_ceil(OWN_PLAN_SHARE), &[Protection::ProductPlan]);
}

/// The first history that shows what the case expects, or the kinds that were seen instead.
fn first_caught(case: &Case) -> Result<u64, Vec<Kind>> {
    let mut others = Vec::new();
    for seed in 0..CASE_HISTORIES_MAX {
        let mut world = World::new(seed, case.removed, case.focus);
        world.writers.truncate(case.writers);
        world.fences_checked = case.expected == Kind::Fence;
        match run(&mut world) {
            Err(violation) if violation.kind == case.expected => return Ok(seed),
            Err(violation) if !others.contains(&violation.kind) => others.push(violation.kind),
            _ => {}
        }
    }
    Err(others)
}

#[test]
fn without_a_rule_some_history_breaks_an_invariant() {
    let mut missed = Vec::new();
    for case in CASES {
        let Case { removed, expected, .. } = case;
        match first_caught(case) {
            Ok(seed) => println!("without {removed:?}: history {seed}"),
            Err(others) => missed.push(format!("without {removed:?}: expected {expected:?}, saw {others:?}")),
        }
    }
    assert!(missed.is_empty(), "within {CASE_HISTORIES_MAX} histories each\n{}", missed.join("\n"));
}

#[test]
fn every_rule_is_taken_out_somewhere() {
    let is_removed = |rule: &Protection| CASES.iter().any(|case| case.removed.contains(rule));
    let kept: Vec<_> = protections::ALL.iter().filter(|rule| !is_removed(rule)).collect();
    assert_eq!(kept, [&Protection::ProductPlan], "which the model's own plan replaces");
}
