//! The files that a merge reads: fetched, compared with their checksums, opened.

use std::sync::Arc;

use gigapi_model::{DataFile, ErrorKind, LayerName, TableDef};
use gigapi_storage::{ExpectedObject, FilePath, Layer, Source};

use super::Worker;
use crate::{Error, Result};

/// Files of one job that are fetched at once.
const FETCHES_OF_JOB: usize = 4;

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
        for some in files.chunks(FETCHES_OF_JOB) {
            let fetches: Vec<_> = some.iter().map(|file| self.fetch_one(table, file)).collect();
            sources.extend(futures::future::try_join_all(fetches).await?);
        }
        Ok(sources)
    }

    /// One file, compared with what the catalog says of it.
    pub(super) async fn fetch_one(&self, table: &TableDef, file: &DataFile) -> Result<Source> {
        self.throttle.pass(file.bytes).await;
        let _one_of_them = self.fetches.acquire().await;
        let path = FilePath::of(table, file).object_path();
        let expected = ExpectedObject { bytes: file.bytes, checksum: file.checksum };
        let fetched = self.layer(&file.layer)?.fetch(&path, expected, &self.staging).await;
        fetched.map_err(|error| self.damaged(file, error))
    }
}
