//! A live file that is not what was written: no merge takes it in, it is named everywhere, and everything else goes on.

use integration_tests::Embedded;

use super::*;

/// Flushes of the bucket with the damaged file.
const FLUSHES: i64 = 9;

/// The flush whose file is damaged.
const DAMAGED: usize = 4;

/// Other bytes in the middle.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

async fn fill(client: &Client) {
    for number in 0..FLUSHES {
        let lines: String =
            (0..10).map(|row| format!("m,host=h{row} v={number}i {}\n", START + row * SECOND)).collect();
        flush(client, "&key=none", lines + &format!("other v={number}i {}", START + number)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_input_is_refused_marked_and_named_and_the_rest_is_merged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = still(&root).start().await.unwrap();
    fill(&server.client()).await;
    assert!(server.stop().await.unwrap().success());
    let catalog = Embedded::open(&root).unwrap();
    let damaged = catalog.live_files("db", "m").await.unwrap()[DAMAGED].clone();
    let sound_bytes = std::fs::read(&damaged.path).unwrap();
    flip(&damaged.path);
    let name = damaged.file.id.to_string();
    let options = fast(&root);
    let server = options.start().await.unwrap();
    // Files on both sides of it come together, and it stays where it is.
    until_rest(&server, &catalog, &[("m", 3), ("other", 1)]).await;
    let files = catalog.live_files("db", "m").await.unwrap();
    assert_eq!(files[1].file, damaged.file);
    assert!(root.join(format!("_gigapi/quarantine/{name}.json")).is_file());
    let client = server.client();
    let failures = "gigapi_compactor_failures_total{job=\"merge\",reason=\"corrupt\"}";
    assert!(client.metric(failures).await.unwrap() >= 1.0);
    assert!(options.log().contains(&name), "{}", options.log());
    let (sound, told) = verified(&options);
    assert!(!sound && told.lines().any(|line| line.contains("DAMAGE") && line.contains(&name)), "{told}");
    assert_eq!(client.number("db", "SELECT sum(v) FROM other").await.unwrap(), 36.0);
    // More rows in front of it and behind it are merged as before, also by the next process.
    for _ in 0..2 {
        flush(&client, "", format!("m,host=h0 v=0i {}", START - 1)).await;
        flush(&client, "", format!("m,host=h0 v=0i {START}")).await;
    }
    assert!(server.stop().await.unwrap().success());
    let server = options.start().await.unwrap();
    until_rest(&server, &catalog, &[("m", 4), ("other", 1)]).await;
    let client = server.client();
    assert!(client.metric(failures).await.is_err(), "a marked file was tried again");
    let refused = options.run_program("gigapi-compactor", &["--once"]).unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains(&name), "{:?} {told}", refused.status);
    // Restored from a copy and without its mark it is a file like the others.
    std::fs::write(&damaged.path, sound_bytes).unwrap();
    let (sound, told) = verified(&options);
    assert!(sound && told.contains("the mark is stale"), "{told}");
    std::fs::remove_file(root.join(format!("_gigapi/quarantine/{name}.json"))).unwrap();
    until_rest(&server, &catalog, &[("m", 2), ("other", 1)]).await;
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 360.0);
    assert_eq!(raw_rows(&catalog, "m").await, 94);
    assert_sound(&options);
    assert!(server.stop().await.unwrap().success());
}
