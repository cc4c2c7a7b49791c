//! What this server tells of itself and of its types.
//!
//! Clients decide by it what they try: whether there are transactions, how names are quoted, what a type is called. What is
//! not said here they take as unknown, so only what holds is said.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions, SupportedSqlGrammar, XdbcDataType,
    XdbcDatetimeSubcode,
};

use super::refusal::{Refusal, Result};
use crate::Error;

/// The version of Arrow that answers are written with.
const ARROW_VERSION: &str = "59.3";

/// What is told; built once.
pub(super) struct Info {
    sql: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl Info {
    pub(super) fn new(sql_bytes_max: usize) -> std::result::Result<Self, FlightError> {
        Ok(Self { sql: sql_info(sql_bytes_max)?, types: types()? })
    }

    /// The facts of these numbers; all of them if none is named.
    pub(super) fn sql(&self, numbers: Vec<u32>) -> Result<RecordBatch> {
        self.sql.record_batch(numbers).map_err(unbuilt)
    }

    /// The types of that number; all of them if none is named.
    pub(super) fn types(&self, number: Option<i32>) -> Result<RecordBatch> {
        self.types.record_batch(number).map_err(unbuilt)
    }
}

fn unbuilt(error: FlightError) -> Refusal {
    Refusal::from(Error::internal(format!("telling about the server: {error}")))
}

fn sql_info(sql_bytes_max: usize) -> std::result::Result<SqlInfoData, FlightError> {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "GigAPI");
    info.append(SqlInfo::FlightSqlServerVersion, gigapi_service::telemetry::VERSION);
    info.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, true);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(SqlInfo::FlightSqlServerCancel, false);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    info.append(SqlInfo::FlightSqlServerStatementTimeout, 0);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
    for no in [SqlInfo::SqlDdlCatalog, SqlInfo::SqlDdlSchema, SqlInfo::SqlDdlTable] {
        info.append(no, false);
    }
    info.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32);
    info.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlKeywords, [].as_slice() as &[&str]);
    for functions in [
        SqlInfo::SqlNumericFunctions,
        SqlInfo::SqlStringFunctions,
        SqlInfo::SqlSystemFunctions,
        SqlInfo::SqlDatetimeFunctions,
    ] {
        info.append(functions, functions_of(functions));
    }
    info.append(SqlInfo::SqlSearchStringEscape, "\\");
    info.append(SqlInfo::SqlExtraNameCharacters, "");
    info.append(SqlInfo::SqlSupportsConvert, BTreeMap::<i32, Vec<i32>>::new());
    for yes in [
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
        SqlInfo::SqlNamedParametersSupported,
    ] {
        info.append(yes, true);
    }
    append_grammar(&mut info);
    info.append(SqlInfo::SqlMaxStatementLength, i64::try_from(sql_bytes_max).unwrap_or(i64::MAX));
    info.build()
}

fn append_grammar(info: &mut SqlInfoDataBuilder) {
    let bits = |bits: &[i32]| bits.iter().fold(0, |all, bit| all | (1 << bit));
    info.append(
        SqlInfo::SqlSupportedGroupBy,
        bits(&[SqlSupportedGroupBy::SqlGroupByUnrelated as i32, SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32]),
    );
    info.append(
        SqlInfo::SqlSupportedGrammar,
        bits(&[SupportedSqlGrammar::SqlMinimumGrammar as i32, SupportedSqlGrammar::SqlCoreGrammar as i32]),
    );
    info.append(
        SqlInfo::SqlSupportedSubqueries,
        bits(&[
            SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
            SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
            SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
        ]),
    );
    info.append(
        SqlInfo::SqlSupportedUnions,
        bits(&[SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32]),
    );
    info.append(SqlInfo::SqlSchemaTerm, "database");
    info.append(SqlInfo::SqlCatalogTerm, "catalog");
    info.append(SqlInfo::SqlProcedureTerm, "procedure");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    for no in [
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        info.append(no, false);
    }
}

/// Functions by the names that ODBC and JDBC know; clients translate to these.
fn functions_of(kind: SqlInfo) -> &'static [&'static str] {
    match kind {
        SqlInfo::SqlNumericFunctions => &[
            "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "degrees", "exp", "floor", "log", "log10", "pi",
            "power", "radians", "random", "round", "sign", "sin", "sqrt", "tan", "trunc",
        ],
        SqlInfo::SqlStringFunctions => &[
            "ascii",
            "btrim",
            "char_length",
            "chr",
            "concat",
            "left",
            "length",
            "lower",
            "lpad",
            "ltrim",
            "octet_length",
            "position",
            "repeat",
            "replace",
            "reverse",
            "right",
            "rpad",
            "rtrim",
            "substring",
            "trim",
            "upper",
        ],
        SqlInfo::SqlDatetimeFunctions => {
            &["current_date", "current_time", "date_bin", "date_part", "date_trunc", "now", "to_timestamp"]
        }
        _ => &[],
    }
}

fn types() -> std::result::Result<XdbcTypeInfoData, FlightError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    types.append(number("TINYINT", XdbcDataType::XdbcTinyint, (8, 2), false));
    types.append(number("SMALLINT", XdbcDataType::XdbcSmallint, (16, 2), false));
    types.append(number("INTEGER", XdbcDataType::XdbcInteger, (32, 2), false));
    types.append(number("BIGINT", XdbcDataType::XdbcBigint, (64, 2), false));
    types.append(number("BIGINT UNSIGNED", XdbcDataType::XdbcBigint, (64, 2), true));
    types.append(number("FLOAT", XdbcDataType::XdbcReal, (24, 2), false));
    types.append(number("DOUBLE", XdbcDataType::XdbcDouble, (53, 2), false));
    types.append(XdbcTypeInfo { column_size: Some(1), ..described("BOOLEAN", XdbcDataType::XdbcBit) });
    types.append(quoted("VARCHAR", XdbcDataType::XdbcVarchar, Some(i32::MAX), "'"));
    types.append(quoted("BYTEA", XdbcDataType::XdbcVarbinary, Some(i32::MAX), "X'"));
    types.append(XdbcTypeInfo {
        maximum_scale: Some(9),
        minimum_scale: Some(9),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        ..quoted("TIMESTAMP", XdbcDataType::XdbcTimestamp, Some(29), "TIMESTAMP '")
    });
    types.build()
}

fn described(name: &str, data_type: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: None,
        literal_prefix: None,
        literal_suffix: None,
        create_params: None,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: false,
        searchable: Searchable::Full,
        unsigned_attribute: None,
        fixed_prec_scale: false,
        auto_increment: None,
        local_type_name: Some(name.to_owned()),
        minimum_scale: None,
        maximum_scale: None,
        sql_data_type: data_type,
        datetime_subcode: None,
        num_prec_radix: None,
        interval_precision: None,
    }
}

fn number(name: &str, data_type: XdbcDataType, (size, radix): (i32, i32), unsigned: bool) -> XdbcTypeInfo {
    XdbcTypeInfo {
        column_size: Some(size),
        num_prec_radix: Some(radix),
        unsigned_attribute: Some(unsigned),
        auto_increment: Some(false),
        ..described(name, data_type)
    }
}

fn quoted(name: &str, data_type: XdbcDataType, size: Option<i32>, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        column_size: size,
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        case_sensitive: true,
        ..described(name, data_type)
    }
}
