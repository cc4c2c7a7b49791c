//! What an operator does by hand: comparing catalog and layers, and restoring the one from the other.

use std::path::Path;
use std::time::Duration;

use integration_tests::{Client, Cluster, LayerKind, Role, ServerOptions, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a verb; whether it succeeded, and all that it printed.
fn run(options: &ServerOptions, verb: &[&str]) -> (bool, String) {
    let output = options.run(verb).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn commit(client: &Client, lines: &str) {
    let answer = client.post("/write?db=db&key=none&durability=commit", &[], lines.to_owned()).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// Some data file of a table.
async fn some_file(cluster: &Cluster) -> std::path::PathBuf {
    cluster.live_files("db", "m").await.unwrap().remove(0).path
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

async fn compares(layer: LayerKind) {
    let builder = Cluster::builder().layer(layer).save_timeout(Duration::from_millis(50));
    let mut cluster = builder.spawn().await.unwrap();
    let client = cluster.writer(0).client();
    commit(&client, "m v=1i 1\nm v=2i 2").await;
    commit(&client, "m v=3i 7200000000000\nm v=4i 7200000000001").await;
    let options = cluster.querier(0).options().clone();
    let (ok, told) = run(&options, &["catalog", "verify", "--checksums"]);
    assert!(ok && told.contains("1 tables, 2 live files, 4 rows"), "{told}");
    assert!(told.contains("0 of them damage"), "{told}");

    // A file that nobody names is explained and is no damage.
    let file = some_file(&cluster).await;
    let orphan = file.with_file_name("019a9d3c-0000-7000-8000-000000000000.1.parquet");
    std::fs::copy(&file, &orphan).unwrap();
    let (ok, told) = run(&options, &["catalog", "verify"]);
    assert!(ok && told.contains("019a9d3c-0000-7000-8000-000000000000"), "{told}");

    // One whose bytes were changed is found by reading it, one that is gone by looking for it.
    let bytes = std::fs::read(&file).unwrap();
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    let (ok, told) = run(&options, &["catalog", "verify", "--checksums"]);
    assert!(!ok && told.contains("DAMAGE") && told.contains(&name(&file)), "{told}");
    std::fs::remove_file(&file).unwrap();
    let (ok, told) = run(&options, &["catalog", "verify"]);
    assert!(!ok && told.contains("DAMAGE") && told.contains(&name(&file)), "{told}");
    // A query over it is an error, or an answer that breaks off, and never fewer rows. One that has read another file
    // before is asked to be sent again.
    let answer = cluster.querier(0).client().query("db", "SELECT v FROM m").await;
    assert!(answer.as_ref().map_or(true, |answer| [500, 503].contains(&answer.status)), "{answer:?}");
    std::fs::write(&file, &bytes).unwrap();
    assert!(run(&options, &["catalog", "verify", "--checksums"]).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_explains_every_difference_in_s3() {
    compares(LayerKind::S3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_explains_every_difference_in_a_folder() {
    compares(LayerKind::Fs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_rebuilt_by_hand_beside_servers_that_run() {
    let builder = Cluster::builder().writers(2).queriers(2).save_timeout(Duration::from_millis(50));
    let mut cluster = builder.spawn().await.unwrap();
    for number in 0..2 {
        commit(&cluster.writer(number).client(), &format!("m,w=w{number} v=1i 1")).await;
    }
    let options = cluster.querier(0).options().clone();
    let (ok, told) = run(&options, &["catalog", "rebuild"]);
    assert!(!ok && told.contains("--from-layers"), "{told}");
    for round in 0..3 {
        let (ok, told) = run(&options, &["catalog", "rebuild", "--from-layers"]);
        assert!(ok && told.contains("1 tables"), "{told}");
        commit(&cluster.writer(round % 2).client(), &format!("m,w=again v=1i {}", round + 10)).await;
        for querier in cluster.clients(Role::Querier) {
            let rows = 3.0 + f64::from(u32::try_from(round).unwrap());
            let all = async || Ok(querier.number("db", "SELECT sum(v) FROM m").await.is_ok_and(|sum| sum == rows));
            until("the same rows and one more", PATIENCE, all).await.unwrap();
        }
    }
    let (ok, told) = run(&options, &["catalog", "verify", "--checksums"]);
    assert!(ok && told.contains("5 live files, 5 rows"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_rebuilt_by_hand_while_nobody_runs() {
    let builder = Cluster::builder().layer(LayerKind::S3).save_timeout(Duration::from_millis(50));
    let mut cluster = builder.spawn().await.unwrap();
    commit(&cluster.writer(0).client(), "m v=1i 1\nn v=2i 2").await;
    for member in cluster.members() {
        assert!(cluster.process(member).stop().await.unwrap().success());
    }
    cluster.redis.flush_all().unwrap();
    let options = cluster.writer(0).options().clone();
    let (ok, told) = run(&options, &["catalog", "verify"]);
    assert!(!ok && told.contains("gigapi catalog rebuild --from-layers"), "{told}");
    let (ok, told) = run(&options, &["catalog", "rebuild", "--from-layers"]);
    assert!(ok && told.contains("2 tables, 2 files, 2 rows"), "{told}");
    for member in cluster.members() {
        cluster.process(member).start().await.unwrap();
    }
    let sum = cluster.querier(0).client().number("db", "SELECT (SELECT sum(v) FROM m) + (SELECT sum(v) FROM n)").await;
    assert_eq!(sum.unwrap(), 3.0);
}

/// Redis is put back to before a rebuild that none of the servers has seen; what they commit then is not in the checkpoints
/// that the rebuild has written, and is of an older epoch than these.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_after_a_rebuild_was_undone_outlasts_the_next_one() {
    let mut cluster = Cluster::builder().save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let (writer, querier) = (cluster.writer(0).client(), cluster.querier(0).client());
    commit(&writer, "m v=1i 1").await;
    let options = cluster.querier(0).options().clone();
    let before = cluster.redis.copy().unwrap();
    for member in cluster.members() {
        cluster.process(member).server().unwrap().pause().unwrap();
    }
    let (ok, told) = run(&options, &["catalog", "rebuild", "--from-layers"]);
    assert!(ok && told.contains("1 tables, 1 files, 1 rows"), "{told}");
    cluster.redis.kill().unwrap();
    cluster.redis.start_from(&before).await.unwrap();
    let (ok, told) = run(&options, &["catalog", "verify"]);
    assert!(!ok && told.contains("rolled back"), "{told}");
    for member in cluster.members() {
        cluster.process(member).server().unwrap().resume().unwrap();
    }
    commit(&writer, "m v=2i 2").await;
    cluster.redis.flush_all().unwrap();
    commit(&writer, "m v=4i 3").await;
    let all = async || Ok(querier.number("db", "SELECT sum(v) FROM m").await.is_ok_and(|sum| sum == 7.0));
    until("all rows", PATIENCE, all).await.unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.logs()));
    cluster.writer(0).restart().await.unwrap();
    commit(&cluster.writer(0).client(), "m v=8i 4").await;
    let all = async || Ok(querier.number("db", "SELECT sum(v) FROM m").await.is_ok_and(|sum| sum == 15.0));
    until("all rows after a restart", PATIENCE, all).await.unwrap();
}
