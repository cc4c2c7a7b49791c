//! The scenarios that every store and every decorator of this crate passes.
//!
//! They state what callers rely on: whole objects, ranges, lists by folder, create-if-absent that lets one of
//! many through, deletes and copies. A new store is one more line at the end of this file.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::{LayerName, SystemIds};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, RenameOptions, RenameTargetMode,
};

use crate::faulty::{Faults, FaultyStore};
use crate::s3_servers::{self, CheckingServer, Moto};
use crate::{DurableLocalStore, ExpectedObject, ExpectedObjects, Layer, Layers, VerifyingStore};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

async fn bytes(store: &dyn ObjectStore, at: &str) -> Bytes {
    store.get(&path(at)).await.unwrap().bytes().await.unwrap()
}

async fn listed(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(path);
    let metas: Vec<_> = store.list(prefix.as_ref()).try_collect().await.unwrap();
    let mut names: Vec<_> = metas.into_iter().map(|meta| meta.location.to_string()).collect();
    names.sort();
    names
}

async fn objects_are_read_back(store: &dyn ObjectStore) {
    let at = path("a/b%20c/d.parquet");
    store.put(&at, vec![1, 2, 3, 4, 5].into()).await.unwrap();
    assert_eq!(bytes(store, at.as_ref()).await, [1, 2, 3, 4, 5][..]);
    let head = store.head(&at).await.unwrap();
    assert_eq!((head.size, head.location), (5, at.clone()));
    store.put(&at, vec![9].into()).await.unwrap();
    assert_eq!(bytes(store, at.as_ref()).await, [9][..]);
    store.put(&at, Vec::new().into()).await.unwrap();
    assert_eq!(store.head(&at).await.unwrap().size, 0);
}

async fn ranges_are_read(store: &dyn ObjectStore) {
    let at = path("ranges/x");
    store.put(&at, Bytes::from_static(b"0123456789").into()).await.unwrap();
    assert_eq!(store.get_range(&at, 2..5).await.unwrap(), "234");
    let several = store.get_ranges(&at, &[8..10, 0..1, 3..3 + 2]).await.unwrap();
    assert_eq!(several, ["89", "0", "34"]);
    let suffix = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    assert_eq!(store.get_opts(&at, suffix).await.unwrap().bytes().await.unwrap(), "789");
    assert!(store.get_range(&at, 20..30).await.is_err());
}

async fn what_is_not_there_is_not_found(store: &dyn ObjectStore) {
    let at = path("missing/x");
    assert!(matches!(store.get(&at).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.head(&at).await, Err(Error::NotFound { .. })));
    let copied = store.copy(&at, &path("missing/y")).await;
    assert!(matches!(copied, Err(Error::NotFound { .. })), "{copied:?}");
    assert!(listed(store, Some("missing")).await.is_empty());
}

async fn creation_lets_one_through(store: Arc<dyn ObjectStore>) {
    let at = path("create/marker");
    let attempts = (0..16_u8).map(|writer| {
        let (store, at) = (Arc::clone(&store), at.clone());
        tokio::spawn(async move {
            let options = PutOptions::from(PutMode::Create);
            (writer, store.put_opts(&at, vec![writer].into(), options).await)
        })
    });
    let attempts: Vec<_> = futures::future::join_all(attempts).await.into_iter().map(Result::unwrap).collect();
    let (won, lost): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|(_, result)| result.is_ok());
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|(_, result)| matches!(result, Err(Error::AlreadyExists { .. }))));
    assert_eq!(bytes(store.as_ref(), at.as_ref()).await, [won[0].0][..]);
}

async fn lists_follow_folders(store: &dyn ObjectStore) {
    for at in ["list/t/date=1/x", "list/t/date=1/y", "list/t/date=2/x", "list/u/x", "list/z"] {
        store.put(&path(at), at.as_bytes().to_vec().into()).await.unwrap();
    }
    assert_eq!(listed(store, Some("list/t")).await, ["list/t/date=1/x", "list/t/date=1/y", "list/t/date=2/x"]);
    let level = store.list_with_delimiter(Some(&path("list"))).await.unwrap();
    let mut folders: Vec<_> = level.common_prefixes.iter().map(ToString::to_string).collect();
    folders.sort();
    assert_eq!(folders, ["list/t", "list/u"]);
    assert_eq!(level.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["list/z"]);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert!(top.common_prefixes.contains(&path("list")));
}

async fn deleted_objects_are_gone(store: &dyn ObjectStore) {
    let all: Vec<Path> = (0..5).map(|n| path(&format!("delete/{}/{n}", n % 2))).collect();
    for at in &all {
        store.put(at, vec![1].into()).await.unwrap();
    }
    let (last, rest) = all.split_last().unwrap();
    let answers = store.delete_stream(futures::stream::iter(rest.to_vec()).map(Ok).boxed());
    let mut answers: Vec<Path> = answers.try_collect().await.unwrap();
    answers.sort();
    let mut wanted = rest.to_vec();
    wanted.sort();
    assert_eq!(answers, wanted);
    assert_eq!(listed(store, Some("delete")).await, [last.to_string()]);
    store.delete(last).await.unwrap();
    assert!(listed(store, Some("delete")).await.is_empty());
}

async fn copies_and_renames_keep_the_bytes(store: &dyn ObjectStore) {
    let (from, to, moved) = (path("copy/a"), path("copy/deep/er/b"), path("copy/c"));
    store.put(&from, vec![7].into()).await.unwrap();
    store.copy(&from, &to).await.unwrap();
    assert_eq!(bytes(store, to.as_ref()).await, [7][..]);
    let create = CopyOptions { mode: CopyMode::Create, ..CopyOptions::default() };
    assert!(matches!(store.copy_opts(&from, &to, create).await, Err(Error::AlreadyExists { .. })));
    let create = RenameOptions { target_mode: RenameTargetMode::Create, ..RenameOptions::default() };
    assert!(matches!(store.rename_opts(&from, &to, create.clone()).await, Err(Error::AlreadyExists { .. })));
    store.rename_opts(&from, &moved, create).await.unwrap();
    assert_eq!(listed(store, Some("copy")).await, ["copy/c", "copy/deep/er/b"]);
    store.rename(&moved, &to).await.unwrap();
    assert_eq!(listed(store, Some("copy")).await, ["copy/deep/er/b"]);
}

async fn uploads_in_parts_appear_whole(store: &dyn ObjectStore, part_bytes: usize) {
    let at = path("parts/x");
    let mut upload = store.put_multipart(&at).await.unwrap();
    let parts: Vec<_> = (0..3_u8).map(|part| upload.put_part(vec![part; part_bytes].into())).collect();
    // Parts may finish in any order.
    futures::future::try_join_all(parts.into_iter().rev()).await.unwrap();
    assert!(listed(store, Some("parts")).await.is_empty());
    upload.complete().await.unwrap();
    let whole: Vec<u8> = (0..3_u8).flat_map(|part| vec![part; part_bytes]).collect();
    assert!(bytes(store, at.as_ref()).await == whole, "the parts are not joined in order");
    let mut aborted = store.put_multipart(&path("parts/y")).await.unwrap();
    aborted.put_part(vec![1].into()).await.unwrap();
    aborted.abort().await.unwrap();
    assert_eq!(listed(store, Some("parts")).await, ["parts/x"]);
}

async fn passes_every_scenario(store: Arc<dyn ObjectStore>) {
    passes_with_parts_of(store, 10).await;
}

/// Stores that are servers take no small parts.
async fn passes_with_parts_of(store: Arc<dyn ObjectStore>, part_bytes: usize) {
    objects_are_read_back(store.as_ref()).await;
    ranges_are_read(store.as_ref()).await;
    what_is_not_there_is_not_found(store.as_ref()).await;
    creation_lets_one_through(Arc::clone(&store)).await;
    lists_follow_folders(store.as_ref()).await;
    deleted_objects_are_gone(store.as_ref()).await;
    copies_and_renames_keep_the_bytes(store.as_ref()).await;
    uploads_in_parts_appear_whole(store.as_ref(), part_bytes).await;
}

/// The least that S3 takes as a part which is not the last.
const S3_PART_BYTES: usize = 5 << 20;

/// Knows nothing, so that nothing is compared.
#[derive(Debug)]
struct NothingExpected;

impl ExpectedObjects for NothingExpected {
    fn expected(&self, _: &Path) -> Option<ExpectedObject> {
        None
    }
}

fn local(folder: &tempfile::TempDir) -> Arc<DurableLocalStore> {
    DurableLocalStore::open(folder.path(), &SystemIds).unwrap()
}

#[tokio::test]
async fn the_memory_store_passes() {
    passes_every_scenario(Arc::new(InMemory::new())).await;
}

#[tokio::test]
async fn the_local_store_passes() {
    let folder = tempfile::tempdir().unwrap();
    passes_every_scenario(local(&folder)).await;
}

#[tokio::test]
async fn the_verifying_store_passes() {
    let folder = tempfile::tempdir().unwrap();
    passes_every_scenario(Arc::new(VerifyingStore::new(local(&folder), Arc::new(NothingExpected)))).await;
}

#[tokio::test]
async fn the_faulty_store_without_faults_passes() {
    let folder = tempfile::tempdir().unwrap();
    passes_every_scenario(Arc::new(FaultyStore::new(local(&folder), Faults::new()))).await;
}

#[tokio::test]
async fn the_s3_store_passes() {
    let server = Moto::start().await;
    passes_with_parts_of(s3_servers::store(server.address, ""), S3_PART_BYTES).await;
    // Below a prefix nothing of the above shows.
    let below = s3_servers::store(server.address, "some/deep%20er/prefix");
    assert!(listed(below.as_ref(), None).await.is_empty());
    passes_with_parts_of(below, S3_PART_BYTES).await;
    let whole = s3_servers::store(server.address, "some");
    assert_eq!(listed(whole.as_ref(), Some("deep er/prefix/copy")).await, ["deep er/prefix/copy/deep/er/b"]);
}

/// Its server lets several creators through at once, so that scenario is not among these.
#[tokio::test]
async fn the_s3_store_passes_where_signatures_and_checksums_are_checked() {
    let server = CheckingServer::start().await;
    let store = s3_servers::store(server.address, "prefix");
    objects_are_read_back(store.as_ref()).await;
    ranges_are_read(store.as_ref()).await;
    what_is_not_there_is_not_found(store.as_ref()).await;
    lists_follow_folders(store.as_ref()).await;
    deleted_objects_are_gone(store.as_ref()).await;
    copies_and_renames_keep_the_bytes(store.as_ref()).await;
    uploads_in_parts_appear_whole(store.as_ref(), S3_PART_BYTES).await;
}

#[tokio::test]
async fn the_front_of_layers_reads_what_the_layers_hold() {
    let folder = tempfile::tempdir().unwrap();
    let name = |text: &str| LayerName::new(text).unwrap();
    let (hot, cold) = (Layer::over(name("hot"), local(&folder)), Layer::over(name("cold"), Arc::new(InMemory::new())));
    for (layer, at) in [(&hot, "db/t/x"), (&cold, "db/t/y")] {
        layer.store.put(&path(at), at.as_bytes().to_vec().into()).await.unwrap();
    }
    let front = Layers::new(vec![hot, cold]).unwrap().front();
    assert_eq!(bytes(front.as_ref(), "hot/db/t/x").await, "db/t/x");
    assert_eq!(front.get_ranges(&path("cold/db/t/y"), &[3..4, 5..6]).await.unwrap(), ["t", "y"]);
    assert_eq!(front.head(&path("cold/db/t/y")).await.unwrap().location, path("cold/db/t/y"));
    what_is_not_there_is_not_found_in(front.as_ref()).await;
    assert_eq!(listed(front.as_ref(), None).await, ["cold/db/t/y", "hot/db/t/x"]);
    assert_eq!(listed(front.as_ref(), Some("hot/db")).await, ["hot/db/t/x"]);
    let level = front.list_with_delimiter(Some(&path("cold/db"))).await.unwrap();
    assert_eq!(level.common_prefixes, [path("cold/db/t")]);
    let refused = front.put(&path("hot/x"), "x".into()).await.unwrap_err();
    assert!(matches!(refused, Error::NotSupported { .. }), "{refused}");
    assert!(matches!(front.delete(&path("hot/db/t/x")).await, Err(Error::NotSupported { .. })));
}

async fn what_is_not_there_is_not_found_in(front: &dyn ObjectStore) {
    for at in ["hot/db/t/y", "warm/db/t/x"] {
        assert!(matches!(front.get(&path(at)).await, Err(Error::NotFound { .. })), "{at}");
    }
    assert!(listed(front, Some("warm/db")).await.is_empty());
}
