//! Values for the `$name` places of a statement, as JSON has them.
//!
//! Shared by everything that takes them as JSON, so that one value means the same wherever it comes from.

use std::collections::HashMap;

use datafusion::common::{ParamValues, ScalarValue};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// The values of an object of names and plain values.
pub(crate) fn from_json(values: Map<String, Value>) -> Result<ParamValues> {
    let named = values.into_iter().map(|(name, value)| {
        let value = scalar(&name, value)?;
        Ok((name, value))
    });
    Ok(ParamValues::from(named.collect::<Result<HashMap<_, _>>>()?))
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
