//! Counts and sums while files are merged: every answer is a total that there was between the question and the answer.
//!
//! One client writes requests of growing size, each to an append table and to one whose rows it overwrites, and knows
//! the totals after each. Others ask all the time. Totals only grow, so an answer tells which moment it is of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use integration_tests::{Client, Cluster, Role};

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
    asked: AtomicU64,
    over: AtomicBool,
}

/// How often is asked: some thousand times in a test, a million times in a soak.
fn queries() -> u64 {
    std::env::var("GIGAPI_MERGE_QUERIES").ok().map_or(2_000, |text| text.parse().unwrap())
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
        format!("appended,host=h{} v={}i {time}\n", request % 5, request * 16 + row)
    });
    let keyed = (0..KEYS).map(|key| format!("keyed,host=h{key} v={request}i {}\n", start + key));
    appended.chain(keyed).collect()
}

/// A question, and what its answer was after so many requests.
type Question = (&'static str, fn(&Totals, u64) -> u64);

const QUESTIONS: [Question; 6] = [
    ("SELECT count(*) FROM appended", |totals, request| totals.at(request).0),
    ("SELECT sum(v) FROM appended", |totals, request| totals.at(request).1),
    ("SELECT count(*) FROM appended WHERE time < '2026-01-01T01:00:00Z'", |totals, request| totals.at(request).2),
    ("SELECT sum(v) FROM keyed", |_, request| request * KEYS),
    ("SELECT count(*) + sum(v) + max(v) FROM keyed", |_, request| KEYS + request * KEYS + request),
    ("SELECT count(v) FROM appended WHERE host >= 'h'", |totals, request| totals.at(request).0),
];

/// Rows, their sum, and the rows of the hour, after each request.
#[derive(Debug, Default)]
struct Totals(std::sync::Mutex<Vec<(u64, u64, u64)>>);

impl Totals {
    fn at(&self, request: u64) -> (u64, u64, u64) {
        let mut known = self.0.lock().unwrap();
        while known.len() <= request as usize {
            let next = known.len() as u64;
            let (count, sum, of_hour) = known.last().copied().unwrap_or_default();
            let added: u64 = if next == 0 { 0 } else { (0..rows(next)).map(|row| next * 16 + row).sum() };
            let (more, more_of_hour) = if next == 0 { (0, 0) } else { (rows(next), rows_of_hour(next)) };
            known.push((count + more, sum + added, of_hour + more_of_hour));
        }
        known[request as usize]
    }
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

async fn ask(querier: Client, progress: Arc<Progress>, totals: Arc<Totals>, wanted: u64) {
    loop {
        let number = progress.asked.fetch_add(1, Ordering::SeqCst);
        if number >= wanted {
            return;
        }
        let (sql, expected) = QUESTIONS[number as usize % QUESTIONS.len()];
        let first = progress.acknowledged.load(Ordering::SeqCst);
        let answer = querier.number("db", sql).await.unwrap() as u64;
        let last = progress.sent.load(Ordering::SeqCst);
        let is_total = (first..=last).any(|request| expected(&totals, request) == answer);
        let range = (expected(&totals, first), expected(&totals, last));
        assert!(is_total, "{sql} answered {answer} while requests {first} to {last} were there: {range:?}");
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
        .map(|_| tokio::spawn(ask(querier.clone(), Arc::clone(&progress), Arc::clone(&totals), queries())))
        .collect();
    for task in asking {
        task.await.unwrap();
    }
    progress.over.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    // Once more when nothing is under way.
    progress.asked.store(0, Ordering::SeqCst);
    ask(querier, Arc::clone(&progress), totals, QUESTIONS.len() as u64).await;
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
