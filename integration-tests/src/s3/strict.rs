//! `s3s-fs` made to behave as S3 does where the product would notice the difference.
//!
//! What it adds, each found with a client of the product's own kind: conditional puts and completions are atomic;
//! a body whose checksum is wrong leaves the object as it was; conditional reads are; a bucket has to exist;
//! an upload that is unknown, aborted or completed is `NoSuchUpload`; a listing stands beside deletions.
//!
//! What stays: an object is a file, so one key cannot be a folder of another; listings carry no entity tags and
//! read the whole bucket; and a key may be no longer than file names allow, which is refused by name (`KeyTooLongError`).

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::dto::*;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::{Mutex, MutexGuard, RwLock};

/// The most bytes that are put at once; they are held in memory.
const PUT_BYTES_MAX: usize = 256 << 20;

/// Locks that keys share by their hash.
const LOCKS: usize = 256;

/// Bytes of a file name; `s3s-fs` keeps an object's attributes in a file named after bucket and key.
const NAME_BYTES_MAX: usize = 255;

/// The server.
pub(super) struct Strict {
    inner: FileSystem,
    root: PathBuf,
    /// Held while a key changes or is opened, never while a body is on its way.
    keys: Vec<Mutex<()>>,
    /// Shared by deletions, for a listing alone.
    listing: RwLock<()>,
}

impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strict").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Strict {
    pub(super) fn new(root: &Path) -> anyhow::Result<Self> {
        let inner = FileSystem::new(root).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let keys = std::iter::repeat_with(Mutex::default).take(LOCKS).collect();
        Ok(Self { inner, root: root.to_owned(), keys, listing: RwLock::default() })
    }

    async fn lock(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        let index = (hasher.finish() % LOCKS as u64) as usize;
        self.keys[index].lock().await
    }

    /// Whether a key can be written: its bucket exists, and the file system can name it.
    fn check_place(&self, bucket: &str, key: &str, upload: bool) -> S3Result<()> {
        if !self.root.join(bucket).is_dir() {
            return Err(s3_error!(NoSuchBucket));
        }
        let encoded = |bytes: usize| (bytes * 4).div_ceil(3);
        let marks = if upload {
            ".bucket-.object-.upload-.metadata.json".len() + 36
        } else {
            ".bucket-.object-.metadata.json".len()
        };
        let name = encoded(bucket.len()) + encoded(key.len()) + marks;
        if name > NAME_BYTES_MAX || key.split('/').any(|segment| segment.len() > NAME_BYTES_MAX) {
            return Err(s3_error!(KeyTooLongError, "this server keeps keys in file names"));
        }
        Ok(())
    }
}

/// Unknown uploads are refused by `s3s-fs` as if the client had no right to them.
fn unknown_upload(error: S3Error) -> S3Error {
    if *error.code() == S3ErrorCode::AccessDenied { s3_error!(NoSuchUpload) } else { error }
}

async fn whole_body(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    // The stream checks the digest that the signature covers, at its end.
    let whole = Body::from(body).store_all_limited(PUT_BYTES_MAX).await;
    whole.map_err(|error| S3Error::with_message(S3ErrorCode::BadDigest, error.to_string()))
}

/// Compares the body with the checksums that the client gave, before it or after it.
fn check_sums(request: &S3Request<PutObjectInput>, body: &[u8]) -> S3Result<()> {
    let input = &request.input;
    let trailer = |name: &str| {
        let read = |headers: &HeaderMap| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        request.trailing_headers.as_ref().and_then(|trailers| trailers.read(read).flatten())
    };
    let given = Checksum {
        checksum_crc32: input.checksum_crc32.clone().or_else(|| trailer("x-amz-checksum-crc32")),
        checksum_crc32c: input.checksum_crc32c.clone().or_else(|| trailer("x-amz-checksum-crc32c")),
        checksum_crc64nvme: input.checksum_crc64nvme.clone().or_else(|| trailer("x-amz-checksum-crc64nvme")),
        checksum_sha1: input.checksum_sha1.clone().or_else(|| trailer("x-amz-checksum-sha1")),
        checksum_sha256: input.checksum_sha256.clone().or_else(|| trailer("x-amz-checksum-sha256")),
        ..Checksum::default()
    };
    let mut hasher = ChecksumHasher {
        crc32: given.checksum_crc32.is_some().then(Default::default),
        crc32c: given.checksum_crc32c.is_some().then(Default::default),
        crc64nvme: given.checksum_crc64nvme.is_some().then(Default::default),
        sha1: given.checksum_sha1.is_some().then(Default::default),
        sha256: given.checksum_sha256.is_some().then(Default::default),
    };
    hasher.update(body);
    if hasher.finalize() == given {
        return Ok(());
    }
    Err(s3_error!(BadDigest, "the checksum you gave is not that of the body"))
}

#[async_trait::async_trait]
impl S3 for Strict {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut request = request;
        self.check_place(&request.input.bucket, &request.input.key, false)?;
        let body = whole_body(request.input.body.take()).await?;
        check_sums(&request, &body)?;
        request.input.body = Some(Body::from(body).into());
        let _changing = self.lock(&request.input.bucket, &request.input.key).await;
        self.inner.put_object(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let (if_match, if_none_match) = (request.input.if_match.clone(), request.input.if_none_match.clone());
        let _opening = self.lock(&request.input.bucket, &request.input.key).await;
        let found = self.inner.get_object(request).await?;
        let Some(tag) = &found.output.e_tag else { return Ok(found) };
        let is = |condition: &ETagCondition| condition.as_etag().is_none_or(|wanted| wanted.strong_cmp(tag));
        if if_match.is_some_and(|condition| !is(&condition)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if if_none_match.is_some_and(|condition| is(&condition)) {
            return Err(s3_error!(NotModified));
        }
        Ok(found)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.check_place(&request.input.bucket, &request.input.key, false)?;
        let _changing = self.lock(&request.input.bucket, &request.input.key).await;
        self.inner.copy_object(request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _beside = self.listing.read().await;
        let _changing = self.lock(&request.input.bucket, &request.input.key).await;
        self.inner.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let _beside = self.listing.read().await;
        self.inner.delete_objects(request).await
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let _alone = self.listing.write().await;
        self.inner.list_objects(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _alone = self.listing.write().await;
        self.inner.list_objects_v2(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.check_place(&request.input.bucket, &request.input.key, true)?;
        self.inner.create_multipart_upload(request).await
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.inner.upload_part(request).await.map_err(unknown_upload)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _changing = self.lock(&request.input.bucket, &request.input.key).await;
        self.inner.complete_multipart_upload(request).await.map_err(unknown_upload)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.inner.abort_multipart_upload(request).await.map_err(unknown_upload)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.inner.list_parts(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let _opening = self.lock(&request.input.bucket, &request.input.key).await;
        self.inner.head_object(request).await
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.inner.head_bucket(request).await
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        self.inner.create_bucket(request).await
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.inner.delete_bucket(request).await
    }

    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        self.inner.list_buckets(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.inner.get_bucket_location(request).await
    }
}
