//! S3 servers: ours behaves as the other one does, refuses what it should, and fails as it is told.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::{CatalogId, LayerName, SystemIds};
use gigapi_storage::{HiddenText, LayerKind, LayerSettings, Layers, S3Credentials, S3Settings, S3Timing};
use integration_tests::{Account, Moto, S3, S3Fault, until};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    ClientOptions, Error, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig, UpdateVersion, WriteMultipart,
};
use tokio::time::Instant;
use uuid::Uuid;

const BUCKET: &str = "bucket";

async fn server() -> S3 {
    let server = S3::start().await.unwrap();
    server.make_bucket(BUCKET).unwrap();
    server
}

/// A client that asks once.
fn once(account: &Account) -> AmazonS3 {
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    account.builder(BUCKET).unwrap().with_retry(retry).build().unwrap()
}

fn create() -> PutOptions {
    PutOptions::from(PutMode::Create)
}

/// Of eight that create one object at the same time, one wins, and its bytes are there.
async fn one_of_eight_wins(account: &Account) {
    let stores: Vec<AmazonS3> = (0..8).map(|_| account.store(BUCKET).unwrap()).collect();
    for round in 0..10 {
        let path = Path::from(format!("race/{round}"));
        let tries = stores.iter().enumerate().map(|(number, store)| {
            let path = path.clone();
            async move { store.put_opts(&path, PutPayload::from(vec![number as u8; 1000]), create()).await }
        });
        let mut winners = Vec::new();
        for (number, outcome) in join_all(tries).await.into_iter().enumerate() {
            match outcome {
                Ok(_) => winners.push(number as u8),
                Err(Error::AlreadyExists { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        assert_eq!(account.get(BUCKET, path.as_ref()).await.unwrap(), vec![winners[0]; 1000]);
    }
}

/// Of eight that replace one version, one wins.
async fn one_of_eight_replaces(account: &Account) {
    let (store, path) = (account.store(BUCKET).unwrap(), Path::from("replaced"));
    let mut version = UpdateVersion::from(store.put(&path, "first".into()).await.unwrap());
    for round in 0..5 {
        // Equal bytes would be the same version.
        let bytes = |number: usize| format!("{round} {number}").into();
        let mode = || PutOptions::from(PutMode::Update(version.clone()));
        let tries = join_all((0..8).map(|number| store.put_opts(&path, bytes(number), mode()))).await;
        let mut winners = Vec::new();
        for outcome in tries {
            match outcome {
                Ok(put) => winners.push(put),
                Err(Error::Precondition { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        version = UpdateVersion::from(winners.remove(0));
    }
}

async fn large_objects_arrive_in_parts(account: &Account) {
    let (store, path) = (account.store(BUCKET).unwrap(), Path::from("large"));
    let bytes: Bytes = (0..20 << 20).map(|number: u32| (number * 7 % 253) as u8).collect::<Vec<_>>().into();
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&path).await.unwrap(), 6 << 20);
    upload.put(bytes.clone());
    assert!(store.head(&path).await.is_err(), "there before it is complete");
    upload.finish().await.unwrap();
    assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == bytes);
    assert_eq!(store.get_range(&path, 7_000_000..7_000_010).await.unwrap(), bytes.slice(7_000_000..7_000_010));
    let mut given_up = store.put_multipart(&Path::from("given-up")).await.unwrap();
    given_up.put_part(vec![1; 5 << 20].into()).await.unwrap();
    given_up.abort().await.unwrap();
    assert!(given_up.put_part(vec![1; 100].into()).await.is_err());
    assert!(matches!(store.head(&Path::from("given-up")).await, Err(Error::NotFound { .. })));
}

async fn long_listings_are_complete(account: &Account) {
    let store = account.store(BUCKET).unwrap();
    let mut expected: Vec<String> =
        (0..1_100).map(|number| format!("db%20x/t/date={}/{number:04}", number % 3)).collect();
    let puts = expected.iter().map(|key| {
        let path = Path::parse(key).unwrap();
        let store = &store;
        async move { store.put(&path, "x".into()).await }
    });
    futures::stream::iter(puts).buffer_unordered(8).try_collect::<Vec<_>>().await.unwrap();
    store.put(&Path::parse("elsewhere/x").unwrap(), "x".into()).await.unwrap();
    expected.sort_unstable();
    let prefix = Path::parse("db%20x/t").unwrap();
    let found: Vec<String> =
        store.list(Some(&prefix)).map_ok(|found| found.location.into()).try_collect().await.unwrap();
    assert_eq!(found, expected);
    let from = Path::parse(&expected[999]).unwrap();
    let rest: Vec<String> =
        store.list_with_offset(Some(&prefix), &from).map_ok(|found| found.location.into()).try_collect().await.unwrap();
    assert_eq!(rest, expected[1000..]);
    let folders = store.list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!((folders.common_prefixes.len(), folders.objects.len()), (3, 0));
    assert_eq!(folders.common_prefixes[2].as_ref(), "db%20x/t/date=2");
    let doomed: Vec<_> = expected.iter().map(|key| Ok(Path::parse(key).unwrap())).collect();
    let gone: Vec<Path> = store.delete_stream(futures::stream::iter(doomed).boxed()).try_collect().await.unwrap();
    assert_eq!(gone.len(), 1_100);
    assert!(store.list(Some(&prefix)).next().await.is_none());
}

async fn conditions_are_kept(account: &Account) {
    let (store, path) = (account.store(BUCKET).unwrap(), Path::from("conditional"));
    let tag = store.put(&path, "bytes".into()).await.unwrap().e_tag;
    let unchanged = GetOptions { if_none_match: tag.clone(), ..GetOptions::default() };
    assert!(matches!(store.get_opts(&path, unchanged).await, Err(Error::NotModified { .. })));
    let same = GetOptions { if_match: tag, ..GetOptions::default() };
    assert_eq!(store.get_opts(&path, same).await.unwrap().bytes().await.unwrap(), "bytes");
    let other = GetOptions { if_match: Some("\"00000000000000000000000000000000\"".into()), ..GetOptions::default() };
    assert!(matches!(store.get_opts(&path, other).await, Err(Error::Precondition { .. })));
    store.delete(&path).await.unwrap();
    assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));
    // Deleting what is not there is no error in S3.
    store.delete(&path).await.unwrap();
    let nowhere = account.store("no-such-bucket").unwrap();
    assert!(matches!(nowhere.put(&path, "x".into()).await, Err(Error::NotFound { .. })));
}

async fn behaves(account: &Account) {
    large_objects_arrive_in_parts(account).await;
    long_listings_are_complete(account).await;
    conditions_are_kept(account).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_behaves_as_s3_does() {
    let server = server().await;
    one_of_eight_wins(server.account()).await;
    one_of_eight_replaces(server.account()).await;
    behaves(server.account()).await;
}

/// But for races: it looks and writes in two steps, so of two that create one object both may win.
#[tokio::test(flavor = "multi_thread")]
async fn moto_behaves_as_ours_does() {
    let moto = Moto::start().await.unwrap();
    moto.make_bucket(BUCKET).await.unwrap();
    behaves(moto.account()).await;
    assert!(moto.account().keys(BUCKET).await.unwrap().contains(&"large".to_owned()));
    moto.account().delete(BUCKET, "large").await.unwrap();
    assert!(!moto.account().keys(BUCKET).await.unwrap().contains(&"large".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_or_checksum_is_refused_and_changes_nothing() {
    let server = server().await;
    let path = Path::from("object");
    server.account().store(BUCKET).unwrap().put(&path, "right".into()).await.unwrap();
    let stranger = server.account().with_secret("another secret");
    let error = stranger.store(BUCKET).unwrap().put(&path, "wrong".into()).await.unwrap_err();
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
    assert!(stranger.get(BUCKET, "object").await.is_err());
    let anonymous = reqwest::get(format!("{}/{BUCKET}/object", server.account().endpoint())).await.unwrap();
    assert_eq!(anonymous.status(), 403);
    let store = server.account().store(BUCKET).unwrap();
    let url = store.signed_url(reqwest::Method::PUT, &path, Duration::from_secs(60)).await.unwrap();
    let put =
        |sum: &'static str| reqwest::Client::new().put(url.clone()).header("x-amz-checksum-crc32c", sum).body("abc");
    let refused = put("AAAAAA==").send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("BadDigest"));
    assert_eq!(server.account().get(BUCKET, "object").await.unwrap(), "right");
    assert_eq!(put("Nks/tw==").send().await.unwrap().status(), 200);
    assert_eq!(server.account().get(BUCKET, "object").await.unwrap(), "abc");
    assert_eq!(std::fs::read(server.folder().join(BUCKET).join("object")).unwrap(), b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_ends_once_and_a_key_that_cannot_be_a_file_is_refused_by_name() {
    use object_store::multipart::MultipartStore;
    let server = server().await;
    let (store, path) = (once(server.account()), Path::from("object"));
    let upload = store.create_multipart(&path).await.unwrap();
    let part = store.put_part(&path, &upload, 0, "bytes".into()).await.unwrap();
    store.complete_multipart(&path, &upload, vec![part.clone()]).await.unwrap();
    let error = store.complete_multipart(&path, &upload, vec![part]).await.unwrap_err();
    assert!(error.to_string().contains("NoSuchUpload"), "{error}");
    let long = Path::from(format!("db/{}", "x".repeat(240)));
    for error in [store.put(&long, "x".into()).await.unwrap_err(), store.create_multipart(&long).await.unwrap_err()] {
        assert!(error.to_string().contains("KeyTooLongError"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_may_be_part_of_the_name() {
    let server = server().await;
    let path = Path::from("object");
    server.account().store(BUCKET).unwrap().put(&path, "bytes".into()).await.unwrap();
    let host = format!("{BUCKET}.localhost");
    let port = server.address().split(':').nth(1).unwrap().to_owned();
    let builder = server.account().builder(BUCKET).unwrap().with_endpoint(format!("http://{host}:{port}"));
    let store = builder.with_virtual_hosted_style_request(true).build().unwrap();
    let url = store.signed_url(reqwest::Method::GET, &path, Duration::from_secs(60)).await.unwrap();
    assert_eq!(url.path(), "/object");
    let client = reqwest::Client::builder().resolve(&host, server.address().parse().unwrap()).build().unwrap();
    assert_eq!(client.get(url).send().await.unwrap().text().await.unwrap(), "bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_trusted_by_the_authority_alone() {
    let server = S3::start_tls().await.unwrap();
    server.make_bucket(BUCKET).unwrap();
    assert!(server.account().layer_url(BUCKET, "data").ends_with("/bucket/data?secure=true&url-style=path"));
    let path = Path::from("object");
    once(server.account()).put(&path, "bytes".into()).await.unwrap();
    assert_eq!(server.beside().get(BUCKET, "object").await.unwrap(), "bytes");
    // Without the authority's certificate.
    let stranger = server.account().builder(BUCKET).unwrap().with_client_options(ClientOptions::new());
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    assert!(stranger.with_retry(retry).build().unwrap().get(&path).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_what_was_ordered_and_all_are_counted() {
    let server = server().await;
    let store = once(server.account());
    let put = async |name: &str| store.put(&Path::from(name), vec![1; 1000].into()).await;
    put("well").await.unwrap();
    server.set(S3Fault { slow_down: 1.0, ..S3Fault::default() });
    let error = put("slow").await.unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("SlowDown"), "{error}");
    server.set(S3Fault { error_before: 1.0, ..S3Fault::default() });
    assert!(put("before").await.unwrap_err().to_string().contains("500"));
    server.set(S3Fault { error_after: 1.0, ..S3Fault::default() });
    assert!(put("after").await.unwrap_err().to_string().contains("500"));
    server.set(S3Fault { reset: 1.0, ..S3Fault::default() });
    assert!(put("reset").await.is_err());
    let keys = server.beside().keys(BUCKET).await.unwrap();
    assert!(keys.iter().filter(|key| *key != "reset").eq(["after", "well"]), "{keys:?}");
    server.restore();
    assert_eq!(server.account().get(BUCKET, "after").await.unwrap().len(), 1000);
    server.account().keys(BUCKET).await.unwrap();
    server.account().delete(BUCKET, "after").await.unwrap();
    let counts = server.counts();
    assert_eq!((counts.of("PUT"), counts.of("GET"), counts.of("LIST"), counts.of("DELETE")), (5, 1, 1, 1));
    assert_eq!(counts.all(), 8);
    assert_eq!((counts.slowed_down, counts.failed_before, counts.failed_after, counts.reset), (1, 1, 1, 1));
    assert!(counts.bytes_in >= 4000 && counts.bytes_out >= 1000, "{counts:?}");
    let told = reqwest::get(format!("{}/_counts", server.account().endpoint())).await.unwrap();
    assert_eq!(told.text().await.unwrap(), counts.to_json().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_fails_the_same_requests() {
    let server = server().await;
    let store = once(server.account());
    let path = Path::from("object");
    let mut rounds = Vec::new();
    for seed in [1, 1, 2] {
        server.set(S3Fault { slow_down: 0.1, error_after: 0.1, reset: 0.1, seed, ..S3Fault::default() });
        let mut fates = Vec::new();
        for _ in 0..100 {
            fates.push(store.put(&path, "x".into()).await.is_ok());
        }
        rounds.push(fates);
    }
    let failed = rounds[0].iter().filter(|&&well| !well).count();
    assert!((15..=50).contains(&failed), "{failed} of 100");
    assert_eq!(rounds[0], rounds[1]);
    assert_ne!(rounds[0], rounds[2]);
    let counts = server.counts();
    let all = counts.slowed_down + counts.failed_after + counts.reset;
    assert_eq!(all as usize, rounds.iter().flatten().filter(|&&well| !well).count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_slow_until_it_is_restored() {
    let server = server().await;
    let store = server.account().store(BUCKET).unwrap();
    let path = Path::from("object");
    server.set(S3Fault { delay: Duration::from_millis(300), ..S3Fault::default() });
    let start = Instant::now();
    store.put(&path, "x".into()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    server.set(S3Fault { bytes_per_second: Some(1000), ..S3Fault::default() });
    let start = Instant::now();
    store.put(&path, vec![1; 1000].into()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap().len(), 1000);
    assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    // A megabyte would take a quarter of an hour.
    let sending = tokio::spawn(async move { store.put(&path, vec![1; 1 << 20].into()).await });
    let begun = async || Ok(server.counts().bytes_in >= 1500);
    until("the beginning of a slow upload", Duration::from_secs(10), begun).await.unwrap();
    assert!(!sending.is_finished());
    server.restore();
    tokio::time::timeout(Duration::from_secs(20), sending).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_catalogs_that_race_over_processes_one_gets_the_layer() {
    // Here and not beside the layers' tests: `moto_server` lets two win now and then.
    let server = server().await;
    let claims = (0..12).map(|number| {
        // Each with a client of its own, as processes have.
        let settings = layer_settings(server.account());
        tokio::spawn(async move {
            let layers = Layers::open(&[settings], &SystemIds).unwrap();
            layers.claim(CatalogId::from_uuid(Uuid::from_u128(number))).await
        })
    });
    let claims: Vec<_> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1, "{claims:?}");
    assert!(
        claims
            .into_iter()
            .filter_map(Result::err)
            .all(|error| matches!(error, gigapi_storage::Error::ForeignLayer { .. }))
    );
}

fn layer_settings(account: &Account) -> LayerSettings {
    let credentials =
        S3Credentials::Keys { key: HiddenText::new(account.key()), secret: HiddenText::new(account.secret()) };
    let second = Duration::from_secs(1);
    let (connect_timeout, request_timeout, retry_timeout) = (5 * second, 30 * second, 60 * second);
    let timing = S3Timing { connect_timeout, request_timeout, retry_timeout, retries_max: 10 };
    LayerSettings {
        name: LayerName::new("objects").unwrap(),
        kind: LayerKind::S3(S3Settings { credentials, region: None, timing }),
        url: account.layer_url(BUCKET, "raced"),
        global: true,
        ttl: None,
    }
}
