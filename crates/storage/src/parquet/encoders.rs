//! Encoders that are kept: a flush of a thousand tables meets the same shapes every second.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use gigapi_model::{FieldId, TableDef, TableId};
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::FileEncoder;
use crate::Result;

/// Encoders are forgotten above this many, all at once: making one takes a few microseconds.
const ENCODERS_MAX: usize = 20_000;

/// What decides whether an encoder fits.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shape {
    table: TableId,
    revision: u64,
    /// Field ids in the order of the batches, with the type of each.
    columns: Vec<(FieldId, DataType)>,
}

/// Encoders by table revision and columns; cheap to share.
#[derive(Debug, Default)]
pub struct FileEncoders {
    known: Mutex<HashMap<Shape, Arc<FileEncoder>>>,
}

impl FileEncoders {
    /// The encoder for batches of that schema, made at first use.
    pub fn get(&self, table: &Arc<TableDef>, schema: &Schema) -> Result<Arc<FileEncoder>> {
        let columns = schema.fields().iter().map(|field| {
            let id = table.column(field.name()).map_or(0, |column| column.field_id);
            (id, field.data_type().clone())
        });
        let shape = Shape { table: table.id, revision: table.revision, columns: columns.collect() };
        if let Some(encoder) = self.known.lock().get(&shape) {
            return Ok(Arc::clone(encoder));
        }
        let encoder = Arc::new(FileEncoder::new(Arc::clone(table), schema)?);
        let mut known = self.known.lock();
        if known.len() >= ENCODERS_MAX {
            known.clear();
        }
        known.insert(shape, Arc::clone(&encoder));
        Ok(encoder)
    }
}
