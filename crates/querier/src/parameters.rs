//! Values for the `$name` and `$1` places of a statement, as JSON has them.
//!
//! Shared by everything that takes them as JSON, so that one value means the same wherever it comes from.

use std::collections::HashMap;

use datafusion::common::{ParamValues, ScalarValue};
use serde_json::Value;

use crate::{Error, Result};

/// The values of an object of names, or of a list for `$1`, `$2` and so on. Null is no values.
pub(crate) fn from_json(values: Value) -> Result<Option<ParamValues>> {
    match values {
        Value::Null => Ok(None),
        Value::Object(values) => {
            let named = |(name, value): (String, Value)| Ok((name.clone(), scalar(&name, value)?));
            let values = values.into_iter().map(named).collect::<Result<HashMap<_, _>>>()?;
            Ok(Some(ParamValues::from(values)))
        }
        Value::Array(values) => {
            let numbered = values.into_iter().zip(1..).map(|(value, number)| scalar(&format!("${number}"), value));
            Ok(Some(ParamValues::from(numbered.collect::<Result<Vec<_>>>()?)))
        }
        _ => Err(Error::invalid("params has to be an object of names and values, or a list for $1, $2 and so on")),
    }
}

fn scalar(name: &str, value: Value) -> Result<ScalarValue> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::from(value),
        Value::String(value) => ScalarValue::from(value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => ScalarValue::from(value),
            (_, Some(value), _) => ScalarValue::from(value),
            (_, _, Some(value)) => ScalarValue::from(value),
            _ => return Err(Error::invalid(format!("the parameter {name:?} is not a number that can be held"))),
        },
        _ => return Err(Error::invalid(format!("the parameter {name:?} is a list or an object; use plain values"))),
    })
}
