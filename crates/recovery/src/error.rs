//! Why recovery did not do what was asked, and what an operator does about it.

use gigapi_model::{CatalogId, ErrorKind, TableId};

use crate::{CheckpointName, PlanError};

/// A recovery call's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why recovery stopped. The catalog was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog refused or could not be reached.
    #[error(transparent)]
    Catalog(#[from] gigapi_catalog::Error),
    /// A layer refused, could not be reached or holds a damaged object.
    #[error(transparent)]
    Storage(#[from] gigapi_storage::Error),
    /// What lies on the layers does not add up to one state.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// One of our own objects cannot be read.
    #[error("{object} on layer {layer} cannot be used: {reason}")]
    Object {
        /// The layer.
        layer: String,
        /// The object's path.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The layers belong to different catalogs.
    #[error(
        "layer {layer} belongs to catalog {found}, another layer to {other}; configure only layers of one installation"
    )]
    MixedLayers {
        /// One layer.
        layer: String,
        /// Its owner.
        found: CatalogId,
        /// The owner of another.
        other: CatalogId,
    },
    /// A catalog with tables meets a layer of another one.
    #[error(
        "layer {layer} belongs to catalog {found}, this process serves catalog {own}; point the layer at an empty folder or prefix, or start with the catalog that owns it"
    )]
    ForeignLayer {
        /// The layer.
        layer: String,
        /// Its owner.
        found: CatalogId,
        /// The catalog at hand.
        own: CatalogId,
    },
    /// No layer carries a marker, so nothing says what to rebuild.
    #[error("no layer carries a catalog's marker; there is nothing to rebuild here, check the layers' urls")]
    NoMarker,
    /// Checkpoints without a marker do not say whose they are.
    #[error(
        "the layers hold {checkpoint} but no marker; put `_gigapi/catalog.json` back, or remove the folder `_gigapi` to start afresh"
    )]
    NoMarkerButCheckpoints {
        /// One of them.
        checkpoint: CheckpointName,
    },
    /// Nothing tells what a table was.
    #[error(
        "no checkpoint of table {table} can be read and no data file tells its definition; restore a checkpoint from a copy, or remove {checkpoint} to do without the table"
    )]
    TableLost {
        /// The table.
        table: TableId,
        /// Its newest checkpoint.
        checkpoint: CheckpointName,
    },
    /// Data files are damaged, and which rows the table has may depend on them.
    #[error(
        "{count} data files are damaged, the first is {first}; restore them from a copy, or move them away to do without their rows, and start again"
    )]
    DamagedFiles {
        /// How many.
        count: usize,
        /// The first, with what is wrong.
        first: String,
    },
    /// The thread that planned is gone.
    #[error("planning the rebuild did not finish: {reason}")]
    Interrupted {
        /// What happened to it.
        reason: String,
    },
}

impl Error {
    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Catalog(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Plan(_) | Self::Object { .. } | Self::TableLost { .. } | Self::DamagedFiles { .. } => {
                ErrorKind::Corrupt
            }
            Self::MixedLayers { .. }
            | Self::ForeignLayer { .. }
            | Self::NoMarker
            | Self::NoMarkerButCheckpoints { .. } => ErrorKind::Invalid,
            Self::Interrupted { .. } => ErrorKind::Internal,
        }
    }
}
