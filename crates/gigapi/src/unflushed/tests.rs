//! The last write of each field wins, wherever the rows lie: in buffers, in files that overlap, in merged ones.
//!
//! Writers, queriers and the compactor are the real ones, in one process, over a catalog and layers in memory; logs
//! are on disk. What they answer is compared with a model that applies all writes in order.

mod model;
mod questions;
mod world;

use std::time::Duration;

use gigapi_model::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use model::{FIELDS, Fields, Flush, Key, Model, TAGS, Value, Write};
use questions::{Filter, lines, totals};
use world::{Asked, World, lines_of, table_lines};

/// 2025-04-10T07:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);
const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Times at which rows meet, around the edges of two hours; before those, on other days.
const TIMES: [i64; 7] = [-40 * 24 * HOUR, -10 * HOUR, -50 * MINUTE, -40 * MINUTE, -1, 0, 5 * MINUTE];
const HOSTS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("a-host-with-more-than-twelve-bytes")];
const REGIONS: [Option<&str>; 3] = [None, Some("eu"), Some("us")];
const TEXTS: [&str; 4] = ["", "x", "y", "a text of more than twelve bytes"];

/// One line of a batch.
#[derive(Debug, Clone)]
struct Line {
    key: Key,
    fields: Fields,
    /// Floats without a fraction are sent as integers, where the column is one of floats.
    is_widened: bool,
    /// Sends a text for `i`, where that is a column of integers: the line is refused.
    is_refused: bool,
}

/// What happens next; writers are numbered.
#[derive(Debug, Clone)]
enum Step {
    Write(usize, Vec<Line>),
    /// One row in each of so many hours: more than a flush makes files of, so that they go to longer buckets.
    Backfill(usize, i64),
    Flush(usize, Flush, bool),
    Restart(usize),
    /// So much time passes, then what is due is merged.
    Compact(Duration),
    Check(Asked, Filter),
}

fn field() -> impl Strategy<Value = Fields> {
    let text = prop::sample::select(TEXTS.to_vec()).prop_map(Value::Text);
    let maybe = |value: BoxedStrategy<Value>| prop::option::weighted(0.45, value);
    let fields = (
        maybe((-2_i64..4).prop_map(Value::Integer).boxed()),
        maybe((-2_i32..4).prop_map(|half| Value::Float(f64::from(half) / 2.0)).boxed()),
        maybe(text.boxed()),
        maybe(any::<bool>().prop_map(Value::Flag).boxed()),
    );
    fields.prop_map(|(i, f, s, b)| match [i, f, s, b] {
        [None, None, None, None] => [Some(Value::Integer(0)), None, None, None],
        fields => fields,
    })
}

fn line() -> impl Strategy<Value = Line> {
    let host = prop_oneof![4 => Just(HOSTS[1]), 2 => Just(HOSTS[0]), 1 => Just(HOSTS[2]), 1 => Just(HOSTS[3])];
    let region = prop_oneof![5 => Just(REGIONS[0]), 2 => Just(REGIONS[1]), 1 => Just(REGIONS[2])];
    let time = prop_oneof![1 => 0_usize..2, 9 => 2_usize..7].prop_map(|index| START.nanos() + TIMES[index]);
    let odd = (prop::bool::weighted(0.3), prop::bool::weighted(0.05));
    ((host, region, time), field(), odd).prop_map(|((host, region, time), fields, (is_widened, is_refused))| Line {
        key: ([host, region], time),
        fields,
        is_widened,
        is_refused,
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let time = || prop::sample::select(TIMES.to_vec()).prop_map(|time| START.nanos() + time);
    let host = || prop::sample::select(vec!["a", "b"]);
    prop_oneof![
        (-2_i64..4).prop_map(Filter::IntegerAbove),
        (-2_i64..4).prop_map(Filter::IntegerIs),
        (-2_i32..4).prop_map(|half| Filter::FloatBelow(f64::from(half) / 2.0)),
        prop::sample::select(TEXTS.to_vec()).prop_map(Filter::TextIs),
        prop::sample::select(TEXTS.to_vec()).prop_map(Filter::TextIsNot),
        any::<bool>().prop_map(Filter::Flag),
        (0..FIELDS.len()).prop_map(Filter::Missing),
        (0..FIELDS.len()).prop_map(Filter::Present),
        prop_oneof![host().prop_map(|host| Filter::TagIs(0, host)), Just(Filter::TagIs(1, "eu"))],
        (0..TAGS.len()).prop_map(Filter::TagMissing),
        (time(), time()).prop_map(|(a, b)| Filter::Between(a.min(b), a.max(b) + i64::from(a == b))),
        (host(), -2_i64..4).prop_map(|(host, than)| Filter::TagAndInteger(host, than)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let writer = || 0_usize..2;
    let flush = prop_oneof![6 => Just(Flush::Committed), 1 => Just(Flush::NotUploaded), 1 => Just(Flush::Unanswered)];
    let seconds = prop::sample::select(vec![1_u64, 11, 101, 1_001, 2 * 3_600, 2 * 86_400, 13 * 86_400]);
    let asked = prop::sample::select(Asked::ALL.to_vec());
    prop_oneof![
        30 => (writer(), prop::collection::vec(line(), 1..7)).prop_map(|(writer, lines)| Step::Write(writer, lines)),
        2 => (writer(), 18_i64..24).prop_map(|(writer, hours)| Step::Backfill(writer, hours)),
        25 => (writer(), flush, any::<bool>()).prop_map(|(writer, flush, stored)| Step::Flush(writer, flush, stored)),
        5 => writer().prop_map(Step::Restart),
        8 => seconds.prop_map(|seconds| Step::Compact(Duration::from_secs(seconds))),
        8 => (asked, filter()).prop_map(|(asked, filter)| Step::Check(asked, filter)),
    ]
}

/// The line, and what is stored of it; `None` where it is refused.
fn sent(line: &Line, model: &Model) -> (String, Option<Write>) {
    let Line { key: (tags, time), fields, .. } = line;
    let mut text = "cpu".to_owned();
    for (name, tag) in TAGS.into_iter().zip(tags).filter_map(|(name, tag)| Some((name, tag.as_ref()?))) {
        text.push_str(&format!(",{name}={tag}"));
    }
    let is_refused = line.is_refused && model.has("i");
    let mut separator = ' ';
    for (name, value) in FIELDS.into_iter().zip(fields).filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        if is_refused && name == "i" {
            continue;
        }
        let value = match value {
            Value::Integer(value) => format!("{value}i"),
            Value::Float(value) if line.is_widened && model.has("f") && value.fract() == 0.0 => format!("{value:.0}i"),
            Value::Float(value) => format!("{value:?}"),
            Value::Text(value) => format!("{value:?}"),
            Value::Flag(value) => value.to_string(),
        };
        text.push_str(&format!("{separator}{name}={value}"));
        separator = ',';
    }
    if is_refused {
        text.push_str(&format!("{separator}i=\"no integer\""));
    }
    text.push_str(&format!(" {time}\n"));
    (text, (!is_refused).then_some(Write { key: line.key, fields: *fields }))
}

async fn write(world: &mut World, model: &mut Model, writer: usize, lines: &[Line]) -> Result<(), TestCaseError> {
    let (texts, stored): (Vec<String>, Vec<Option<Write>>) = lines.iter().map(|line| sent(line, model)).unzip();
    let stored: Vec<Write> = stored.into_iter().flatten().collect();
    prop_assert_eq!(world.write(writer, &texts.concat()).await, stored.len() as u64, "{}", texts.concat());
    model.write(writer, &stored);
    Ok(())
}

fn backfill(hours: i64) -> Vec<Line> {
    let line = |hour: i64| Line {
        key: ([Some("a"), None], START.nanos() - 40 * MINUTE - hour * HOUR),
        fields: [Some(Value::Integer(hour)), None, None, None],
        is_widened: false,
        is_refused: false,
    };
    (0..hours).map(line).collect()
}

/// Compares everything that whoever is asked answers.
async fn check(world: &World, model: &Model, asked: Asked, filter: &Filter) -> Result<(), TestCaseError> {
    if !model.has_table() {
        return Ok(());
    }
    let rows = match asked {
        Asked::Beside(writer) => model.rows(&[writer]),
        Asked::Bystander => model.rows(&[]),
        Asked::Tail | Asked::TailBeside(_) => model.rows(&world.order()),
    };
    let mut found = table_lines(&world.ask(asked, "SELECT * FROM cpu").await);
    found.sort();
    prop_assert_eq!(&found, &lines(&rows), "all rows, asked {:?}", asked);
    let count = lines_of(&world.ask(asked, "SELECT count(*) FROM cpu").await);
    prop_assert_eq!(count, vec![rows.len().to_string()], "count(*), asked {:?}", asked);
    let (wanted, expected) = totals(&rows, |column| model.has(column));
    let found = lines_of(&world.ask(asked, &format!("SELECT {wanted} FROM cpu")).await);
    prop_assert_eq!(found, vec![expected], "{}, asked {:?}", wanted, asked);
    let found = lines_of(&world.ask(asked, "SELECT time FROM cpu ORDER BY time DESC LIMIT 3").await);
    let mut newest: Vec<i64> = rows.keys().map(|(_, time)| *time).collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let newest: Vec<String> = newest.iter().take(3).map(i64::to_string).collect();
    prop_assert_eq!(found, newest, "the newest, asked {:?}", asked);
    if filter.columns().iter().all(|column| model.has(column)) {
        let (condition, rows) = (filter.sql(), filter.of(&rows));
        let mut found = table_lines(&world.ask(asked, &format!("SELECT * FROM cpu WHERE {condition}")).await);
        found.sort();
        prop_assert_eq!(&found, &lines(&rows), "rows with {}, asked {:?}", &condition, asked);
        let count = lines_of(&world.ask(asked, &format!("SELECT count(*) FROM cpu WHERE {condition}")).await);
        prop_assert_eq!(count, vec![rows.len().to_string()], "count with {}, asked {:?}", &condition, asked);
    }
    Ok(())
}

async fn run(ttl: Option<Duration>, steps: Vec<Step>, last: Filter) -> Result<(), TestCaseError> {
    let mut world = World::new(START, ttl).await;
    let mut model = Model::default();
    for step in steps {
        world.pass(Duration::from_secs(1));
        match step {
            Step::Write(writer, lines) => write(&mut world, &mut model, writer, &lines).await?,
            Step::Backfill(writer, hours) => write(&mut world, &mut model, writer, &backfill(hours)).await?,
            Step::Flush(writer, flush, although_stored) => {
                world.flush(writer, flush, although_stored).await;
                model.flush(writer, flush);
            }
            Step::Restart(writer) => {
                world.restart(writer).await;
                model.restart(writer);
            }
            Step::Compact(time) => {
                world.pass(time);
                world.compact().await;
            }
            Step::Check(asked, filter) => check(&world, &model, asked, &filter).await?,
        }
    }
    for asked in Asked::ALL {
        check(&world, &model, asked, &last).await?;
    }
    Ok(())
}

#[test]
fn the_last_write_of_each_field_wins_wherever_the_rows_lie() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ttl = prop::option::of(Just(12 * DAY));
    let cases = (ttl, prop::collection::vec(step(), 1..60), filter());
    // A case takes a quarter of a second.
    let config = ProptestConfig::with_cases(ProptestConfig::default().cases / 3);
    let outcome = TestRunner::new(config).run(&cases, |(ttl, steps, last)| runtime.block_on(run(ttl, steps, last)));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
