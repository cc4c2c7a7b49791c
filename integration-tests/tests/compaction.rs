//! Merging, moving and ending of files while everything else goes on: with real processes, killed and disturbed.
//!
//! - `crashes`: every named place of the merge service
//! - `paused`: a compactor that sleeps through its lease
//! - `together`: the ledger with several compactors, two layers and kills of any process
//! - `totals`: counts and sums, asked for while files are merged
//! - `damage`: an input that is not what was written
//! - `full`: a disk without room for an output
//! - `ageing`: ttls of layers, and a table that is dropped and made again
//! - `jobs`: the compactor as a job, and by hand
//! - `evolving`: inputs of several definitions

mod ageing;
mod crashes;
mod damage;
mod evolving;
mod full;
mod jobs;
mod paused;
pub(crate) mod together;
mod totals;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use gigapi_model::{Clock, SystemClock};
use integration_tests::{Client, Embedded, LiveFile, Server, ServerOptions, until};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// How long merging may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000_000_000;

const SECOND: i64 = 1_000_000_000;

/// A server that flushes when it is asked to, merges within a blink and deletes a second later. A bucket is quiet after
/// 0.8 s.
fn fast(root: &Path) -> ServerOptions {
    ServerOptions::new(root)
        .set("GIGAPI_SAVE_TIMEOUT_S", "3600")
        .set("GIGAPI_MERGE_TIMEOUT_S", "0.002")
        .set("GIGAPI_COMPACTOR_LEASE_S", "1")
        .set("GIGAPI_DELETE_GRACE_S", "1")
        .set("GIGAPI_METADATA_UNSAFE", "true")
}

/// The same, in which nothing merges.
fn still(root: &Path) -> ServerOptions {
    fast(root).set("GIGAPI_NO_MERGES", "true")
}

/// Two layers in folders below the root's: `hot` with that ttl, and `cold` behind it.
fn on_two_layers(options: ServerOptions, root: &Path, hot_ttl: &str, cold_ttl: &str) -> ServerOptions {
    options
        .set("GIGAPI_LAYERS_0_NAME", "hot")
        .set("GIGAPI_LAYERS_0_URL", root.join("hot"))
        .set("GIGAPI_LAYERS_0_TTL", hot_ttl)
        .set("GIGAPI_LAYERS_1_NAME", "cold")
        .set("GIGAPI_LAYERS_1_URL", root.join("cold"))
        .set("GIGAPI_LAYERS_1_TTL", cold_ttl)
}

/// The catalog behind [`on_two_layers`].
fn catalog_of_two_layers(root: &Path) -> Embedded {
    let (hot, cold) = (root.join("hot"), root.join("cold"));
    Embedded::with_layers(root, &[("hot", &hot), ("cold", &cold)]).unwrap()
}

/// Writes lines and has them flushed to files of their own; `parameters` begin with `&`.
async fn flush(client: &Client, parameters: &str, lines: impl Into<String>) {
    let path = format!("/write?db=db&durability=commit{parameters}");
    let answer = client.post(&path, &[], lines.into()).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The rows of a file, counted as they are read.
fn rows_in(live: &LiveFile) -> u64 {
    let file = File::open(&live.path).unwrap_or_else(|error| panic!("{}: {error}", live.path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap().num_rows() as u64).sum()
}

async fn raw_rows(catalog: &Embedded, table: &str) -> u64 {
    catalog.live_files("db", table).await.unwrap().iter().map(rows_in).sum()
}

/// Waits until these tables consist of so many files each, and nothing waits to be deleted.
async fn until_rest(server: &Server, catalog: &Embedded, tables: &[(&str, usize)]) {
    let at_rest = async || {
        for (table, files) in tables {
            if catalog.live_files("db", table).await?.len() != *files {
                return Ok(false);
            }
        }
        Ok(catalog.graves().await? == 0)
    };
    if let Err(error) = until("files that are merged, and removed ones deleted", PATIENCE, at_rest).await {
        let mut found = String::new();
        for (table, wanted) in tables {
            let files = catalog.live_files("db", table).await.unwrap();
            found.push_str(&format!("{table} should be {wanted} files and is:\n"));
            files.iter().for_each(|live| found.push_str(&format!("  {:?}\n", live.file)));
        }
        let graves = catalog.graves().await.unwrap();
        panic!("{error:#}; {graves} graves\n{found}{}", server.options().log());
    }
}

/// What `gigapi catalog verify --checksums` says, and whether it found no damage.
fn verified(options: &ServerOptions) -> (bool, String) {
    let output = options.run(&["catalog", "verify", "--checksums"]).unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), told)
}

fn assert_sound(options: &ServerOptions) {
    let (sound, told) = verified(options);
    assert!(sound && told.contains(" 0 of them damage"), "{told}");
}
