use futures::TryStreamExt;
use gigapi_model::{CatalogId, ErrorKind, SystemIds};
use http::Response;
use http_body_util::Full;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use object_store::{Error, ObjectStoreExt, PutMode};
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::s3_servers::{self, BUCKET, CheckingServer, KEY, Moto, SECRET, ScriptedServer, TIMING, answer};
use crate::{Layer, LayerKind, LayerSettings, Layers};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn open(settings: &LayerSettings) -> Layer {
    Layer::open(settings, &SystemIds).unwrap()
}

fn with_timing(mut settings: LayerSettings, timing: S3Timing) -> LayerSettings {
    if let LayerKind::S3(s3) = &mut settings.kind {
        s3.timing = timing;
    }
    settings
}

fn environment(variables: &[(&str, &str)]) -> S3Credentials {
    S3Credentials::Environment(AwsEnvironment::of(variables.iter().copied()))
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_told_without_it() {
    let server = CheckingServer::start().await;
    let wrong = open(&s3_servers::settings(server.address, "", s3_servers::keys("canary-secret")));
    let error = wrong.claim(CatalogId::from_uuid(Uuid::from_u128(1))).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("SignatureDoesNotMatch") && text.contains("check the layer's AUTH_KEY and AUTH_SECRET"),
        "{text}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{text} {error:?} {wrong:?}").contains("canary"), "{error:?}");
    assert!(!format!("{text} {error:?}").contains(KEY), "{error:?}");
    let stream: Vec<_> = wrong.store.delete_stream(futures::stream::iter([Ok(path("x"))]).boxed()).collect().await;
    assert!(
        stream.iter().all(|deleted| deleted.as_ref().is_err_and(|e| e.to_string().contains("SignatureDoesNotMatch")))
    );
}

#[tokio::test]
async fn nothing_of_an_open_layer_prints_its_keys() {
    let server = CheckingServer::start().await;
    let settings = s3_servers::settings(server.address, "p", s3_servers::keys("canary"));
    let layers = Layers::new(vec![open(&settings)]).unwrap();
    let stores = format!("{:?} {}", layers.first().store, layers.first().store);
    let printed = format!("{settings:?} {layers:?} {:?} {stores}", layers.front());
    assert!(!printed.contains("canary") && !printed.contains(KEY), "{printed}");
    assert!(stores.contains(&format!("s3://{}/{BUCKET}/p", server.address)), "{stores}");
}

#[tokio::test]
async fn a_missing_bucket_is_an_error_and_not_an_empty_layer() {
    let server = Moto::start().await;
    let mut settings = s3_servers::settings(server.address, "", s3_servers::keys(SECRET));
    settings.url = settings.url.replace(BUCKET, "elsewhere");
    let error = open(&settings).owner().await.unwrap_err();
    assert!(error.to_string().contains("make the bucket, or correct the layer's URL"), "{error}");
    assert_ne!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn host_names_are_reached_past_any_proxy() {
    // The client's own proxy leads nowhere: it must be for no host, whether a name or an address.
    let server = CheckingServer::start().await;
    let mut settings = s3_servers::settings(server.address, "", s3_servers::keys(SECRET));
    settings.url = settings.url.replace("127.0.0.1", "localhost");
    open(&settings).store.put(&path("x"), "1".into()).await.unwrap();
    assert_eq!(s3_servers::store(server.address, "").head(&path("x")).await.unwrap().size, 1);
}

#[tokio::test]
async fn lists_and_deletes_go_beyond_a_thousand_keys() {
    let server = Moto::start().await;
    let layer = s3_servers::layer(server.address, "many");
    let store = &layer.store;
    let all: Vec<Path> = (0..1005).map(|n| path(&format!("t/date=1/{n:04}"))).collect();
    let puts = futures::stream::iter(all.clone()).map(|at| async move { store.put(&at, "x".into()).await });
    puts.buffer_unordered(32).try_collect::<Vec<_>>().await.unwrap();
    let listed: Vec<_> = store.list(Some(&path("t"))).map_ok(|meta| meta.location).try_collect().await.unwrap();
    assert_eq!(listed, all);
    let gone: Vec<_> =
        store.delete_stream(futures::stream::iter(all.clone()).map(Ok).boxed()).try_collect().await.unwrap();
    assert_eq!(gone, all);
    assert!(store.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
    let counts = layer.requests.unwrap();
    let by: Vec<_> = counts.requests().collect();
    // Two pages, then an empty one; two deletes of many.
    assert_eq!(by, [("GET", "2xx", 3), ("PUT", "2xx", 1005), ("POST", "2xx", 2)]);
}

#[tokio::test]
async fn requests_carry_checksums_and_are_counted_with_every_retry() {
    let script =
        |_: &s3_servers::Asked, number: usize| Some(if number < 2 { answer(503, "busy") } else { answer(200, "body") });
    let server = ScriptedServer::start(script).await;
    let layer = s3_servers::layer(server.address, "");
    layer.store.put(&path("x"), "12345".into()).await.unwrap();
    assert_eq!(layer.store.get(&path("x")).await.unwrap().bytes().await.unwrap(), "body");
    let counts = layer.requests.unwrap();
    assert_eq!(counts.requests().collect::<Vec<_>>(), [("GET", "2xx", 1), ("PUT", "2xx", 1), ("PUT", "5xx", 2)]);
    assert_eq!((counts.total(), counts.sent_bytes()), (4, 15));
    // Of answers that nobody reads nothing is counted.
    assert_eq!(counts.received_bytes(), 4);
    let asked = server.asked.lock();
    assert!(asked[..3].iter().all(|asked| asked.headers.contains_key("x-amz-checksum-sha256")));
    assert!(asked.iter().all(|asked| asked.headers["user-agent"].to_str().unwrap().starts_with("gigapi/")));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let server = ScriptedServer::start(|_, _| None).await;
    let ms = Duration::from_millis;
    let timing = S3Timing { request_timeout: ms(100), retry_timeout: ms(400), ..TIMING };
    let layer = open(&with_timing(s3_servers::settings(server.address, "", s3_servers::keys(SECRET)), timing));
    let start = Instant::now();
    let error = layer.store.get(&path("x")).await.unwrap_err();
    // The last attempt starts before the limit; before it comes a wait of at most 15 seconds, here far less.
    assert!((ms(400)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(error.to_string().contains("operation timed out"), "{error}");
    let asked = server.asked.lock().len() as u64;
    assert!(asked >= 2);
    assert_eq!(layer.requests.unwrap().requests().collect::<Vec<_>>(), [("GET", "none", asked)]);

    let once = S3Timing { retries_max: 0, ..timing };
    let layer = open(&with_timing(s3_servers::settings(server.address, "", s3_servers::keys(SECRET)), once));
    layer.store.put(&path("x"), "1".into()).await.unwrap_err();
    assert_eq!(layer.requests.unwrap().total(), 1);
}

#[tokio::test]
async fn nobody_listening_is_told_with_its_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let timing = S3Timing { retries_max: 0, ..TIMING };
    let layer = open(&with_timing(s3_servers::settings(address, "", s3_servers::keys(SECRET)), timing));
    let error = layer.owner().await.unwrap_err().to_string();
    assert!(error.contains("Connection refused") && error.contains(&address.to_string()), "{error}");
    assert_eq!(layer.requests.unwrap().requests().collect::<Vec<_>>(), [("GET", "none", 1)]);
}

#[tokio::test]
async fn an_environments_keys_sign_requests() {
    let server = CheckingServer::start().await;
    let given = environment(&[("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ROLE_ARN", "")]);
    let layer = open(&s3_servers::settings(server.address, "", given));
    layer.store.put(&path("x"), "1".into()).await.unwrap();
    // A variable that would lead elsewhere, or switch signing off, has no effect.
    let others = [("AWS_ENDPOINT_URL_S3", "http://192.0.2.1"), ("AWS_SKIP_SIGNATURE", "true")];
    assert_eq!(environment(&others), environment(&[]));
}

#[tokio::test]
async fn a_containers_role_signs_requests_and_is_not_counted() {
    let server = CheckingServer::start().await;
    let roles = ScriptedServer::start(|_, _| {
        let body = format!(
            r#"{{"AccessKeyId":"{KEY}","SecretAccessKey":"{SECRET}","Token":"","Expiration":"2999-01-01T00:00:00Z","RoleArn":"r"}}"#
        );
        Some(Response::new(Full::from(body)))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token-of-the-container").unwrap();
    let uri = format!("http://{}/credentials", roles.address);
    let given = environment(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ]);
    let layer = open(&s3_servers::settings(server.address, "", given));
    let answered = layer.store.put(&path("x"), "1".into()).await;
    let asked = roles.asked.lock().clone();
    assert_eq!(asked.len(), 1, "{answered:?}");
    assert_eq!(asked[0].target, "/credentials");
    assert_eq!(asked[0].headers["authorization"], "token-of-the-container");
    answered.unwrap();
    assert_eq!(layer.requests.unwrap().requests().collect::<Vec<_>>(), [("PUT", "2xx", 1)]);
}

#[tokio::test]
async fn an_instances_role_is_asked_for_where_the_environment_names_nothing() {
    let metadata = ScriptedServer::start(|asked, _| match asked.method.as_str() {
        "PUT" => Some(answer(200, "token-of-the-instance")),
        _ => Some(answer(404, "")),
    })
    .await;
    let endpoint = format!("http://{}", metadata.address);
    let given = environment(&[("AWS_METADATA_ENDPOINT", &endpoint)]);
    let layer = open(&s3_servers::settings(metadata.address, "", given));
    layer.store.get(&path("x")).await.unwrap_err();
    let asked: Vec<_> =
        metadata.asked.lock().iter().map(|asked| (asked.method.clone(), asked.target.clone())).collect();
    assert_eq!(asked[0], ("PUT".to_owned(), "/latest/api/token".to_owned()));
    assert_eq!(asked[1].1, "/latest/meta-data/iam/security-credentials/");
}

/// Notes where requests go, and answers none.
#[derive(Debug, Default, Clone)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Recorder {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Recorder {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let credential = request.headers()["authorization"].to_str().unwrap().split(',').next().unwrap().to_owned();
        let region = credential.rsplit('/').nth(2).unwrap().to_owned();
        self.0.lock().push(format!("{} {} {region}", request.method(), request.uri()));
        let mut answer = HttpResponse::new(Bytes::new().into());
        *answer.status_mut() = http::StatusCode::FORBIDDEN;
        Ok(answer)
    }
}

async fn asked(url: &str, region: Option<&str>) -> Vec<String> {
    let settings =
        S3Settings { credentials: s3_servers::keys(SECRET), region: region.map(ToOwned::to_owned), timing: TIMING };
    let location = S3Location::parse(url).unwrap();
    let recorder = Recorder::default();
    let client = builder(&location, &settings).with_http_connector(recorder.clone()).build().unwrap();
    let store = PrefixStore::new(client, location.prefix);
    let options = PutOptions::from(PutMode::Create);
    assert!(matches!(store.put_opts(&path("a b/x"), "1".into(), options).await, Err(Error::PermissionDenied { .. })));
    store.list(None).try_collect::<Vec<_>>().await.unwrap_err();
    store.delete(&path("x")).await.unwrap_err();
    recorder.0.lock().clone()
}

#[tokio::test]
async fn the_bucket_goes_before_the_host_or_into_the_path() {
    assert_eq!(
        asked("s3://s3.eu-west-1.amazonaws.com/b/p", Some("us-west-2")).await,
        [
            "PUT https://b.s3.eu-west-1.amazonaws.com/p/a%20b/x eu-west-1",
            "GET https://b.s3.eu-west-1.amazonaws.com/?list-type=2&prefix=p%2F eu-west-1",
            "POST https://b.s3.eu-west-1.amazonaws.com/?delete eu-west-1",
        ]
    );
    assert_eq!(
        asked("s3://minio:9000/b?secure=false&url-style=path", Some("us-west-2")).await,
        [
            "PUT http://minio:9000/b/a%20b/x us-west-2",
            "GET http://minio:9000/b?list-type=2 us-west-2",
            "POST http://minio:9000/b?delete us-west-2",
        ]
    );
    assert!(asked("s3://s3.amazonaws.com/b", None).await.iter().all(|asked| asked.ends_with(" us-east-1")));
}

/// A token service, which is spoken to in the clear by nobody, and behind it S3, which takes whatever is signed.
#[derive(Debug, Default, Clone)]
struct TokenService(Arc<Mutex<Vec<String>>>);

impl HttpConnector for TokenService {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for TokenService {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        if request.uri().host() == Some("sts.eu-west-1.amazonaws.com") {
            self.0.lock().push(format!("{} {}", request.method(), request.uri()));
            let credentials = "<AccessKeyId>key-of-the-role</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                <SessionToken>session</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>";
            let result = format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>{credentials}\
                 </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            );
            return Ok(HttpResponse::new(Bytes::from(result).into()));
        }
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        self.0.lock().push(format!("{} {}", header("authorization"), header("x-amz-security-token")));
        let mut answer = HttpResponse::new(Bytes::new().into());
        answer.headers_mut().insert("etag", HeaderValue::from_static("e"));
        Ok(answer)
    }
}

#[tokio::test]
async fn a_web_identity_becomes_a_role_that_signs_requests() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token-of-the-account").unwrap();
    let credentials = environment(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/gigapi"),
    ]);
    let settings = S3Settings { credentials, region: None, timing: TIMING };
    let location = S3Location::parse("s3://s3.eu-west-1.amazonaws.com/b").unwrap();
    let service = TokenService::default();
    let client = builder(&location, &settings).with_http_connector(service.clone()).build().unwrap();
    for object in ["x", "y"] {
        client.put(&path(object), "1".into()).await.unwrap();
    }
    let asked = service.0.lock().clone();
    assert_eq!(asked.len(), 3, "the role is asked for once: {asked:?}");
    assert!(asked[0].starts_with("POST https://sts.") && asked[0].contains("WebIdentityToken=token-of-the-account"));
    assert!(asked[1..].iter().all(|signed| signed.contains("Credential=key-of-the-role/")), "{asked:?}");
    assert!(asked[1..].iter().all(|signed| signed.ends_with(" session")), "{asked:?}");
}
