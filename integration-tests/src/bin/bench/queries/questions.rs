//! The eleven questions, in the words of each engine.
//!
//! Names and shapes are TSBS's. The other engines read `time` as the integer of nanoseconds that it is in the files.

use crate::START_NANOS;

const HOUR: u64 = 3_600_000_000_000;
const MINUTE: u64 = HOUR / 60;

/// A question, as each engine is asked it.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) ours: String,
    pub(super) duckdb: String,
    pub(super) clickhouse: String,
    /// Whether the answer is the same whichever engine gives it; rows that are cut off among equals are not.
    pub(super) is_decided: bool,
}

/// All of them, in the order in which they are asked.
pub(super) fn all() -> Vec<Question> {
    vec![
        same("count", "SELECT count(*) FROM cpu"),
        binned("single-groupby-1-1-1", "minute", MINUTE, &maxima(1), &[hosts(1), span(3, 1)], ""),
        binned("single-groupby-5-8-1", "minute", MINUTE, &maxima(5), &[hosts(8), span(5, 1)], ""),
        binned("cpu-max-all-8", "hour", HOUR, &maxima(10), &[hosts(8), span(7, 8)], ""),
        binned("double-groupby-1", "hour", HOUR, &averages(1), &[span(9, 12)], "hostname"),
        binned("double-groupby-all", "hour", HOUR, &averages(10), &[span(9, 12)], "hostname"),
        asked("high-cpu-all", &|engine| {
            format!("SELECT * FROM cpu WHERE usage_user > 90.0 AND {}", span(9, 12)(engine))
        }),
        asked("groupby-orderby-limit", &|engine| {
            let bin = bin(engine, MINUTE);
            let until = at(engine, 20);
            format!(
                "SELECT {bin} AS minute, max(usage_user) FROM cpu WHERE time < {until} GROUP BY {bin} \
                 ORDER BY minute DESC LIMIT 5"
            )
        }),
        lastpoint(),
        Question { is_decided: false, ..same("topk-recent", "SELECT * FROM cpu ORDER BY time DESC LIMIT 10") },
        same(
            "full-groupby",
            "SELECT region, service, count(*), avg(usage_user), max(usage_system) FROM cpu GROUP BY region, service",
        ),
    ]
}

/// A million rows of three columns.
pub(super) const A_MILLION: &str =
    "SELECT time, hostname, CAST(usage_user AS DOUBLE) AS usage_user FROM cpu LIMIT 1000000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Ours,
    DuckDb,
    ClickHouse,
}

type Condition = Box<dyn Fn(Engine) -> String>;

fn asked(name: &'static str, text: &dyn Fn(Engine) -> String) -> Question {
    let (ours, duckdb, clickhouse) = (text(Engine::Ours), text(Engine::DuckDb), text(Engine::ClickHouse));
    Question { name, ours, duckdb, clickhouse, is_decided: true }
}

fn same(name: &'static str, sql: &str) -> Question {
    asked(name, &|_| sql.to_owned())
}

/// An instant that many hours after the first row.
fn at(engine: Engine, hours: u64) -> String {
    let nanos = START_NANOS + hours * HOUR;
    match engine {
        Engine::Ours => format!("to_timestamp({})", nanos / 1_000_000_000),
        Engine::DuckDb | Engine::ClickHouse => nanos.to_string(),
    }
}

fn span(from: u64, hours: u64) -> Condition {
    Box::new(move |engine| format!("time >= {} AND time < {}", at(engine, from), at(engine, from + hours)))
}

fn hosts(count: u64) -> Condition {
    let names: Vec<String> = (0..count).map(|index| format!("'host_{}'", (249 + index * 97) % 1_000)).collect();
    let condition = match names.as_slice() {
        [only] => format!("hostname = {only}"),
        several => format!("hostname IN ({})", several.join(", ")),
    };
    Box::new(move |_| condition.clone())
}

fn bin(engine: Engine, nanos: u64) -> String {
    match engine {
        Engine::Ours => format!("date_bin(INTERVAL '{} minutes', time)", nanos / MINUTE),
        Engine::DuckDb => format!("time // {nanos}"),
        Engine::ClickHouse => format!("intDiv(time, {nanos})"),
    }
}

fn each(function: &str, count: usize) -> String {
    let fields = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let calls: Vec<String> = fields[..count].iter().map(|field| format!("{function}(usage_{field})")).collect();
    calls.join(", ")
}

fn maxima(count: usize) -> String {
    each("max", count)
}

fn averages(count: usize) -> String {
    each("avg", count)
}

/// Groups of a span of time, and of another column if one is named.
fn binned(
    name: &'static str,
    word: &'static str,
    nanos: u64,
    figures: &str,
    conditions: &[Condition],
    other: &'static str,
) -> Question {
    asked(name, &|engine| {
        let conditions: Vec<String> = conditions.iter().map(|condition| condition(engine)).collect();
        let other = if other.is_empty() { String::new() } else { format!(", {other}") };
        format!(
            "SELECT {} AS {word}{other}, {figures} FROM cpu WHERE {} GROUP BY {word}{other} ORDER BY {word}",
            bin(engine, nanos),
            conditions.join(" AND ")
        )
    })
}

/// The newest row of each host, in the words in which each engine is fastest.
fn lastpoint() -> Question {
    asked("lastpoint", &|engine| match engine {
        Engine::Ours => "SELECT DISTINCT ON (hostname) * FROM cpu ORDER BY hostname, time DESC".to_owned(),
        Engine::DuckDb | Engine::ClickHouse => {
            "SELECT * FROM cpu WHERE (hostname, time) IN (SELECT hostname, max(time) FROM cpu GROUP BY hostname)"
                .to_owned()
        }
    })
}
