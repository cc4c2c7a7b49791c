//! How a server is reached, for the product's settings and for the harness' own look at the objects.

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Certificate, ClientOptions, ObjectStore, ObjectStoreExt};

/// An address with a key.
#[derive(Debug, Clone)]
pub struct Account {
    address: String,
    key: String,
    secret: String,
    authority: Option<PathBuf>,
}

impl Account {
    pub(super) fn new(address: String, key: &str, secret: &str, authority: Option<PathBuf>) -> Self {
        Self { address, key: key.to_owned(), secret: secret.to_owned(), authority }
    }

    /// The same at another address, as a proxy's.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    /// The same with another secret.
    #[must_use]
    pub fn with_secret(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }

    /// The access key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// `http://` or `https://` and the address.
    pub fn endpoint(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The URL of a layer, as the product takes it.
    pub fn layer_url(&self, bucket: &str, prefix: &str) -> String {
        format!("s3://{}/{bucket}/{prefix}?secure={}&url-style=path", self.address, self.authority.is_some())
    }

    /// What a client of a bucket is made of; retries are those of `object_store`.
    pub fn builder(&self, bucket: &str) -> Result<AmazonS3Builder> {
        let mut options = ClientOptions::new().with_allow_http(true);
        if let Some(authority) = &self.authority {
            options = options.with_root_certificate(Certificate::from_pem(&std::fs::read(authority)?)?);
        }
        Ok(AmazonS3Builder::new()
            .with_client_options(options)
            .with_endpoint(self.endpoint())
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_access_key_id(&self.key)
            .with_secret_access_key(&self.secret))
    }

    /// A client of a bucket.
    pub fn store(&self, bucket: &str) -> Result<AmazonS3> {
        Ok(self.builder(bucket)?.build()?)
    }

    /// The keys of a bucket, sorted.
    pub async fn keys(&self, bucket: &str) -> Result<Vec<String>> {
        let mut keys: Vec<String> =
            self.store(bucket)?.list(None).map_ok(|object| object.location.into()).try_collect().await?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// An object's bytes.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Bytes> {
        Ok(self.store(bucket)?.get(&Path::parse(key)?).await?.bytes().await?)
    }

    /// Deletes an object.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        Ok(self.store(bucket)?.delete(&Path::parse(key)?).await?)
    }
}
