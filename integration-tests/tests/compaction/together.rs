//! Everything at once: writers, queriers, three compactors, two layers, fast merging and quick deletion, and any process
//! may die. What was acknowledged is there, once, over SQL and in the files.

use integration_tests::{Chaos, Cluster, ClusterBuilder, Disturbance, LayerKind, Ledger, Role, disturbances};

use super::*;

/// Fast merging and quick deletion for a whole cluster.
pub(crate) fn merging_fast(builder: ClusterBuilder) -> ClusterBuilder {
    let builder = builder.set("GIGAPI_METADATA_UNSAFE", "true").set("GIGAPI_DELETE_GRACE_S", "1");
    let builder = builder.set_for(Role::Compactor, "GIGAPI_MERGE_TIMEOUT_S", "0.02");
    builder.set_for(Role::Compactor, "GIGAPI_COMPACTOR_LEASE_S", "1")
}

async fn survives(seed: u64, layer: LayerKind, hours: u64) {
    let builder = Cluster::builder().writers(2).queriers(2).compactors(3).layer(layer).cold_after("2s");
    let mut cluster = merging_fast(builder).save_timeout(Duration::from_millis(50)).spawn().await.unwrap();
    let ledger = Ledger::new(&cluster.folder().join("notes")).unwrap().over_hours(hours);
    let kinds = [Disturbance::Kill, Disturbance::Kill, Disturbance::Pause, Disturbance::KillRedis];
    let mut chaos = Chaos::new(seed, &kinds).lasting(Duration::from_millis(1500));
    chaos.run(&mut cluster, &ledger, disturbances(25), PATIENCE).await.unwrap();
    assert_eq!(chaos.ended_by_themselves(), [""; 0]);
    // All of it happened: files went to the other layer, and came together.
    let at_rest = async || {
        let files = cluster.live_files("ledger", "ledger").await?;
        Ok(files.iter().all(|live| live.file.layer.as_str() == "cold" && live.file.level.number() > 1))
    };
    until("files that are merged and have moved", PATIENCE, at_rest).await.unwrap();
    chaos.rest(&mut cluster, &ledger, PATIENCE).await.unwrap();
    assert_sound(cluster.compactor(0).options());
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_of_any_process_while_files_merge_and_move_in_s3_loses_and_doubles_nothing() {
    survives(41, LayerKind::S3, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_of_any_process_while_old_files_merge_and_move_in_folders_loses_and_doubles_nothing() {
    survives(42, LayerKind::Fs, 3).await;
}
