//! Taking a new epoch: `_gigapi/epochs/<epoch>.json`, created if it is absent.
//!
//! Whoever creates the object owns the number, so two rebuilds never work under one epoch, and a rebuild that
//! was cut short leaves its number behind as spent.

use gigapi_model::CatalogId;
use gigapi_storage::{Layer, Layers, own_path};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::{Error, Result, own};

const FOLDER: &str = "epochs";
/// More rebuilds than this at the same moment are a defect.
const ATTEMPTS_MAX: u64 = 100;

/// The highest epoch that was ever taken by a rebuild; 0 if none was.
pub(crate) async fn highest(layers: &Layers) -> Result<u64> {
    let mut highest = 0;
    for layer in layers.iter() {
        let found = own::list(layer, &own_path([FOLDER])).await?;
        let epochs = found.iter().filter_map(|path| path.filename()?.strip_suffix(".json")?.parse::<u64>().ok());
        highest = epochs.fold(highest, u64::max);
    }
    Ok(highest)
}

/// The epoch after this one, if a rebuild has taken it.
///
/// Whoever finds none after an upload knows that every rebuild to come sees the upload: its epoch is taken before it
/// looks. So a commit counts from then on, even in a catalog that is a copy from before a rebuild closed it.
pub async fn overtaking(layers: &Layers, epoch: u64) -> Result<Option<u64>> {
    let (layer, next) = (layers.first(), epoch + 1);
    let path = marker(next);
    match layer.store.head(&path).await {
        Ok(_) => Ok(Some(next)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(layer.error("reading", &path, error).into()),
    }
}

fn marker(epoch: u64) -> Path {
    own_path([FOLDER, &format!("{epoch}.json")])
}

/// Takes the first free epoch above `seen`.
pub(crate) async fn take(layer: &Layer, catalog: CatalogId, seen: u64) -> Result<u64> {
    for epoch in seen + 1..=seen + ATTEMPTS_MAX {
        let path = marker(epoch);
        let record = format!(r#"{{"v":1,"catalog":"{catalog}","epoch":{epoch}}}"#);
        if own::create(layer, &path, record.into_bytes()).await? {
            return Ok(epoch);
        }
    }
    Err(Error::Object {
        layer: layer.name.to_string(),
        object: own_path([FOLDER]).to_string(),
        reason: format!("{ATTEMPTS_MAX} epochs above {seen} are taken; stop the other processes that rebuild"),
    })
}
