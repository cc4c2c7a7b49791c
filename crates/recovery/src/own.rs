//! Our own small objects on a layer: reading, writing and listing them under `_gigapi/`.

use std::future::ready;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use gigapi_storage::{Layer, checksum};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use crate::Result;

const TRAILER: &str = "xxh3:";

/// A line of JSON, and a line with its checksum, so that damage is noticed.
pub(crate) fn sealed(mut record: Vec<u8>) -> Vec<u8> {
    let trailer = format!("\n{TRAILER}{:016x}\n", checksum(&record));
    record.extend_from_slice(trailer.as_bytes());
    record
}

/// The line of JSON, if its checksum fits.
pub(crate) fn unsealed(bytes: &[u8]) -> std::result::Result<&[u8], &'static str> {
    let split = bytes.iter().position(|byte| *byte == b'\n').ok_or("it is cut off")?;
    let (record, trailer) = bytes.split_at(split);
    if trailer != format!("\n{TRAILER}{:016x}\n", checksum(record)).as_bytes() {
        return Err("its checksum does not fit");
    }
    Ok(record)
}

/// The objects below a folder, without their folder.
pub(crate) async fn list(layer: &Layer, folder: &Path) -> Result<Vec<Path>> {
    let failed = |error| layer.error("listing", folder, error);
    let found: Vec<_> =
        layer.store.list(Some(folder)).map_ok(|meta| meta.location).try_collect().await.map_err(failed)?;
    Ok(found)
}

/// The whole object.
pub(crate) async fn read(layer: &Layer, path: &Path) -> Result<Vec<u8>> {
    let failed = |error| layer.error("reading", path, error);
    let found = layer.store.get(path).await.map_err(failed)?;
    Ok(found.bytes().await.map_err(failed)?.into())
}

/// Writes or overwrites the object.
pub(crate) async fn write(layer: &Layer, path: &Path, bytes: Vec<u8>) -> Result<()> {
    layer.store.put(path, bytes.into()).await.map_err(|error| layer.error("writing", path, error))?;
    Ok(())
}

/// Writes the object if there is none; says whether it did.
pub(crate) async fn create(layer: &Layer, path: &Path, bytes: Vec<u8>) -> Result<bool> {
    match layer.store.put_opts(path, bytes.into(), PutOptions::from(PutMode::Create)).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(layer.error("writing", path, error).into()),
    }
}

/// Objects written at once to a layer that is not on this machine.
const WRITES_AT_ONCE: usize = 8;

/// Writes or overwrites many objects; on a folder of this machine they share their disk syncs.
pub(crate) async fn write_all(layer: &Layer, objects: Vec<(Path, Bytes)>) -> Result<()> {
    if let Some(local) = &layer.local {
        return Ok(local.put_files(objects).await?);
    }
    let writes = objects.into_iter().map(|(path, bytes)| async move { layer.upload(&path, bytes).await });
    Ok(futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).try_for_each(|_| ready(Ok(()))).await?)
}

/// Removes the objects; one that is gone already is no error.
pub(crate) async fn remove_all(layer: &Layer, paths: Vec<Path>) -> Result<()> {
    let locations = futures::stream::iter(paths.clone()).map(Ok).boxed();
    // One answer per location, in order.
    let mut answers = layer.store.delete_stream(locations).zip(futures::stream::iter(paths));
    while let Some((answer, path)) = answers.next().await {
        match answer {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(layer.error("removing", &path, error).into()),
        }
    }
    Ok(())
}
