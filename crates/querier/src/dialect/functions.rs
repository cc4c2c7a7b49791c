//! Functions that users of DuckDB expect, in terms of those that the engine has.
//!
//! Each is replaced by built-in expressions while the plan is simplified, so constants fold and comparisons still
//! rule out files. Those that count units of time stay, and tell which range of time a comparison with them means.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, IntervalUnit, TimeUnit};
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
    AggregateUDF, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility, cast, lit,
};

use super::duckdb_type;
use super::frequent::Frequent;

const NANOS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// Days from 1970-01-01 to 2000-01-03, the Monday at which DuckDB's buckets start.
const DUCKDB_ORIGIN_NANOS: i64 = 946_857_600_000_000_000;

/// 2000-01-01, where DuckDB's buckets of months and years start.
const DUCKDB_ORIGIN_OF_MONTHS_NANOS: i64 = 946_684_800_000_000_000;

/// Which function, by DuckDB's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shim {
    EpochNs,
    EpochUs,
    EpochMs,
    Epoch,
    TimeBucket,
    MakeTimestamp,
    MakeTimestampMs,
    MakeTimestampNs,
    AsTime,
    TypeOf,
    Len,
    DayOf,
    HourOf,
    Part(&'static str),
}

/// A function that is replaced, or turned into a range of time where it is compared.
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
        ("epoch_ns", Shim::EpochNs),
        ("epoch_us", Shim::EpochUs),
        ("epoch_ms", Shim::EpochMs),
        ("epoch", Shim::Epoch),
        ("make_timestamp", Shim::MakeTimestamp),
        ("make_timestamp_ms", Shim::MakeTimestampMs),
        ("make_timestamp_ns", Shim::MakeTimestampNs),
        (AS_TIME, Shim::AsTime),
        ("typeof", Shim::TypeOf),
        ("len", Shim::Len),
        (DAY_OF, Shim::DayOf),
        (HOUR_OF, Shim::HourOf),
    ];
    let parts = PARTS.iter().map(|(name, part)| (*name, Shim::Part(part)));
    let shims = shims.into_iter().chain(parts).map(|(name, shim)| (name, shim, one()));
    for (name, shim, signature) in shims.chain([("time_bucket", Shim::TimeBucket, buckets)]) {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(Replaced { name, shim, signature })))?;
    }
    let regexp_like = datafusion::functions::regex::regexp_like().as_ref().clone();
    state.register_udf(Arc::new(regexp_like.with_aliases(["regexp_matches"])))?;
    let first = first_last::first_value_udaf().as_ref().clone();
    state.register_udaf(Arc::new(first.with_aliases(["first", "arbitrary"])))?;
    let last = first_last::last_value_udaf().as_ref().clone();
    state.register_udaf(Arc::new(last.with_aliases(["last"])))?;
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(Frequent::mode())))?;
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(Frequent::histogram())))?;
    let list = array_agg::array_agg_udaf().as_ref().clone();
    state.register_udaf(Arc::new(list.with_aliases(["list"])))?;
    let distinct = approx_distinct::approx_distinct_udaf().as_ref().clone();
    state.register_udaf(Arc::new(distinct.with_aliases(["approx_count_distinct"])))?;
    Ok(())
}

/// DuckDB's functions that are one part of a point in time, and the engine's name of it.
const PARTS: &[(&str, &str)] = &[
    ("year", "year"),
    ("isoyear", "isoyear"),
    ("quarter", "quarter"),
    ("month", "month"),
    ("week", "week"),
    ("weekofyear", "week"),
    ("day", "day"),
    ("dayofmonth", "day"),
    ("dayofweek", "dow"),
    ("weekday", "dow"),
    ("isodow", "isodow"),
    ("dayofyear", "doy"),
    ("hour", "hour"),
    ("minute", "minute"),
    ("second", "second"),
    ("millisecond", "millisecond"),
    ("microsecond", "microsecond"),
    ("nanosecond", "nanosecond"),
];

/// A point in time, whether it is given as one, as nanoseconds or as a text.
pub(super) const AS_TIME: &str = "as_time";
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
            Shim::EpochNs | Shim::EpochUs | Shim::EpochMs | Shim::HourOf | Shim::Part(_) | Shim::Len => DataType::Int64,
            Shim::Epoch => DataType::Float64,
            Shim::TypeOf => DataType::Utf8,
            Shim::TimeBucket | Shim::MakeTimestamp | Shim::MakeTimestampMs | Shim::MakeTimestampNs | Shim::AsTime => {
                NANOS
            }
            Shim::DayOf => DataType::Date32,
        })
    }

    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let mut arguments = arguments.into_iter();
        let Some(first) = arguments.next() else {
            return Err(DataFusionError::Plan(format!("{} needs an argument", self.name)));
        };
        let given = info.get_data_type(&first)?;
        let is_integer = given.is_integer();
        let nanos = |expr| cast(cast(expr, NANOS), DataType::Int64);
        let replacement = match self.shim {
            Shim::EpochNs => nanos(first),
            Shim::EpochMs if is_integer => cast(cast(first, DataType::Timestamp(TimeUnit::Millisecond, None)), NANOS),
            // Kept until comparisons with them were turned into ranges of time; see `preimage`.
            Shim::EpochUs | Shim::EpochMs if given == NANOS => return Ok(ExprSimplifyResult::Original(vec![first])),
            Shim::EpochUs | Shim::EpochMs => {
                let udf = ScalarUDF::new_from_impl(Replaced {
                    name: self.name,
                    shim: self.shim,
                    signature: self.signature.clone(),
                });
                Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(udf), vec![cast(first, NANOS)]))
            }
            Shim::Epoch => cast(nanos(first), DataType::Float64) / lit(1e9),
            Shim::MakeTimestamp => cast(cast(first, DataType::Timestamp(TimeUnit::Microsecond, None)), NANOS),
            Shim::MakeTimestampMs => cast(cast(first, DataType::Timestamp(TimeUnit::Millisecond, None)), NANOS),
            Shim::MakeTimestampNs => cast(cast(first, DataType::Int64), NANOS),
            Shim::AsTime if is_integer => cast(cast(first, DataType::Int64), NANOS),
            Shim::AsTime => cast(first, NANOS),
            Shim::TypeOf => lit(duckdb_type(&given)),
            Shim::Len => length(first, &given),
            Shim::HourOf => part("hour", first),
            Shim::Part(name) => part(name, first),
            Shim::TimeBucket => {
                let (time, third) = (arguments.next(), arguments.next());
                let third = third.map(|third| Ok::<_, DataFusionError>((info.get_data_type(&third)?, third)));
                bucket(first, time, third.transpose()?)?
            }
            // Kept until comparisons with it were turned into ranges of time; see `preimage`.
            Shim::DayOf => return Ok(ExprSimplifyResult::Original(vec![first])),
        };
        Ok(ExprSimplifyResult::Simplified(replacement))
    }

    fn preimage(&self, arguments: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        let (Some(unit), [argument]) = (self.shim.nanos(), arguments) else { return Ok(PreimageResult::None) };
        let Expr::Literal(value, _) = literal else { return Ok(PreimageResult::None) };
        let number = match value {
            ScalarValue::Date32(Some(day)) => i64::from(*day),
            ScalarValue::Int64(Some(number)) => *number,
            _ => return Ok(PreimageResult::None),
        };
        let start = number.checked_mul(unit);
        let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(unit)?))) else {
            return Ok(PreimageResult::None);
        };
        if info.get_data_type(argument)? != NANOS {
            return Ok(PreimageResult::None);
        }
        let at = |nanos| ScalarValue::TimestampNanosecond(Some(nanos), None);
        let interval = Interval::try_new(at(start), at(end))?;
        Ok(PreimageResult::Range { expr: argument.clone(), interval: Box::new(interval) })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.shim.nanos(), arguments.args.first()) {
            (Some(unit), Some(time)) => units(time, unit, self.shim == Shim::DayOf),
            _ => Err(DataFusionError::Internal(format!("{} was not replaced", self.name))),
        }
    }
}

impl Shim {
    /// For those that count whole units of time since 1970, how long a unit is.
    fn nanos(self) -> Option<i64> {
        match self {
            Self::DayOf => Some(86_400_000_000_000),
            Self::EpochMs => Some(1_000_000),
            Self::EpochUs => Some(1000),
            _ => None,
        }
    }
}

/// How many whole units have passed since 1970; before, they count down as far as it takes.
fn units(time: &ColumnarValue, unit: i64, is_date: bool) -> Result<ColumnarValue> {
    let nanos = time.cast_to(&NANOS, None)?.cast_to(&DataType::Int64, None)?;
    let whole = |nanos: i64| nanos.div_euclid(unit);
    let counted = match nanos {
        ColumnarValue::Scalar(ScalarValue::Int64(nanos)) => ColumnarValue::Scalar(ScalarValue::Int64(nanos.map(whole))),
        ColumnarValue::Scalar(other) => return Err(DataFusionError::Internal(format!("{other} is not Int64"))),
        ColumnarValue::Array(nanos) => {
            let nanos = nanos.as_primitive::<Int64Type>();
            ColumnarValue::Array(Arc::new(nanos.unary::<_, Int64Type>(whole)))
        }
    };
    match is_date {
        true => counted.cast_to(&DataType::Int32, None)?.cast_to(&DataType::Date32, None),
        false => Ok(counted),
    }
}

fn part(name: &str, time: Expr) -> Expr {
    let call = ScalarFunction::new_udf(datetime::date_part(), vec![lit(name), time]);
    cast(Expr::ScalarFunction(call), DataType::Int64)
}

fn length(of: Expr, data_type: &DataType) -> Expr {
    let function = match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            datafusion::functions_nested::length::array_length_udf()
        }
        _ => datafusion::functions::unicode::character_length(),
    };
    cast(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![of])), DataType::Int64)
}

/// `date_bin` from where DuckDB's buckets start. The third argument is another start, or by how much they are shifted.
fn bucket(width: Expr, time: Option<Expr>, third: Option<(DataType, Expr)>) -> Result<Expr> {
    let width = match width {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(_), _) => width,
        other => interval(other)?,
    };
    let time = cast(time.unwrap_or_else(|| lit(ScalarValue::Null)), NANOS);
    let usual = match width {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(width)), _) if width.months != 0 => {
            DUCKDB_ORIGIN_OF_MONTHS_NANOS
        }
        _ => DUCKDB_ORIGIN_NANOS,
    };
    let usual = lit(ScalarValue::TimestampNanosecond(Some(usual), None));
    let bin = |width, time, origin| {
        Expr::ScalarFunction(ScalarFunction::new_udf(datetime::date_bin(), vec![width, time, origin]))
    };
    Ok(match third {
        None => bin(width, time, usual),
        Some((DataType::Interval(_) | DataType::Duration(_), shift)) => {
            cast(bin(width, time - shift.clone(), usual) + shift, NANOS)
        }
        Some((_, origin)) => bin(width, time, cast(origin, NANOS)),
    })
}

/// A text as an interval; a constant one at once, because where buckets start depends on it.
fn interval(expr: Expr) -> Result<Expr> {
    const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
    match expr {
        Expr::Literal(value, _) => Ok(lit(value.cast_to(&INTERVAL)?)),
        other => Ok(cast(other, INTERVAL)),
    }
}
