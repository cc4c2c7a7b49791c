//! Names of types: those that DuckDB has and the engine lacks on the way in, DuckDB's names on the way out.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType as SqlType;

/// Understands DuckDB's names of types in casts.
#[derive(Debug)]
pub(crate) struct TypeNames;

impl TypePlanner for TypeNames {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let name = match sql_type {
            SqlType::Custom(name, arguments) if arguments.is_empty() => name.to_string().to_ascii_uppercase(),
            SqlType::UBigInt => "UBIGINT".to_owned(),
            SqlType::USmallInt => "USMALLINT".to_owned(),
            SqlType::UTinyInt => "UTINYINT".to_owned(),
            SqlType::HugeInt => "HUGEINT".to_owned(),
            SqlType::UHugeInt => "UHUGEINT".to_owned(),
            SqlType::Blob(_) => "BLOB".to_owned(),
            _ => return Ok(None),
        };
        let data_type = match name.as_str() {
            "TIMESTAMP_NS" => DataType::Timestamp(TimeUnit::Nanosecond, None),
            "TIMESTAMP_US" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "TIMESTAMP_MS" => DataType::Timestamp(TimeUnit::Millisecond, None),
            "TIMESTAMP_S" => DataType::Timestamp(TimeUnit::Second, None),
            "UBIGINT" | "UINT64" => DataType::UInt64,
            "UINTEGER" | "UINT32" => DataType::UInt32,
            "USMALLINT" | "UINT16" => DataType::UInt16,
            "UTINYINT" | "UINT8" => DataType::UInt8,
            // As many digits as there can be.
            "HUGEINT" | "UHUGEINT" => DataType::Decimal128(38, 0),
            "LONG" | "INT64" => DataType::Int64,
            "INT32" => DataType::Int32,
            "INT16" | "SHORT" => DataType::Int16,
            "BLOB" | "BINARY" => DataType::Binary,
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// What DuckDB calls that type; interfaces that describe tables branch on these names.
pub(crate) fn duckdb_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "UTINYINT".to_owned(),
        DataType::UInt16 => "USMALLINT".to_owned(),
        DataType::UInt32 => "UINTEGER".to_owned(),
        DataType::UInt64 => "UBIGINT".to_owned(),
        DataType::Float16 | DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BLOB".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP_NS".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP_MS".to_owned(),
        DataType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP_S".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Dictionary(_, value) => duckdb_type(value),
        DataType::List(item) | DataType::LargeList(item) => format!("{}[]", duckdb_type(item.data_type())),
        DataType::Null => "NULL".to_owned(),
        other => other.to_string().to_ascii_uppercase(),
    }
}
