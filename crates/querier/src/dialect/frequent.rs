//! `mode` and `histogram`: how often each value occurs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Frequent {
    name: &'static str,
    wants: Wants,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wants {
    /// The value that occurs most often; of several the one that came first.
    Most,
    /// Every value and how often it occurs.
    All,
}

impl Frequent {
    pub(super) fn mode() -> Self {
        Self { name: "mode", wants: Wants::Most, signature: Signature::any(1, Volatility::Immutable) }
    }

    pub(super) fn histogram() -> Self {
        Self { name: "histogram", wants: Wants::All, signature: Signature::any(1, Volatility::Immutable) }
    }
}

/// The type of a histogram of such values.
fn map_of(values: &DataType) -> DataType {
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries_of(values)), false)), false)
}

fn entries_of(values: &DataType) -> Fields {
    Fields::from(vec![Field::new("key", values.clone(), false), Field::new("value", DataType::UInt64, true)])
}

impl AggregateUDFImpl for Frequent {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let values = arguments.first().cloned().unwrap_or(DataType::Null);
        Ok(match self.wants {
            Wants::Most => values,
            Wants::All => map_of(&values),
        })
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let field = arguments.expr_fields.first();
        let values = field.map_or(DataType::Null, |field| field.data_type().clone());
        Ok(Box::new(Counts { wants: self.wants, values, order: Vec::new(), counts: HashMap::new(), bytes: 0 }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let values = arguments.input_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        let list = |name, data_type| {
            let name = format_state_name(arguments.name, name);
            Arc::new(Field::new_list(name, Field::new_list_field(data_type, true), true))
        };
        Ok(vec![list("values", values), list("counts", DataType::UInt64)])
    }
}

/// Values in the order in which they came, and how often each did.
#[derive(Debug)]
struct Counts {
    wants: Wants,
    values: DataType,
    order: Vec<ScalarValue>,
    counts: HashMap<ScalarValue, u64>,
    bytes: usize,
}

impl Counts {
    fn add(&mut self, value: ScalarValue, count: u64) {
        if let Some(known) = self.counts.get_mut(&value) {
            *known += count;
            return;
        }
        // Kept twice, once in the order of coming.
        self.bytes += 2 * value.size() + size_of::<u64>();
        self.order.push(value.clone());
        self.counts.insert(value, count);
    }

    fn in_order(&self) -> impl Iterator<Item = (&ScalarValue, u64)> {
        self.order.iter().map(|value| (value, self.counts.get(value).copied().unwrap_or(0)))
    }

    fn values(&self, values: impl Iterator<Item = ScalarValue>) -> Result<ArrayRef> {
        let mut values = values.peekable();
        match values.peek() {
            Some(_) => ScalarValue::iter_to_array(values),
            None => Ok(arrow::array::new_empty_array(&self.values)),
        }
    }

    fn histogram(&self) -> Result<ScalarValue> {
        if self.order.is_empty() {
            return ScalarValue::try_from(&map_of(&self.values));
        }
        let mut all: Vec<(&ScalarValue, u64)> = self.in_order().collect();
        all.sort_by(|a, b| a.0.partial_cmp(b.0).unwrap_or(std::cmp::Ordering::Equal));
        let keys = self.values(all.iter().map(|(value, _)| (*value).clone()))?;
        let counts: ArrayRef = Arc::new(UInt64Array::from_iter_values(all.iter().map(|(_, count)| *count)));
        let lengths = OffsetBuffer::from_lengths([keys.len()]);
        let entries = StructArray::try_new(entries_of(&self.values), vec![keys, counts], None)?;
        let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        Ok(ScalarValue::Map(Arc::new(MapArray::try_new(field, lengths, entries, None, false)?)))
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        for row in 0..values.len() {
            let value = ScalarValue::try_from_array(values, row)?;
            if !value.is_null() {
                // A value must not keep the batch that it came in.
                self.add(value.compacted(), 1);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.wants {
            Wants::All => self.histogram(),
            Wants::Most => {
                let mut most: Option<(&ScalarValue, u64)> = None;
                for (value, count) in self.in_order() {
                    if most.is_none_or(|(_, known)| count > known) {
                        most = Some((value, count));
                    }
                }
                most.map_or_else(|| ScalarValue::try_from(&self.values), |(value, _)| Ok(value.clone()))
            }
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.values(self.order.iter().cloned())?;
        let counts: ArrayRef = Arc::new(UInt64Array::from_iter_values(self.in_order().map(|(_, count)| count)));
        let list = |array| SingleRowListArrayBuilder::new(array).with_nullable(true).build_list_scalar();
        Ok(vec![list(values), list(counts)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return Err(DataFusionError::Internal("a state of counts has two parts".to_owned()));
        };
        let (values, counts) = (values.as_list::<i32>(), counts.as_list::<i32>());
        for row in 0..values.len() {
            if values.is_null(row) {
                continue;
            }
            let (values, counts) = (values.value(row), counts.value(row));
            let counts = counts.as_primitive::<UInt64Type>();
            for each in 0..values.len() {
                self.add(ScalarValue::try_from_array(&values, each)?, counts.value(each));
            }
        }
        Ok(())
    }
}
