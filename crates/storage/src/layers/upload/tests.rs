use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use gigapi_model::{LayerName, SystemIds};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tokio::time::Instant;

use super::*;
use crate::faulty::{Action, Fault, Faults, FaultyStore, Operation};
use crate::s3_servers::{self, CheckingServer, Moto, ScriptedServer, answer};
use crate::{LayerSettings, checksum};

fn path() -> Path {
    Path::parse("db/t/x").unwrap()
}

/// Bytes that differ from place to place.
fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}

fn cut(bytes: &Bytes, length: usize) -> impl Stream<Item = Result<Bytes>> + use<> {
    let all = bytes.clone();
    let starts = (0..bytes.len()).step_by(length);
    futures::stream::iter(starts.map(move |at| Ok(all.slice(at..all.len().min(at + length)))))
}

async fn read(layer: &Layer) -> Bytes {
    layer.store.get(&path()).await.unwrap().bytes().await.unwrap()
}

fn memory() -> (Layer, Arc<Faults>) {
    let faults = Faults::new();
    let store = FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults));
    (Layer::over(LayerName::new("cold").unwrap(), Arc::new(store)), faults)
}

#[tokio::test]
async fn files_of_all_sizes_arrive_whole_with_size_and_checksum() {
    let (layer, _) = memory();
    for length in [0, 1, PART_BYTES, WHOLE_BYTES_MAX, WHOLE_BYTES_MAX + 1, 3 * PART_BYTES, 3 * PART_BYTES + 7] {
        let bytes = content(length);
        let wanted = Uploaded { bytes: length as u64, checksum: checksum(&bytes) };
        assert_eq!(layer.upload(&path(), bytes.clone()).await.unwrap(), wanted);
        assert!(read(&layer).await == bytes, "{length}");
        for chunk in [1_000_003, 40 << 20] {
            assert_eq!(layer.upload_stream(&path(), cut(&bytes, chunk)).await.unwrap(), wanted);
            assert!(read(&layer).await == bytes, "{length} by {chunk}");
        }
    }
}

#[tokio::test]
async fn a_folder_takes_uploads_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LayerSettings::folder(LayerName::new("hot").unwrap(), folder.path());
    let layer = Layer::open(&settings, &SystemIds).unwrap();
    let bytes = content(WHOLE_BYTES_MAX + 5);
    layer.upload(&path(), bytes.clone()).await.unwrap();
    assert!(read(&layer).await == bytes);
}

#[tokio::test]
async fn a_large_file_goes_to_s3_in_parts_of_one_size_and_a_small_one_as_one_request() {
    for server in [Some(Moto::start().await), None] {
        let checking = CheckingServer::start().await;
        let layer = s3_servers::layer(server.as_ref().map_or(checking.address, |moto| moto.address), "p");
        let bytes = content(4 * PART_BYTES + 11);
        let uploaded = layer.upload_stream(&path(), cut(&bytes, 3_000_000)).await.unwrap();
        assert_eq!(uploaded, Uploaded { bytes: bytes.len() as u64, checksum: checksum(&bytes) });
        let counts = layer.requests.clone().unwrap();
        // Start and end, and five parts.
        assert_eq!(counts.requests().collect::<Vec<_>>(), [("PUT", "2xx", 5), ("POST", "2xx", 2)]);
        assert!(read(&layer).await == bytes);
        layer.upload(&path(), content(WHOLE_BYTES_MAX)).await.unwrap();
        assert_eq!(counts.requests().collect::<Vec<_>>(), [("GET", "2xx", 1), ("PUT", "2xx", 6), ("POST", "2xx", 2)]);
    }
}

/// Answers as S3 does.
fn s3(asked: &s3_servers::Asked) -> s3_servers::Answer {
    match (asked.method.as_str(), asked.target.split_once('?').map(|(_, query)| query)) {
        ("POST", Some("uploads=")) => {
            answer(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        }
        ("POST", _) => answer(200, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"),
        _ => answer(200, ""),
    }
}

#[tokio::test]
async fn an_upload_that_fails_gives_its_parts_up() {
    let script = |asked: &s3_servers::Asked, _| {
        let third = asked.target.contains("partNumber=3");
        Some(if third { answer(403, "<Error><Code>AccessDenied</Code></Error>") } else { s3(asked) })
    };
    let server = ScriptedServer::start(script).await;
    let layer = s3_servers::layer(server.address, "");
    let error = layer.upload(&path(), content(5 * PART_BYTES)).await.unwrap_err();
    assert!(error.to_string().contains("uploading of db/t/x on layer cold failed"), "{error}");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    given_up(&server).await;
}

#[tokio::test]
async fn an_error_of_what_is_uploaded_ends_the_upload() {
    let server = ScriptedServer::start(|asked, _| Some(s3(asked))).await;
    let layer = s3_servers::layer(server.address, "");
    let broken = futures::stream::once(async { Err(Error::Interrupted { operation: "merging" }) });
    let error =
        layer.upload_stream(&path(), cut(&content(4 * PART_BYTES), PART_BYTES).chain(broken)).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    given_up(&server).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_parts() {
    let script = |asked: &s3_servers::Asked, _| (!asked.target.contains("partNumber=")).then(|| s3(asked));
    let server = ScriptedServer::start(script).await;
    let layer = s3_servers::layer(server.address, "");
    let uploading = tokio::spawn(async move { layer.upload(&path(), content(9 * PART_BYTES)).await });
    until(|| server.asked.lock().iter().any(|asked| asked.target.contains("partNumber=4"))).await;
    // No more than that many are under way, however many there are.
    assert!(!server.asked.lock().iter().any(|asked| asked.target.contains("partNumber=5")));
    uploading.abort();
    given_up(&server).await;
}

async fn given_up(server: &ScriptedServer) {
    until(|| server.asked.lock().iter().any(|asked| asked.method == "DELETE" && asked.target.contains("uploadId=u")))
        .await;
}

async fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "it never happened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_last_request_is_made_up_for_by_looking() {
    for (found, wanted) in [(4 * PART_BYTES, true), (17, false)] {
        let script = move |asked: &s3_servers::Asked, _| {
            let head = asked.method == "HEAD";
            let end = asked.method == "POST" && asked.target.contains("uploadId");
            Some(match (head, end) {
                (true, _) => {
                    http::Response::builder().header("Content-Length", found).body(Bytes::new().into()).unwrap()
                }
                (_, true) => answer(404, "<Error><Code>NoSuchUpload</Code></Error>"),
                _ => s3(asked),
            })
        };
        let server = ScriptedServer::start(script).await;
        let uploaded = s3_servers::layer(server.address, "").upload(&path(), content(4 * PART_BYTES)).await;
        assert_eq!(uploaded.is_ok(), wanted, "{uploaded:?}");
    }
}

#[tokio::test]
async fn a_failed_request_names_layer_and_file_and_leaves_nothing() {
    let (layer, faults) = memory();
    faults.add(Fault::always(Operation::Put, Action::DiskFull));
    for length in [1, WHOLE_BYTES_MAX + 1] {
        let error = layer.upload(&path(), content(length)).await.unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
    }
    let left: Vec<_> = layer.store.list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
