//! Counts and sums while files are merged: every answer is a total that there was between the question and the answer.
//!
//! One client writes requests of growing size, each to an append table and to one whose rows it overwrites, and knows
//! the totals after each. Others ask all the time. Totals only grow, so an answer tells which moment it is of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use integration_tests::{Client, Cluster, Role};
use serde_json::Value;

use super::*;

/// Keys of the table that is overwritten.
const KEYS: u64 = 50;

/// Tasks that ask.
const ASKING: usize = 4;

/// What the writing client has sent, and what it was promised: numbers of requests, from 1.
#[derive(Debug, Default)]
struct Progress {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    /// Questions begun, and figures of their answers that were right.
    asked: AtomicU64,
    figures: AtomicU64,
    over: AtomicBool,
}

/// Hosts of the append table.
const HOSTS: u64 = 5;

/// How many figures are compared: twenty thousand in the tests here together, a million each in a soak.
fn figures_wanted() -> u64 {
    std::env::var("GIGAPI_MERGE_FIGURES").ok().map_or(10_000, |text| text.parse().unwrap())
}

/// Rows of a request to the append table.
fn rows(request: u64) -> u64 {
    1 + request % 11
}

/// Those of them in the hour that one question is about.
fn rows_of_hour(request: u64) -> u64 {
    rows(request).div_ceil(2)
}

fn lines(request: u64) -> String {
    const HOUR: u64 = 3_600 * SECOND.cast_unsigned();
    let start = START.cast_unsigned();
    let appended = (0..rows(request)).map(|row| {
        let time = start + (row % 2) * HOUR + request * 1_000 + row;
        format!("appended,host=h{} v={}i {time}\n", request % HOSTS, request * 16 + row)
    });
    let keyed = (0..KEYS).map(|key| format!("keyed,host=h{key} v={request}i {}\n", start + key));
    appended.chain(keyed).collect()
}

/// A question, and what its figures were after so many requests; one statement's figures are of one moment.
type Question = (&'static str, fn(&Totals, u64) -> Vec<u64>);

const QUESTIONS: [Question; 8] = [
    ("SELECT count(*) FROM appended", |totals, request| vec![totals.at(request).rows]),
    (
        "SELECT count(*) AS a, sum(v) AS b, count(*) FILTER (WHERE time < '2026-01-01T01:00:00Z') AS c, max(v) AS d \
         FROM appended",
        |totals, request| {
            let Total { rows: count, sum, of_hour, .. } = totals.at(request);
            vec![count, sum, of_hour, request * 16 + rows(request) - 1]
        },
    ),
    ("SELECT count(*) AS n FROM appended GROUP BY host ORDER BY host", |totals, request| {
        totals.at(request).of_host.into_iter().filter(|rows| *rows > 0).collect()
    }),
    ("SELECT count(*) FROM appended WHERE time < '2026-01-01T01:00:00Z'", |totals, request| {
        vec![totals.at(request).of_hour]
    }),
    ("SELECT sum(v) FROM keyed", |_, request| vec![request * KEYS]),
    ("SELECT count(*) AS a, sum(v) AS b, min(v) AS c, max(v) AS d FROM keyed", |_, request| {
        vec![KEYS, request * KEYS, request, request]
    }),
    ("SELECT v AS n FROM keyed ORDER BY host LIMIT 10", |_, request| vec![request; 10]),
    ("SELECT count(v) AS a, count(DISTINCT host) AS b FROM appended WHERE host >= 'h'", |totals, request| {
        let Total { rows, of_host, .. } = totals.at(request);
        vec![rows, of_host.iter().filter(|rows| **rows > 0).count() as u64]
    }),
];

/// What the append table holds.
#[derive(Debug, Default, Clone, Copy)]
struct Total {
    rows: u64,
    sum: u64,
    of_hour: u64,
    of_host: [u64; HOSTS as usize],
}

/// That after each request.
#[derive(Debug, Default)]
struct Totals(std::sync::Mutex<Vec<Total>>);

impl Totals {
    fn at(&self, request: u64) -> Total {
        let mut known = self.0.lock().unwrap();
        while known.len() <= request as usize {
            let (next, mut total) = (known.len() as u64, known.last().copied().unwrap_or_default());
            if next > 0 {
                total.rows += rows(next);
                total.sum += (0..rows(next)).map(|row| next * 16 + row).sum::<u64>();
                total.of_hour += rows_of_hour(next);
                total.of_host[(next % HOSTS) as usize] += rows(next);
            }
            known.push(total);
        }
        known[request as usize]
    }
}

/// All figures of an answer, row by row, columns by their names.
async fn figures(querier: &Client, sql: &str) -> Vec<u64> {
    let rows = querier.rows("db", sql).await.unwrap();
    let columns = rows.iter().flat_map(|row| row.as_object().unwrap().iter().collect::<BTreeMap<_, _>>().into_values());
    let figure = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    columns.map(|value| figure(value).unwrap_or_else(|| panic!("{sql} answered {value}"))).collect()
}

/// Writes until it is told to stop.
async fn write(writer: Client, progress: Arc<Progress>) {
    let mut request = progress.sent.load(Ordering::SeqCst);
    while !progress.over.load(Ordering::SeqCst) {
        request += 1;
        progress.sent.store(request, Ordering::SeqCst);
        let path = "/write?db=db&durability=commit";
        let answer = writer.post(path, &[], lines(request)).await.unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
        progress.acknowledged.store(request, Ordering::SeqCst);
    }
}

/// Asks once; answers how many figures were right.
async fn compare(querier: &Client, progress: &Progress, totals: &Totals, (sql, expected): Question) -> u64 {
    let first = progress.acknowledged.load(Ordering::SeqCst);
    let answer = figures(querier, sql).await;
    let last = progress.sent.load(Ordering::SeqCst);
    let is_total = (first..=last).any(|request| expected(totals, request) == answer);
    let range = (expected(totals, first), expected(totals, last));
    assert!(is_total, "{sql} answered {answer:?} while requests {first} to {last} were there: {range:?}");
    answer.len() as u64
}

async fn ask(querier: Client, progress: Arc<Progress>, totals: Arc<Totals>, wanted: u64) {
    while progress.figures.load(Ordering::SeqCst) < wanted {
        let number = progress.asked.fetch_add(1, Ordering::SeqCst) as usize;
        let right = compare(&querier, &progress, &totals, QUESTIONS[number % QUESTIONS.len()]).await;
        progress.figures.fetch_add(right, Ordering::SeqCst);
    }
}

/// Asks the querier while the writer is written to.
async fn assert_totals(writer: Client, querier: Client, compactor: Client) {
    let (progress, totals) = (Arc::new(Progress::default()), Arc::new(Totals::default()));
    // The tables have to be there before they are asked for; without a tag a key would be one too few.
    progress.sent.store(1, Ordering::SeqCst);
    let definition = writer.post("/write?db=db&key=none", &[], "appended,host=h1 v=16i 1767225600000001000\n").await;
    assert_eq!(definition.unwrap().status, 204);
    let rest: String = lines(1).lines().skip(1).flat_map(|line| [line, "\n"]).collect();
    flush(&writer, "", rest).await;
    progress.acknowledged.store(1, Ordering::SeqCst);
    let writing = tokio::spawn(write(writer, Arc::clone(&progress)));
    let asking: Vec<_> = (0..ASKING)
        .map(|_| tokio::spawn(ask(querier.clone(), Arc::clone(&progress), Arc::clone(&totals), figures_wanted())))
        .collect();
    for task in asking {
        task.await.unwrap();
    }
    progress.over.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    // Once more when nothing is under way.
    for question in QUESTIONS {
        compare(&querier, &progress, &totals, question).await;
    }
    let merges = compactor.metric("gigapi_compactor_jobs_total{job=\"merge\"}").await.unwrap();
    assert!(merges >= 10.0, "there were {merges} merges");
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_right_at_every_moment_of_merging() {
    let folder = tempfile::tempdir().unwrap();
    let options = fast(&folder.path().join("data"));
    // Inputs stay for as long as any question takes.
    let server = options.set("GIGAPI_DELETE_GRACE_S", "10").set("GIGAPI_SAVE_TIMEOUT_S", "0.05").start().await.unwrap();
    assert_totals(server.client(), server.client(), server.client()).await;
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_a_separate_querier_are_right_at_every_moment_of_merging() {
    let builder = Cluster::builder().compactors(1).set("GIGAPI_METADATA_UNSAFE", "true");
    let builder = builder.set("GIGAPI_DELETE_GRACE_S", "10").set_for(Role::Compactor, "GIGAPI_MERGE_TIMEOUT_S", "0.01");
    let mut cluster = builder.save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let (writer, querier) = (cluster.writer(0).client(), cluster.querier(0).client());
    assert_totals(writer, querier, cluster.compactor(0).client()).await;
}
