//! The only store that a statement can reach.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

use crate::scan::LAYERS_URL;

/// Knows the layers under their own scheme and no other store; the engine's own registry would add the machine's
/// file system.
#[derive(Debug)]
pub(crate) struct OnlyLayers {
    layers: Arc<dyn ObjectStore>,
}

impl OnlyLayers {
    pub(crate) fn new(layers: Arc<dyn ObjectStore>) -> Self {
        Self { layers }
    }
}

impl ObjectStoreRegistry for OnlyLayers {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match url.as_str().trim_end_matches('/') == LAYERS_URL {
            true => Ok(Arc::clone(&self.layers)),
            false => Err(DataFusionError::Plan("only tables of the catalog can be read".to_owned())),
        }
    }
}
