//! Taking a new epoch: `_gigapi/epochs/<epoch>.json`, created if it is absent.
//!
//! Whoever creates the object owns the number, so two rebuilds never work under one epoch, and a rebuild that
//! was cut short leaves its number behind as spent.

use gigapi_model::CatalogId;
use gigapi_storage::{Layer, Layers, own_path};

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

/// Takes the first free epoch above `seen`.
pub(crate) async fn take(layer: &Layer, catalog: CatalogId, seen: u64) -> Result<u64> {
    for epoch in seen + 1..=seen + ATTEMPTS_MAX {
        let path = own_path([FOLDER, &format!("{epoch}.json")]);
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
