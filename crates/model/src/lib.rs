//! The vocabulary of GigAPI: what a table, a bucket, a data file and a change are.
//!
//! Every other crate speaks these words, so they live below all of them and hold no I/O, no async and
//! no arrow. A value of one of these types is valid by construction: text that came from outside is
//! checked once, where it is turned into a name, and never again.

mod bucket;
mod change;
mod data_file;
mod error_kind;
mod ids;
mod invariant;
mod names;
pub mod quantity;
mod settings;
mod table;
mod time;

pub use bucket::{Bucket, BucketSpan, ParseBucketError};
pub use change::{Actor, Change, Commit, IdempotencyRecord, NewFile};
pub use data_file::{DataFile, Level, SequenceRange, TimeRange};
pub use error_kind::ErrorKind;
pub use ids::{CatalogId, ClaimId, CommitId, FileId, Ids, SystemIds, TableId, WriterId};
pub use invariant::Invariant;
pub use names::{ColumnName, DatabaseName, LayerName, NameError, TIME_COLUMN, TableName};
pub use settings::{
    Edit, MERGED_LEVELS, MergeOverrides, SettingError, TableSettings, effective_ttl, parse_ttl, setting_keys,
};
pub use table::{Column, ColumnRole, ColumnType, DefinitionError, FieldId, NewColumn, SortOrder, TableDef, TableKey};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
