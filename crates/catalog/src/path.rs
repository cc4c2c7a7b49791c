//! The object path of a data file, as graves record it.
//!
//! A grave outlives its table's definition, so it carries the whole path instead of what the path is made
//! of. This file only builds paths; nothing here reads one.

use gigapi_model::{DataFile, TableDef};

/// `<db>/<table>/<bucket>/<id>.<level>.parquet`, relative to the layer's root.
pub(crate) fn object_path(table: &TableDef, file: &DataFile) -> String {
    format!(
        "{}/{}/{}/{}.{}.parquet",
        table.database.path_segment(),
        table.name.path_segment(),
        file.bucket,
        file.id,
        file.level
    )
}
