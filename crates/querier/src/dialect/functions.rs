//! Functions that users of DuckDB expect, in terms of those that the engine has.
//!
//! Each is replaced by built-in expressions while the plan is simplified, so constants fold and comparisons still
//! rule out files; none is ever evaluated row by row itself.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::functions::datetime;
use datafusion::functions_aggregate::{approx_distinct, array_agg, first_last};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility, cast, lit,
};

const NANOS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// Days from 1970-01-01 to 2000-01-03, the Monday at which DuckDB's buckets start.
const DUCKDB_ORIGIN_NANOS: i64 = 946_857_600_000_000_000;

/// Which function, by DuckDB's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shim {
    EpochNs,
    EpochUs,
    EpochMs,
    Epoch,
    TimeBucket,
    MakeTimestamp,
    MakeTimestampNs,
    DayOf,
    HourOf,
    Part(&'static str),
}

/// A function that is only ever replaced.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Replaced {
    name: &'static str,
    shim: Shim,
    signature: Signature,
}

/// Makes the functions known.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let one = || Signature::any(1, Volatility::Immutable);
    let two_or_three = TypeSignature::OneOf(vec![TypeSignature::Any(2), TypeSignature::Any(3)]);
    let buckets = Signature::new(two_or_three, Volatility::Immutable);
    let shims = [
        ("epoch_ns", Shim::EpochNs, one()),
        ("epoch_us", Shim::EpochUs, one()),
        ("epoch_ms", Shim::EpochMs, one()),
        ("epoch", Shim::Epoch, one()),
        ("time_bucket", Shim::TimeBucket, buckets),
        ("make_timestamp", Shim::MakeTimestamp, one()),
        ("make_timestamp_ns", Shim::MakeTimestampNs, one()),
        (DAY_OF, Shim::DayOf, one()),
        (HOUR_OF, Shim::HourOf, one()),
        ("year", Shim::Part("year"), one()),
        ("quarter", Shim::Part("quarter"), one()),
        ("month", Shim::Part("month"), one()),
        ("week", Shim::Part("week"), one()),
        ("day", Shim::Part("day"), one()),
        ("dayofmonth", Shim::Part("day"), one()),
        ("dayofweek", Shim::Part("dow"), one()),
        ("dayofyear", Shim::Part("doy"), one()),
        ("hour", Shim::Part("hour"), one()),
        ("minute", Shim::Part("minute"), one()),
        ("second", Shim::Part("second"), one()),
    ];
    for (name, shim, signature) in shims {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(Replaced { name, shim, signature })))?;
    }
    let regexp_like = datafusion::functions::regex::regexp_like().as_ref().clone();
    state.register_udf(Arc::new(regexp_like.with_aliases(["regexp_matches"])))?;
    let length = datafusion::functions::unicode::character_length().as_ref().clone();
    state.register_udf(Arc::new(length.with_aliases(["len"])))?;
    let first = first_last::first_value_udaf().as_ref().clone();
    state.register_udaf(Arc::new(first.with_aliases(["first", "arbitrary"])))?;
    let last = first_last::last_value_udaf().as_ref().clone();
    state.register_udaf(Arc::new(last.with_aliases(["last"])))?;
    let list = array_agg::array_agg_udaf().as_ref().clone();
    state.register_udaf(Arc::new(list.with_aliases(["list"])))?;
    let distinct = approx_distinct::approx_distinct_udaf().as_ref().clone();
    state.register_udaf(Arc::new(distinct.with_aliases(["approx_count_distinct"])))?;
    Ok(())
}

/// The function behind the `date` column.
pub(crate) const DAY_OF: &str = "day_of";
/// The function behind the `hour` column.
pub(crate) const HOUR_OF: &str = "hour_of";

impl ScalarUDFImpl for Replaced {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.shim {
            Shim::EpochMs if arguments.first().is_some_and(DataType::is_integer) => NANOS,
            Shim::EpochNs | Shim::EpochUs | Shim::EpochMs | Shim::HourOf | Shim::Part(_) => DataType::Int64,
            Shim::Epoch => DataType::Float64,
            Shim::TimeBucket | Shim::MakeTimestamp | Shim::MakeTimestampNs => NANOS,
            Shim::DayOf => DataType::Date32,
        })
    }

    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let mut arguments = arguments.into_iter();
        let Some(first) = arguments.next() else {
            return Err(DataFusionError::Plan(format!("{} needs an argument", self.name)));
        };
        let is_integer = info.get_data_type(&first)?.is_integer();
        let nanos = |expr| cast(cast(expr, NANOS), DataType::Int64);
        let scaled = |expr, unit: TimeUnit| cast(cast(expr, DataType::Timestamp(unit, None)), DataType::Int64);
        let replacement = match self.shim {
            Shim::EpochNs => nanos(first),
            Shim::EpochUs => scaled(cast(first, NANOS), TimeUnit::Microsecond),
            Shim::EpochMs if is_integer => cast(cast(first, DataType::Timestamp(TimeUnit::Millisecond, None)), NANOS),
            Shim::EpochMs => scaled(cast(first, NANOS), TimeUnit::Millisecond),
            Shim::Epoch => cast(nanos(first), DataType::Float64) / lit(1e9),
            Shim::MakeTimestamp => cast(cast(first, DataType::Timestamp(TimeUnit::Microsecond, None)), NANOS),
            Shim::MakeTimestampNs => cast(cast(first, DataType::Int64), NANOS),
            Shim::HourOf => part("hour", first),
            Shim::Part(name) => part(name, first),
            Shim::TimeBucket => bucket(first, arguments.next(), arguments.next()),
            // Kept until comparisons with it were turned into ranges of time; see `preimage`.
            Shim::DayOf => return Ok(ExprSimplifyResult::Original(vec![first])),
        };
        Ok(ExprSimplifyResult::Simplified(replacement))
    }

    fn preimage(&self, arguments: &[Expr], literal: &Expr, _: &SimplifyContext) -> Result<PreimageResult> {
        let (Shim::DayOf, [argument]) = (self.shim, arguments) else { return Ok(PreimageResult::None) };
        let Expr::Literal(ScalarValue::Date32(Some(day)), _) = literal else { return Ok(PreimageResult::None) };
        const DAY_NANOS: i64 = 86_400_000_000_000;
        let start = i64::from(*day).checked_mul(DAY_NANOS);
        let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(DAY_NANOS)?))) else {
            return Ok(PreimageResult::None);
        };
        let at = |nanos| ScalarValue::TimestampNanosecond(Some(nanos), None);
        let interval = Interval::try_new(at(start), at(end))?;
        Ok(PreimageResult::Range { expr: argument.clone(), interval: Box::new(interval) })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.shim, arguments.args.first()) {
            (Shim::DayOf, Some(time)) => time.cast_to(&DataType::Date32, None),
            _ => Err(DataFusionError::Internal(format!("{} was not replaced", self.name))),
        }
    }
}

fn part(name: &str, time: Expr) -> Expr {
    let call = ScalarFunction::new_udf(datetime::date_part(), vec![lit(name), time]);
    cast(Expr::ScalarFunction(call), DataType::Int64)
}

fn bucket(width: Expr, time: Option<Expr>, origin: Option<Expr>) -> Expr {
    let width = match width {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(_), _) => width,
        other => cast(other, DataType::Interval(IntervalUnit::MonthDayNano)),
    };
    let time = cast(time.unwrap_or_else(|| lit(ScalarValue::Null)), NANOS);
    let origin = match origin {
        Some(origin) => cast(origin, NANOS),
        None => lit(ScalarValue::TimestampNanosecond(Some(DUCKDB_ORIGIN_NANOS), None)),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(datetime::date_bin(), vec![width, time, origin]))
}
