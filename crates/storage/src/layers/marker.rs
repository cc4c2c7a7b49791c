//! The object that says whose a layer is.
//!
//! Written once, never overwritten and never removed: deleting it by hand is how an operator gives a layer away.
//! Claiming is create-if-absent, then read; it repeats nothing, because after a lost race the marker is there.

use gigapi_model::CatalogId;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

use super::{Layer, OriginalData, original_data};
use crate::{Error, Result, own_path};

#[derive(Serialize, Deserialize)]
pub(super) struct Marker {
    version: u32,
    pub(super) catalog: CatalogId,
    /// What gave away data of the original GigAPI that was there before: from then on it looks like ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) original: Option<OriginalData>,
}

fn path() -> Path {
    own_path(["catalog.json"])
}

pub(super) async fn read(layer: &Layer) -> Result<Option<Marker>> {
    let path = path();
    let bytes = match layer.store.get(&path).await {
        Ok(found) => found.bytes().await.map_err(|error| layer.error("reading", &path, error))?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(layer.error("reading", &path, error)),
    };
    let marker = serde_json::from_slice(&bytes).map_err(|error| Error::Corrupt {
        what: format!("the marker {path} of layer {}", layer.name),
        reason: error.to_string(),
    })?;
    Ok(Some(marker))
}

pub(super) async fn claim(layer: &Layer, own: CatalogId) -> Result<()> {
    if let Some(found) = read(layer).await? {
        return check(layer, found.catalog, own);
    }
    let path = path();
    let original = foreign_data(layer).await?;
    let marker = serde_json::to_vec(&Marker { version: 1, catalog: own, original }).map_err(|error| {
        Error::Settings { layer: layer.name.to_string(), reason: format!("its marker cannot be written: {error}") }
    })?;
    let options = PutOptions::from(PutMode::Create);
    match layer.store.put_opts(&path, marker.into(), options).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => match read(layer).await? {
            Some(found) => check(layer, found.catalog, own),
            None => Err(Error::Settings {
                layer: layer.name.to_string(),
                reason: format!("its marker {path} appeared and vanished; stop the other process and start again"),
            }),
        },
        Err(error) => Err(layer.error("writing", &path, error)),
    }
}

/// Data of the original in the layer's folder, if it is one.
async fn foreign_data(layer: &Layer) -> Result<Option<OriginalData>> {
    let Some(local) = &layer.local else { return Ok(None) };
    let root = local.root().to_owned();
    let looked = tokio::task::spawn_blocking(move || original_data(&root)).await;
    looked.map_err(|error| layer.error("looking at", &Path::ROOT, error.into()))
}

fn check(layer: &Layer, found: CatalogId, own: CatalogId) -> Result<()> {
    if found == own {
        return Ok(());
    }
    Err(Error::ForeignLayer { layer: layer.name.to_string(), found, own })
}
