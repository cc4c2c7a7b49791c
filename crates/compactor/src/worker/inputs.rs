//! The files that a merge reads: fetched, compared with their checksums, opened.

use std::sync::Arc;

use gigapi_model::{DataFile, ErrorKind, LayerName, TableDef};
use gigapi_storage::{ExpectedObject, FilePath, Layer, NotFetched, Source};

use super::Worker;
use crate::{Error, Result};

/// Bytes that a thread reads at a time, whole files: a job that has lost its claim gives up no later than after these.
const READ_BYTES: u64 = 64 << 20;

impl Worker {
    pub(super) fn layer(&self, name: &LayerName) -> Result<&Arc<Layer>> {
        self.layers.get(name).ok_or_else(|| Error::NoLayer { layer: name.to_string() })
    }

    /// An error of this file, by what is wrong with it: one that is damaged or gone is named.
    pub(super) fn damaged(&self, file: &DataFile, error: gigapi_storage::Error) -> Error {
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::NotFound => {
                Error::Damaged { file: file.id, layer: file.layer.clone(), reason: error.to_string() }
            }
            _ => error.into(),
        }
    }

    /// The files in their order, each compared with what the catalog says of it.
    pub(super) async fn fetch(&self, table: &TableDef, files: &[Arc<DataFile>]) -> Result<Vec<Source>> {
        let mut sources = Vec::with_capacity(files.len());
        while sources.len() < files.len() {
            let some = first_to_read(&files[sources.len()..]);
            sources.extend(self.fetch_some(table, some).await?);
        }
        Ok(sources)
    }

    /// Files of one layer.
    async fn fetch_some(&self, table: &TableDef, files: &[Arc<DataFile>]) -> Result<Vec<Source>> {
        self.throttle.pass(files.iter().map(|file| file.bytes).sum()).await;
        let _one_of_them = self.fetches.acquire().await;
        let object = |file: &Arc<DataFile>| {
            let expected = ExpectedObject { bytes: file.bytes, checksum: file.checksum };
            (FilePath::of(table, file).object_path(), expected)
        };
        let objects: Vec<_> = files.iter().map(object).collect();
        let fetched = self.layer(&files[0].layer)?.fetch(&objects, &self.staging).await;
        fetched.map_err(|NotFetched { at, error }| self.damaged(&files[at], error))
    }
}

/// The first of the files, and those after it on its layer that are read along with it.
fn first_to_read(files: &[Arc<DataFile>]) -> &[Arc<DataFile>] {
    let mut bytes = 0;
    let along = files.iter().take_while(|file| {
        bytes += file.bytes;
        file.layer == files[0].layer && bytes <= READ_BYTES
    });
    &files[..along.count().max(1)]
}
