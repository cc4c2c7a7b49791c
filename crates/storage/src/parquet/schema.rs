//! Which columns of a table a file holds, and how each is encoded.
//!
//! Built once per definition and set of columns, because every file of a flush shares it. Columns follow each
//! other by field id, whatever their order in the batches; columns that the batches lack are absent.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use gigapi_model::{Column, ColumnRole, ColumnType, TableDef};
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::file::metadata::SortingColumn;
use parquet::schema::types::{ColumnDescPtr, SchemaDescPtr, SchemaDescriptor, Type};

use crate::{Error, Result};

/// How a column's values are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Signed integers without nulls.
    Time,
    /// Signed integers.
    Integer,
    /// Unsigned integers.
    Unsigned,
    /// Floats.
    Float,
    /// Booleans.
    Boolean,
    /// Tags and strings.
    Text,
}

/// One column of a file.
#[derive(Debug)]
pub(super) struct PlannedColumn {
    /// Its name and field id.
    pub(super) column: Column,
    /// How it is encoded.
    pub(super) kind: Kind,
    /// Where it is in the batches.
    pub(super) index: usize,
    /// Its type in the batches.
    pub(super) data_type: DataType,
    /// Its description in Parquet's terms.
    pub(super) descriptor: ColumnDescPtr,
}

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Plan {
    /// By field id; the first is time.
    pub(super) columns: Vec<PlannedColumn>,
    /// All of them in Parquet's terms.
    pub(super) schema: SchemaDescPtr,
    /// The order of rows: tags by field id, null first, then time.
    pub(super) sorting: Vec<SortingColumn>,
}

impl Plan {
    pub(super) fn new(table: &TableDef, batches: &Schema) -> Result<Self> {
        let refused = |reason: String| Error::Input { table: table.name.to_string(), reason };
        if let Some(unknown) = batches.fields().iter().find(|field| table.column(field.name()).is_none()) {
            return Err(refused(format!("column {:?} is not in revision {}", unknown.name(), table.revision)));
        }
        let present: Vec<_> = table
            .columns
            .iter()
            .filter_map(|column| {
                let (index, field) = batches.column_with_name(column.name.as_str())?;
                Some((column, index, field.data_type()))
            })
            .collect();
        if present.first().is_none_or(|(column, ..)| column.role != ColumnRole::Time) {
            return Err(refused("the batches have no time column".to_owned()));
        }
        let leaves = present.iter().map(|(column, ..)| leaf(column).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let root = Type::group_type_builder("schema").with_fields(leaves).build()?;
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
        let columns = present
            .iter()
            .zip(schema.columns())
            .map(|(&(column, index, data_type), descriptor)| {
                let kind = kind(column, data_type).ok_or_else(|| {
                    refused(format!("column {} is a {} but arrives as {data_type}", column.name, column.column_type))
                })?;
                let (data_type, descriptor) = (data_type.clone(), Arc::clone(descriptor));
                Ok(PlannedColumn { column: column.clone(), kind, index, data_type, descriptor })
            })
            .collect::<Result<Vec<_>>>()?;
        let sorting = sorting(&columns);
        Ok(Self { columns, schema, sorting })
    }
}

/// How a column is encoded, if its type in the batches fits its definition.
fn kind(column: &Column, data_type: &DataType) -> Option<Kind> {
    match (column.column_type, data_type) {
        (ColumnType::Time, DataType::Int64 | DataType::Timestamp(TimeUnit::Nanosecond, _)) => Some(Kind::Time),
        (ColumnType::Integer, DataType::Int64) => Some(Kind::Integer),
        (ColumnType::Unsigned, DataType::UInt64) => Some(Kind::Unsigned),
        (ColumnType::Float, DataType::Float64) => Some(Kind::Float),
        (ColumnType::Boolean, DataType::Boolean) => Some(Kind::Boolean),
        (ColumnType::String, DataType::Utf8 | DataType::Utf8View) => Some(Kind::Text),
        (ColumnType::String, DataType::Dictionary(keys, values))
            if **keys == DataType::Int32 && **values == DataType::Utf8 =>
        {
            Some(Kind::Text)
        }
        _ => None,
    }
}

fn leaf(column: &Column) -> Result<Type> {
    let (physical, logical, converted) = match column.column_type {
        ColumnType::Float => (PhysicalType::DOUBLE, None, ConvertedType::NONE),
        ColumnType::Integer | ColumnType::Time => (PhysicalType::INT64, None, ConvertedType::NONE),
        ColumnType::Unsigned => (PhysicalType::INT64, Some(LogicalType::integer(64, false)), ConvertedType::UINT_64),
        ColumnType::String => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8),
        ColumnType::Boolean => (PhysicalType::BOOLEAN, None, ConvertedType::NONE),
    };
    let required = column.role == ColumnRole::Time;
    let id = i32::try_from(column.field_id).map_err(|_| Error::Input {
        table: column.name.to_string(),
        reason: format!("field id {} does not fit Parquet's 31 bits", column.field_id),
    })?;
    Ok(Type::primitive_type_builder(column.name.as_str(), physical)
        .with_repetition(if required { Repetition::REQUIRED } else { Repetition::OPTIONAL })
        .with_logical_type(logical)
        .with_converted_type(converted)
        .with_id(Some(id))
        .build()?)
}

fn sorting(columns: &[PlannedColumn]) -> Vec<SortingColumn> {
    let of_role = |role| {
        columns
            .iter()
            .enumerate()
            .filter(move |(_, planned)| planned.column.role == role)
            .map(|(index, _)| SortingColumn { column_idx: index as i32, descending: false, nulls_first: true })
    };
    of_role(ColumnRole::Tag).chain(of_role(ColumnRole::Time)).collect()
}
