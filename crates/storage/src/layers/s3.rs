//! A bucket that speaks S3 as an object store.
//!
//! Settings become a client of `object_store` here: where requests go, who signs them, how long they may take and
//! how often they are tried again. Around it lies what that client does not do: failures are told in words without
//! keys, requests are counted, and nothing of it can be printed with a secret in it.
//!
//! HTTPS trusts the system's roots; `SSL_CERT_FILE` names others. Proxies of the environment are not used.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::LayerName;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, CopyOptions, GetOptions, GetResult, GetResultPayload, HeaderValue, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, RetryConfig, UploadPart,
};

mod counting;
mod failure;
mod location;
mod settings;

use counting::CountingConnector;
pub use counting::RequestCounts;
use failure::explained;
pub use location::{S3Location, UrlStyle};
pub use settings::{AwsEnvironment, HiddenText, S3Credentials, S3Settings, S3Timing};

/// How this store calls itself in errors.
const NAME: &str = "S3";

/// Where nothing says otherwise.
const REGION: &str = "us-east-1";

/// A bucket, or what lies below a prefix in it.
pub(super) struct S3Store {
    inner: PrefixStore<AmazonS3>,
    place: String,
}

impl S3Store {
    /// Makes the client; does not connect.
    pub(super) fn open(
        layer: &LayerName,
        url: &str,
        settings: &S3Settings,
    ) -> crate::Result<(Arc<Self>, Arc<RequestCounts>)> {
        let refused = |reason: String| crate::Error::Settings { layer: layer.to_string(), reason };
        let location = S3Location::parse(url).map_err(|problem| refused(format!("the url {problem}")))?;
        let counts = Arc::new(RequestCounts::default());
        let connector = CountingConnector { authority: location.authority(), counts: Arc::clone(&counts) };
        let client = builder(&location, settings).with_http_connector(connector).build();
        let client = client.map_err(|error| refused(format!("no client can be made: {}", explained(error))))?;
        let place = format!("s3://{}/{}/{}", location.endpoint, location.bucket, location.prefix);
        Ok((Arc::new(Self { inner: PrefixStore::new(client, location.prefix), place }), counts))
    }
}

fn builder(location: &S3Location, settings: &S3Settings) -> AmazonS3Builder {
    let region = location.region.as_deref().or(settings.region.as_deref()).unwrap_or(REGION);
    let builder = AmazonS3Builder::new()
        .with_endpoint(location.endpoint_url())
        .with_virtual_hosted_style_request(location.style == UrlStyle::VirtualHost)
        .with_bucket_name(&location.bucket)
        .with_region(region)
        .with_client_options(client_options(location, &settings.timing))
        .with_retry(retries(&settings.timing))
        .with_checksum_algorithm(Checksum::SHA256)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
    settings.credentials.apply(builder)
}

fn client_options(location: &S3Location, timing: &S3Timing) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(!location.secure)
        .with_connect_timeout(timing.connect_timeout)
        .with_timeout(timing.request_timeout)
        .with_user_agent(HeaderValue::from_static(concat!("gigapi/", env!("CARGO_PKG_VERSION"))))
        // The client takes proxies from the environment unless it has one of its own: this one is for no host.
        .with_proxy_url("http://proxy.invalid")
        .with_proxy_excludes("*,0.0.0.0/0,::/0")
}

/// Waits between attempts are drawn at random between a tenth of a second and twice the one before.
fn retries(timing: &S3Timing) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: timing.retries_max,
        retry_timeout: timing.retry_timeout,
    }
}

impl fmt::Debug for S3Store {
    /// Without the client, which knows keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("place", &self.place).finish_non_exhaustive()
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.place)
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await.map_err(explained)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, options).await.map_err(explained)?;
        Ok(Box::new(Explained(upload)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(location, options).await.map_err(explained)?;
        let GetResult { payload, mut meta, range, attributes } = found;
        let payload = match payload {
            GetResultPayload::Stream(stream) => GetResultPayload::Stream(stream.map_err(explained).boxed()),
            file @ GetResultPayload::File(..) => file,
        };
        // The client answers with the key in the bucket.
        meta.location = location.clone();
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await.map_err(explained)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations).map_err(explained).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix).map_err(explained).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await.map_err(explained)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await.map_err(explained)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await.map_err(explained)
    }
}

/// An upload in parts whose failures are told in words.
#[derive(Debug)]
struct Explained(Box<dyn MultipartUpload>);

#[async_trait]
impl MultipartUpload for Explained {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let part = self.0.put_part(payload);
        Box::pin(async move { part.await.map_err(explained) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.0.complete().await.map_err(explained)
    }

    async fn abort(&mut self) -> Result<()> {
        self.0.abort().await.map_err(explained)
    }
}

#[cfg(test)]
mod tests;
