//! Disks that are full: 503, nothing acknowledged is lost, service resumes when there is space.

use std::path::Path;
use std::time::Duration;

use integration_tests::{Server, ServerOptions};
use tokio::time::Instant;

/// Small file systems in a mount namespace of the server's own: one for the data folder, one for the log.
pub(crate) fn on_small_disks(folder: &Path, data: &str, log: &str) -> ServerOptions {
    let root = folder.join("data");
    std::fs::create_dir_all(&root).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={data} tmpfs '{0}' && mkdir -p '{0}/_gigapi/wal' && \
         mount -t tmpfs -o size={log} tmpfs '{0}/_gigapi/wal' && exec \"$@\"",
        root.display()
    );
    let options = ServerOptions::new(&root);
    options.through(&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"])
}

/// Leaves no room on the small disk of the data folder, from inside the server's own namespace.
pub(crate) fn fill(server: &Server, folder: &Path) -> String {
    let filler = format!("/proc/{}/root{}/filler", server.pid(), folder.join("data").display());
    let filled = std::fs::write(&filler, vec![1_u8; 32 << 20]);
    assert!(filled.is_err(), "the small disk is not small");
    filler
}

async fn fills_up(server: &Server, path: &str) -> (u64, u16) {
    let client = server.client();
    let text = "x".repeat(100_000);
    for row in 0..400_u64 {
        let answer = client.post(path, &[], format!("m v=\"{text}{row}\",n={row}i {row}")).await.unwrap();
        if answer.status != 204 {
            return (row, answer.status);
        }
    }
    panic!("the disk never filled up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_volume_answers_503_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let options = on_small_disks(folder.path(), "256m", "8m").set("GIGAPI_SAVE_TIMEOUT_S", "3600");
    let server = options.start().await.unwrap();
    let (acknowledged, status) = fills_up(&server, "/write?db=db").await;
    assert_eq!(status, 503);
    let client = server.client();
    let count = client.number("db", "SELECT count(*) FROM m").await.unwrap();
    assert_eq!(count, acknowledged as f64);
    assert_eq!(client.get("/health").await.unwrap().status, 200);
    // Rows that are in files need no log: flushing makes room, whatever the interval.
    let line = format!("m v=\"{}\" 1000000", "y".repeat(100_000));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.write("db", line.clone()).await.unwrap();
        if answer.status == 204 {
            break;
        }
        assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{}", answer.body);
        assert!(Instant::now() < deadline, "writing did not resume:\n{}", server.options().log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let count = client.number("db", "SELECT count(*) FROM m").await.unwrap();
    assert_eq!(count, acknowledged as f64 + 1.0);
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_layer_keeps_rows_in_the_log_and_resumes_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let options = on_small_disks(folder.path(), "16m", "64m").set("GIGAPI_SAVE_TIMEOUT_S", "0.05");
    let server = options.start().await.unwrap();
    let client = server.client();
    client.must_write("db", "m v=0i 1").await.unwrap();
    let filler = fill(&server, folder.path());
    for row in 0..20 {
        client.must_write("db", format!("m v={row}i {row}")).await.unwrap();
    }
    let failures = async || client.metric("gigapi_flush_failures").await.unwrap_or(0.0);
    while failures().await == 0.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 190.0);
    std::fs::remove_file(filler).unwrap();
    let answer = client.post("/write?db=db&durability=commit", &[], "m v=1000i 1000").await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(client.number("db", "SELECT sum(v) FROM m").await.unwrap(), 1190.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_answers_503_and_service_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let options = on_small_disks(folder.path(), "16m", "64m")
        .set("GIGAPI_SAVE_TIMEOUT_S", "0.05")
        .set("GIGAPI_BUFFER_BYTES_MAX", "64KiB");
    let server = options.start().await.unwrap();
    let client = server.client();
    client.must_write("db", "m,host=h0 v=0i 1").await.unwrap();
    // Far more than the limit passes while flushes make room.
    let lines = |row: usize| (0..50).map(|host| format!("m,host=h{host} v={row}i {row}\n")).collect::<String>();
    for row in 1..=200 {
        client.must_write("db", lines(row)).await.unwrap();
    }
    let filler = fill(&server, folder.path());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut row = 200;
    let busy = loop {
        let answer = client.write("db", lines(row + 1)).await.unwrap();
        if answer.status != 204 {
            break answer;
        }
        row += 1;
        assert!(Instant::now() < deadline, "the limit was never reached");
    };
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert!(busy.body.contains("GIGAPI_BUFFER_BYTES_MAX"), "{}", busy.body);
    assert_eq!(client.number("db", "SELECT max(v) FROM m").await.unwrap(), row as f64);
    std::fs::remove_file(filler).unwrap();
    while client.write("db", lines(row + 1)).await.unwrap().status != 204 {
        assert!(Instant::now() < deadline, "writing did not resume:\n{}", server.options().log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.number("db", "SELECT max(v) FROM m").await.unwrap(), row as f64 + 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_at_its_limit_makes_room_by_flushing() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(&folder.path().join("data"))
        .set("GIGAPI_WAL_BYTES_MAX", "1MiB")
        .set("GIGAPI_SAVE_TIMEOUT_S", "3600");
    let server = options.start().await.unwrap();
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let text = "x".repeat(100_000);
    let mut refused = 0;
    for row in 0..100 {
        loop {
            let answer = client.write("db", format!("m v=\"{text}\",n={row}i {row}")).await.unwrap();
            if answer.status == 204 {
                break;
            }
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(answer.body.contains("GIGAPI_WAL_BYTES_MAX"), "{}", answer.body);
            assert!(Instant::now() < deadline, "writing did not resume:\n{}", server.options().log());
            refused += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(refused > 0, "the limit was never reached");
    assert_eq!(client.number("db", "SELECT count(*) FROM m").await.unwrap(), 100.0);
}

/// Folders that may not be written to, as one that a container engine made for another user.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_to_is_named_with_who_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let inner = ["", "_gigapi", "_gigapi/wal"];
    for refused in inner {
        let refused = root.join(refused);
        std::fs::create_dir_all(&refused).unwrap();
        let script = format!("mount -t tmpfs -o ro tmpfs '{}' && exec \"$@\"", refused.display());
        let options = ServerOptions::new(&root);
        let options = options.through(&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        let mut server = options.spawn().unwrap();
        assert!(!server.until_ended().await.unwrap().success());
        let log = server.options().log();
        let named = format!("folder {}", refused.display().to_string().trim_end_matches('/'));
        assert!(log.contains(&named) && log.contains("chown -R 0:0") && log.contains("GIGAPI_ROOT"), "{log}");
    }
}
