//! Requests that are repeated, abandoned, or ask for more than the first time.

use futures::poll;
use gigapi_service::Shutdown;
use gigapi_storage::faulty::{Action, Fault, Operation};

use super::*;
use crate::world::{World, request, run_to_the_end, write};

fn keyed(lines: &str, durability: Durability) -> WriteRequest {
    WriteRequest { idempotency_key: Some("once".to_owned()), key: Some(TableKey::None), ..request(lines, durability) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_and_sends_again_has_written_once() {
    for durability in [Durability::Memory, Durability::Wal] {
        let world = World::new();
        let writer = world.writer().await;
        let ingest = Arc::clone(&writer.ingest);
        ingest.write(WriteRequest { key: Some(TableKey::None), ..request("m v=0i 1", Durability::Wal) }).await.unwrap();
        for row in 1..=200 {
            let lines = format!("m v={row}i 1");
            let sent = WriteRequest { idempotency_key: Some(row.to_string()), ..keyed(&lines, durability) };
            {
                let write = std::pin::pin!(ingest.write(sent.clone()));
                // Once it waits for the disk, its client goes away.
                let answered = poll!(write);
                assert!(answered.is_pending() || durability == Durability::Memory);
            }
            ingest.write(sent).await.unwrap();
        }
        run_to_the_end(writer).await;
        assert_eq!(world.committed_rows("m").await, 201, "{durability:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_that_asks_for_the_commit_waits_for_it() {
    let world = World::new();
    world.faults.add(Fault::always(Operation::Put, Action::DiskFull).on("parquet"));
    let writer = world.writer().await;
    let ingest = Arc::clone(&writer.ingest);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    ingest.write(keyed("m v=1i 1", Durability::Wal)).await.unwrap();
    ingest.write(keyed("m v=1i 1", Durability::Wal)).await.unwrap();
    let mut again = std::pin::pin!(ingest.write(keyed("m v=1i 1", Durability::Commit)));
    assert!(poll!(again.as_mut()).is_pending(), "the rows are nowhere but in the log");
    world.faults.clear();
    again.await.unwrap();
    assert_eq!(world.committed_rows("m").await, 1);
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
    // Read back from the log or told by the catalog, it is still the same request.
    let writer = world.writer().await;
    writer.ingest.write(keyed("m v=1i 1", Durability::Commit)).await.unwrap();
    write(&writer, "m v=2i 2").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 2);
}
