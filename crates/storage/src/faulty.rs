//! A store that fails on purpose, for tests of everything above a store.
//!
//! Faults are rules in a shared list: which operation, on which paths, after how many calls, how often, and what
//! happens. What a fault does to a call is what a real store does: it may fail before anything happened, fail although
//! everything happened, answer late, or cut a body short. Without rules it changes nothing.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use parking_lot::Mutex;

const NAME: &str = "FaultyStore";

/// What a call to the store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Any write of one object, in parts or not.
    Put,
    /// Any read of an object's bytes or head.
    Get,
    /// A delete of one object.
    Delete,
    /// Either list.
    List,
    /// A copy or a rename.
    Copy,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It fails; nothing happened.
    ErrorBefore,
    /// It fails although everything happened.
    ErrorAfter,
    /// It fails as on a full disk; nothing happened.
    DiskFull,
    /// It takes this long before it happens.
    Latency(Duration),
    /// A read yields at most this many bytes and then ends as if there were no more.
    ShortBody(u64),
    /// A read yields a body whose byte at this offset has one bit flipped.
    FlippedBit(u64),
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which calls it is about.
    pub operation: Operation,
    /// Only calls on paths that contain this; all, if empty.
    pub path_contains: String,
    /// Lets this many such calls pass first.
    pub after: u64,
    /// Then happens this many times.
    pub times: u64,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// Happens to the next call of that operation, once.
    pub fn next(operation: Operation, action: Action) -> Self {
        Self { operation, path_contains: String::new(), after: 0, times: 1, action }
    }

    /// Happens to every call of that operation.
    pub fn always(operation: Operation, action: Action) -> Self {
        Self { times: u64::MAX, ..Self::next(operation, action) }
    }

    /// Lets `after` calls pass first.
    #[must_use]
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    /// Only calls on paths that contain `text`.
    #[must_use]
    pub fn on(self, text: &str) -> Self {
        Self { path_contains: text.to_owned(), ..self }
    }
}

/// The rules of one or more stores, changed while they are in use.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Fault>>,
    calls: Mutex<Vec<(Operation, Path)>>,
}

impl Faults {
    /// No rules.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a rule; earlier rules go first.
    pub fn add(&self, fault: Fault) {
        self.rules.lock().push(fault);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.lock().clear();
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<(Operation, Path)> {
        self.calls.lock().clone()
    }

    /// All calls since the last time they were taken.
    pub fn take_calls(&self) -> Vec<(Operation, Path)> {
        std::mem::take(&mut *self.calls.lock())
    }

    /// Notes the call and tells what happens to it: the first rule that fits and is not used up.
    fn meet(&self, operation: Operation, path: &Path) -> Option<Action> {
        self.calls.lock().push((operation, path.clone()));
        let mut rules = self.rules.lock();
        let fits = |rule: &&mut Fault| {
            rule.operation == operation && rule.times > 0 && path.as_ref().contains(&rule.path_contains)
        };
        let rule = rules.iter_mut().find(fits)?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.action)
    }
}

/// A store with faults.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    /// `inner` under these rules.
    pub fn new(inner: Arc<dyn ObjectStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    /// Waits or fails before the call. What is left is for after it.
    async fn before(&self, operation: Operation, path: &Path) -> Result<Option<Action>> {
        let action = self.faults.meet(operation, path);
        match action {
            Some(Action::Latency(latency)) => tokio::time::sleep(latency).await,
            Some(Action::ErrorBefore) => return Err(injected("before", path, io::ErrorKind::ConnectionReset)),
            Some(Action::DiskFull) => return Err(injected("before", path, io::ErrorKind::StorageFull)),
            _ => {}
        }
        Ok(action)
    }
}

fn injected(when: &'static str, path: &Path, kind: io::ErrorKind) -> Error {
    let source = io::Error::new(kind, format!("injected {when} the call on {path}"));
    Error::Generic { store: NAME, source: Box::new(source) }
}

fn after<T>(action: Option<Action>, path: &Path, done: T) -> Result<T> {
    match action {
        Some(Action::ErrorAfter) => Err(injected("after", path, io::ErrorKind::TimedOut)),
        _ => Ok(done),
    }
}

fn flip(bytes: Bytes, at: u64) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1;
    }
    bytes.into()
}

fn shorten(bytes: Bytes, limit: u64) -> Bytes {
    bytes.slice(..bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX)))
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let action = self.before(Operation::Put, location).await?;
        let done = self.inner.put_opts(location, payload, options).await?;
        after(action, location, done)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let action = self.before(Operation::Put, location).await?;
        let done = self.inner.put_multipart_opts(location, options).await?;
        after(action, location, done)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let action = self.before(Operation::Get, location).await?;
        let found = self.inner.get_opts(location, options).await?;
        let damage: fn(Bytes, u64) -> Bytes = match action {
            Some(Action::ShortBody(_)) => shorten,
            Some(Action::FlippedBit(_)) => flip,
            _ => return after(action, location, found),
        };
        let Some(Action::ShortBody(at) | Action::FlippedBit(at)) = action else { return Ok(found) };
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let bytes = damage(found.bytes().await?, at);
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let action = self.before(Operation::Get, location).await?;
        let mut found = self.inner.get_ranges(location, ranges).await?;
        if let Some(first) = found.first_mut() {
            match action {
                Some(Action::ShortBody(limit)) => *first = shorten(std::mem::take(first), limit),
                Some(Action::FlippedBit(at)) => *first = flip(std::mem::take(first), at),
                _ => {}
            }
        }
        after(action, location, found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .and_then(move |location| {
                let store = store.clone();
                async move {
                    let action = store.before(Operation::Delete, &location).await?;
                    let one = stream::once({
                        let location = location.clone();
                        async move { Ok(location) }
                    });
                    let done: Vec<Path> = store.inner.delete_stream(one.boxed()).try_collect().await?;
                    after(action, &location, done)?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        stream::once(async move {
            let place = prefix.clone().unwrap_or_default();
            let action = store.before(Operation::List, &place).await?;
            let listed: Vec<ObjectMeta> = store.inner.list(prefix.as_ref()).try_collect().await?;
            let listed = after(action, &place, listed)?;
            Ok::<_, Error>(stream::iter(listed).map(Ok))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let place = prefix.cloned().unwrap_or_default();
        let action = self.before(Operation::List, &place).await?;
        let listed = self.inner.list_with_delimiter(prefix).await?;
        after(action, &place, listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let action = self.before(Operation::Copy, from).await?;
        self.inner.copy_opts(from, to, options).await?;
        after(action, from, ())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let action = self.before(Operation::Copy, from).await?;
        self.inner.rename_opts(from, to, options).await?;
        after(action, from, ())
    }
}

#[cfg(test)]
mod tests;
