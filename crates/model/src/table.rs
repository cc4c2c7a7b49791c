//! What a table is: its columns, the order of its rows, and its key.
//!
//! Columns are only added. The catalog is the one place that changes a definition (so two writers that race see
//! one outcome), and [`TableDef::with_columns`] and [`TableDef::configured`] are the rules by which it does.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ColumnName, DatabaseName, TIME_COLUMN, TableId, TableName};

/// Identifies a column for the life of its table; written into files as `PARQUET:field_id`.
pub type FieldId = u32;

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// 64-bit IEEE 754.
    Float,
    /// 64-bit signed.
    Integer,
    /// 64-bit unsigned.
    Unsigned,
    /// UTF-8.
    String,
    /// True or false.
    Boolean,
    /// Nanoseconds since the Unix epoch, UTC.
    Time,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned",
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Time => "time",
        })
    }
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnRole {
    /// Part of a row's identity; a string.
    Tag,
    /// A value.
    Field,
    /// The row's point in time; every table has one.
    Time,
}

impl fmt::Display for ColumnRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "tag",
            Self::Field => "field",
            Self::Time => "time",
        })
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Given by the catalog, never reused within the table.
    pub field_id: FieldId,
    /// Unique within the table.
    pub name: ColumnName,
    /// The type of its values.
    pub column_type: ColumnType,
    /// What it is for.
    pub role: ColumnRole,
}

/// A column that somebody wants a table to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name.
    pub name: ColumnName,
    /// Its type; a tag is always a string.
    pub column_type: ColumnType,
    /// What it is for; never time.
    pub role: ColumnRole,
}

/// Whether later rows overwrite earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKey {
    /// One row per tags and time: later writes overwrite field by field.
    #[default]
    Tags,
    /// Every row is kept.
    None,
}

impl fmt::Display for TableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tags => "tags",
            Self::None => "none",
        })
    }
}

impl FromStr for TableKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "tags" => Ok(Self::Tags),
            "none" => Ok(Self::None),
            other => Err(format!(
                "key {other:?} is unknown; use `tags` (one row per tags and time) or `none` (keep every row)"
            )),
        }
    }
}

/// The order of rows inside a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SortOrder {
    /// Tag columns in the order of their field ids, then time; all ascending, null first.
    #[default]
    TagsThenTime,
}

/// What stands before the type's name in a sentence.
fn article(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Integer | ColumnType::Unsigned => "an",
        _ => "a",
    }
}

/// Why a table cannot have a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The name is taken with another type or role.
    #[error(
        "column {name} is {} {wanted_type} {wanted_role} here but {} {registered_type} {registered_role} in the table; send it as it is registered or use another name",
        article(*.wanted_type),
        article(*.registered_type)
    )]
    Conflict {
        /// The column.
        name: ColumnName,
        /// The type that was asked for.
        wanted_type: ColumnType,
        /// The role that was asked for.
        wanted_role: ColumnRole,
        /// The type that the table has.
        registered_type: ColumnType,
        /// The role that the table has.
        registered_role: ColumnRole,
    },
    /// The name belongs to the time column, or the role or type do not go together.
    #[error("column {name} cannot be a {column_type} {role}: {rule}")]
    Forbidden {
        /// The column.
        name: ColumnName,
        /// The type that was asked for.
        column_type: ColumnType,
        /// The role that was asked for.
        role: ColumnRole,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The table would have more columns than it may.
    #[error("the table would have {wanted} columns; {limit} is the limit, use fewer distinct tag and field names")]
    TooMany {
        /// How many it would have.
        wanted: usize,
        /// How many it may have.
        limit: usize,
    },
}

/// A table's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDef {
    /// This incarnation of the name.
    pub id: TableId,
    /// Its database.
    pub database: DatabaseName,
    /// Its name in the database.
    pub name: TableName,
    /// Columns by ascending field id; the first is time.
    pub columns: Vec<Column>,
    /// Counts definitions: 1 when the table is made, plus one for each change.
    pub revision: u64,
    /// The order of rows inside a file.
    pub sort: SortOrder,
    /// Whether later rows overwrite earlier ones.
    pub key: TableKey,
    /// Rows whose own time is older than this are removed; never, if absent.
    pub ttl: Option<Duration>,
    /// What is set for the table by known keys, as texts; [`crate::MergeOverrides`] reads them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

impl TableDef {
    /// The field id of every table's time column.
    pub const TIME_FIELD_ID: FieldId = 1;

    /// A new table that has only its time column.
    pub fn new(id: TableId, database: DatabaseName, name: TableName, key: TableKey) -> Result<Self, crate::NameError> {
        let time = Column {
            field_id: Self::TIME_FIELD_ID,
            name: ColumnName::new(TIME_COLUMN)?,
            column_type: ColumnType::Time,
            role: ColumnRole::Time,
        };
        Ok(Self {
            id,
            database,
            name,
            columns: vec![time],
            revision: 1,
            sort: SortOrder::default(),
            key,
            ttl: None,
            settings: BTreeMap::new(),
        })
    }

    /// The column of that name; case counts.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.as_str() == name)
    }

    /// The column of that field id.
    pub fn column_by_id(&self, field_id: FieldId) -> Option<&Column> {
        let index = self.columns.binary_search_by_key(&field_id, |column| column.field_id).ok()?;
        self.columns.get(index)
    }

    /// Tag columns in sort order.
    pub fn tags(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.role == ColumnRole::Tag)
    }

    /// The definition with these columns too: itself if it has them all.
    ///
    /// All or nothing: one column that does not fit refuses the whole extension.
    pub fn with_columns(&self, wanted: &[NewColumn], columns_max: usize) -> Result<Self, DefinitionError> {
        let mut extended = self.clone();
        for new in wanted {
            extended.add_column(new)?;
        }
        if extended.columns.len() == self.columns.len() {
            return Ok(extended);
        }
        if extended.columns.len() > columns_max {
            return Err(DefinitionError::TooMany { wanted: extended.columns.len(), limit: columns_max });
        }
        extended.revision += 1;
        Ok(extended)
    }

    fn add_column(&mut self, new: &NewColumn) -> Result<(), DefinitionError> {
        let forbidden = |rule| DefinitionError::Forbidden {
            name: new.name.clone(),
            column_type: new.column_type,
            role: new.role,
            rule,
        };
        if new.role == ColumnRole::Time || new.name.as_str() == TIME_COLUMN {
            return Err(forbidden("`time` is the table's time column"));
        }
        if new.role == ColumnRole::Tag && new.column_type != ColumnType::String {
            return Err(forbidden("a tag is a string"));
        }
        if let Some(registered) = self.column(new.name.as_str()) {
            if registered.role == new.role && registered.column_type == new.column_type {
                return Ok(());
            }
            return Err(DefinitionError::Conflict {
                name: new.name.clone(),
                wanted_type: new.column_type,
                wanted_role: new.role,
                registered_type: registered.column_type,
                registered_role: registered.role,
            });
        }
        let last = self.columns.last().map_or(0, |column| column.field_id);
        self.columns.push(Column {
            field_id: last + 1,
            name: new.name.clone(),
            column_type: new.column_type,
            role: new.role,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
