//! Files that were written under earlier definitions of their table: merging gives every row the columns that it had, in
//! the newest shape.

use integration_tests::Embedded;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_tags_that_come_while_files_wait_change_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = still(&root).start().await.unwrap();
    let client = server.client();
    // Each flush knows more columns than the one before; a tag that comes later is part of the key from then on.
    let at = |second: i64| START + second * SECOND;
    let flushes = [
        format!("m,host=a v=1i {}\nm,host=b v=2i {}", at(0), at(0)),
        format!("m,host=a v=3i,t=\"text\" {}\nm,host=c v=4i {}", at(1), at(1)),
        format!("m,host=a,region=eu v=5i,f=0.5 {}\nm,host=a v=6i {}", at(0), at(2)),
        format!("m,zone=z1 v=7i {}\nm,host=b ok=true {}", at(3), at(0)),
        format!("m,host=a,region=eu f=1.5,u=9u {}\nm f=2.5 {}", at(0), at(4)),
        format!("m,host=a v=10i {}", at(0)),
    ];
    for lines in flushes {
        flush(&client, "", lines).await;
    }
    let select = "SELECT * FROM m ORDER BY time, host, region, zone";
    let asked = async |client: &Client| {
        let mut answers = Vec::new();
        for sql in [select, "DESCRIBE m", "SELECT count(*), count(t), count(ok), sum(v), sum(f), sum(u) FROM m"] {
            answers.push(client.rows("db", sql).await.unwrap());
        }
        answers.push(
            client.rows("db", "SELECT v FROM m WHERE region IS NULL AND host = 'a' ORDER BY time").await.unwrap(),
        );
        answers
    };
    let before = asked(&client).await;
    assert_eq!(before[0].len(), 8, "{:?}", before[0]);
    assert!(server.stop().await.unwrap().success());
    let catalog = Embedded::open(&root).unwrap();
    let files = catalog.live_files("db", "m").await.unwrap();
    assert_eq!(files.len(), 6);
    let server = fast(&root).start().await.unwrap();
    until_rest(&server, &catalog, &[("m", 1)]).await;
    assert_eq!(asked(&server.client()).await, before);
    assert_eq!(raw_rows(&catalog, "m").await, 8);
    // A column that comes after the merge, and a row of a merged key.
    let client = server.client();
    flush(&client, "", format!("m,host=a v=11i,late=1i {}", at(0))).await;
    let row =
        client.rows("db", "SELECT v, late FROM m WHERE host = 'a' AND region IS NULL ORDER BY time LIMIT 1").await;
    assert_eq!(row.unwrap(), [serde_json::json!({ "v": "11", "late": "1" })]);
    assert_sound(server.options());
    assert!(server.stop().await.unwrap().success());
}
