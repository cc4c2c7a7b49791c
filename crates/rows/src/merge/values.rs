//! A column of a window: values copied span by span, and for overwritten rows the last value that is there.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, PrimitiveArray,
    StringViewArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use gigapi_model::{Column, ColumnType};

use super::window::Window;

/// The column in the window's order; rows of inputs that lack it are null.
pub(super) fn gather(column: &Column, arrays: &[Option<ArrayRef>], window: &Window) -> Result<ArrayRef, ArrowError> {
    let expected = match column.column_type {
        ColumnType::Float => DataType::Float64,
        ColumnType::Integer | ColumnType::Time => DataType::Int64,
        ColumnType::Unsigned => DataType::UInt64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::String => DataType::Utf8View,
    };
    if let Some(other) = arrays.iter().flatten().find(|array| *array.data_type() != expected) {
        let reason = format!("column {} is a {} but a file holds a {}", column.name, expected, other.data_type());
        return Err(ArrowError::SchemaError(reason));
    }
    let presence = Presence::new(arrays, window);
    Ok(match column.column_type {
        ColumnType::Float => {
            let (values, nulls) = primitives::<Float64Type>(arrays, window, presence);
            Arc::new(Float64Array::try_new(values, nulls)?)
        }
        ColumnType::Integer | ColumnType::Time => {
            let (values, nulls) = primitives::<Int64Type>(arrays, window, presence);
            Arc::new(Int64Array::try_new(values, nulls)?)
        }
        ColumnType::Unsigned => {
            let (values, nulls) = primitives::<UInt64Type>(arrays, window, presence);
            Arc::new(UInt64Array::try_new(values, nulls)?)
        }
        ColumnType::Boolean => booleans(arrays, window, presence)?,
        ColumnType::String => strings(arrays, window, presence)?,
    })
}

/// Which rows have a value, and which earlier write takes the place of a row that has none.
struct Presence {
    nulls: Option<NullBuffer>,
    /// Row of the window, input, and row of the input.
    filled: Vec<(u32, u32, u32)>,
}

impl Presence {
    fn new(arrays: &[Option<ArrayRef>], window: &Window) -> Self {
        let whole = |array: &Option<ArrayRef>| array.as_ref().is_some_and(|array| array.null_count() == 0);
        let used = |index: usize| !window.ranges()[index].is_empty();
        if arrays.iter().enumerate().all(|(index, array)| !used(index) || whole(array)) {
            return Self { nulls: None, filled: Vec::new() };
        }
        let mut valid = BooleanBufferBuilder::new(window.rows());
        for span in &window.spans {
            let (start, len) = (span.start as usize, span.len as usize);
            match &arrays[span.input as usize] {
                None => valid.append_n(len, false),
                Some(array) => match array.nulls() {
                    None => valid.append_n(len, true),
                    Some(nulls) => {
                        let first = nulls.offset() + start;
                        valid.append_packed_range(first..first + len, nulls.validity());
                    }
                },
            }
        }
        let mut filled = Vec::new();
        for &(row, start, end) in &window.overwritten {
            if valid.get_bit(row as usize) {
                continue;
            }
            let has_value = |(input, at): &&(u32, u32)| {
                arrays[*input as usize].as_ref().is_some_and(|array| array.is_valid(*at as usize))
            };
            if let Some(&(input, at)) = window.older[start as usize..end as usize].iter().find(has_value) {
                valid.set_bit(row as usize, true);
                filled.push((row, input, at));
            }
        }
        let nulls = NullBuffer::new(valid.finish());
        Self { nulls: (nulls.null_count() > 0).then_some(nulls), filled }
    }
}

fn primitives<T: ArrowPrimitiveType>(
    arrays: &[Option<ArrayRef>],
    window: &Window,
    presence: Presence,
) -> (ScalarBuffer<T::Native>, Option<NullBuffer>) {
    let of_input: Vec<&[T::Native]> =
        arrays.iter().map(|array| array.as_ref().map_or(&[][..], |array| as_primitive::<T>(array).values())).collect();
    let mut out: Vec<T::Native> = Vec::with_capacity(window.rows());
    for span in &window.spans {
        let (values, start, len) = (of_input[span.input as usize], span.start as usize, span.len as usize);
        match values.get(start..start + len) {
            Some(values) => out.extend_from_slice(values),
            None => out.resize(out.len() + len, T::Native::default()),
        }
    }
    for (row, input, at) in presence.filled {
        out[row as usize] = of_input[input as usize][at as usize];
    }
    (out.into(), presence.nulls)
}

fn as_primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> &PrimitiveArray<T> {
    array.as_primitive::<T>()
}

fn booleans(arrays: &[Option<ArrayRef>], window: &Window, presence: Presence) -> Result<ArrayRef, ArrowError> {
    let of_input: Vec<Option<&BooleanBuffer>> =
        arrays.iter().map(|array| array.as_ref().map(|array| array.as_boolean().values())).collect();
    let mut out = BooleanBufferBuilder::new(window.rows());
    for span in &window.spans {
        let (start, len) = (span.start as usize, span.len as usize);
        match of_input[span.input as usize] {
            None => out.append_n(len, false),
            Some(values) => {
                let first = values.offset() + start;
                out.append_packed_range(first..first + len, values.values());
            }
        }
    }
    for (row, input, at) in presence.filled {
        let value = of_input[input as usize].is_some_and(|values| values.value(at as usize));
        out.set_bit(row as usize, value);
    }
    Ok(Arc::new(BooleanArray::new(out.finish(), presence.nulls)))
}

/// Longer strings lie in a buffer, whose number is here in their view.
const INLINE_BYTES_MAX: u32 = 12;
const BUFFER_BITS: u32 = 64;

fn strings(arrays: &[Option<ArrayRef>], window: &Window, presence: Presence) -> Result<ArrayRef, ArrowError> {
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut of_input: Vec<(&[u128], u128)> = Vec::with_capacity(arrays.len());
    for array in arrays {
        let first = (buffers.len() as u128) << BUFFER_BITS;
        match array {
            None => of_input.push((&[], first)),
            Some(array) => {
                let array = array.as_string_view();
                buffers.extend(array.data_buffers().iter().cloned());
                of_input.push((array.views(), first));
            }
        }
    }
    // The number of the buffer is 32 bits in the middle of the view: adding cannot overflow into the offset.
    let moved = |view: u128, first: u128| if view as u32 > INLINE_BYTES_MAX { view + first } else { view };
    let mut out: Vec<u128> = Vec::with_capacity(window.rows());
    for span in &window.spans {
        let ((views, first), start, len) = (of_input[span.input as usize], span.start as usize, span.len as usize);
        match views.get(start..start + len) {
            Some(views) => out.extend(views.iter().map(|view| moved(*view, first))),
            None => out.resize(out.len() + len, 0),
        }
    }
    for (row, input, at) in presence.filled {
        let (views, first) = of_input[input as usize];
        out[row as usize] = moved(views[at as usize], first);
    }
    Ok(Arc::new(StringViewArray::try_new(out.into(), buffers, presence.nulls)?))
}
