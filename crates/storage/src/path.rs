//! Object paths: the one place that builds and reads them.
//!
//! A data file lies at `<db>/<table>/date=…/hour=…/<uuid>.<level>.parquet` below its layer. Names arrive
//! percent-encoded from their own types, so paths are parsed, never encoded a second time. Our own objects lie
//! under `_gigapi/`, a name that no database can have. Nothing here touches a store.

use std::fmt;

use gigapi_model::{Bucket, DataFile, DatabaseName, FileId, Level, TableDef, TableName};
use object_store::path::Path;

/// The folder of our own objects at the root of every layer.
pub const OWN_FOLDER: &str = "_gigapi";

/// Where a data file lies below its layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilePath {
    /// The database.
    pub database: DatabaseName,
    /// The table.
    pub table: TableName,
    /// The bucket, which gives two folders.
    pub bucket: Bucket,
    /// The file.
    pub id: FileId,
    /// Its merge generation.
    pub level: Level,
}

impl FilePath {
    /// The path of a file of that table.
    pub fn of(table: &TableDef, file: &DataFile) -> Self {
        Self {
            database: table.database.clone(),
            table: table.name.clone(),
            bucket: file.bucket,
            id: file.id,
            level: file.level,
        }
    }

    /// The object path below the layer.
    pub fn object_path(&self) -> Path {
        parsed(self.to_string())
    }

    /// Reads what [`Self::object_path`] wrote; every other spelling is `None`.
    pub fn parse(path: &Path) -> Option<Self> {
        let mut segments = path.as_ref().split('/');
        let database = DatabaseName::from_path_segment(segments.next()?)?;
        let table = TableName::from_path_segment(segments.next()?)?;
        let (date, hour) = (segments.next()?, segments.next()?);
        let bucket = format!("{date}/{hour}").parse().ok()?;
        let name = segments.next()?;
        let (id, level) = name.strip_suffix(".parquet")?.rsplit_once('.')?;
        let level = level.parse().ok().and_then(Level::new)?;
        let found = Self { database, table, bucket, id: id.parse().ok()?, level };
        // Comparing with what would be written refuses second spellings: upper-case ids, `01`, deeper paths.
        (found.to_string() == path.as_ref()).then_some(found)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, table) = (self.database.path_segment(), self.table.path_segment());
        write!(f, "{database}/{table}/{}/{}.{}.parquet", self.bucket, self.id, self.level)
    }
}

/// The folder of a table below its layer.
pub fn table_folder(database: &DatabaseName, table: &TableName) -> Path {
    parsed(format!("{}/{}", database.path_segment(), table.path_segment()))
}

/// The folder of a bucket of a table below its layer.
pub fn bucket_folder(database: &DatabaseName, table: &TableName, bucket: Bucket) -> Path {
    parsed(format!("{}/{}/{bucket}", database.path_segment(), table.path_segment()))
}

/// The path of one of our own objects: `_gigapi/` and the given segments, each percent-encoded where needed.
pub fn own_path<'a>(parts: impl IntoIterator<Item = &'a str>) -> Path {
    std::iter::once(OWN_FOLDER).chain(parts).collect()
}

fn parsed(text: String) -> Path {
    Path::parse(text).expect("names and buckets spell no empty, `.` or `..` segment and no control character")
}

#[cfg(test)]
mod tests;
