//! Rows as JSON objects, written straight from columns into bytes.
//!
//! The keys of a row are prepared once. Types that clients want otherwise than arrow writes them (64-bit integers as
//! strings, points in time, dates) have writers of their own, nested values included; the rest is arrow's.

use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, FieldRef, Int64Type, SchemaRef, TimeUnit, TimestampNanosecondType,
    UInt64Type,
};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder as ValueEncoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};

use super::Encoder;
use super::time::{TimeStyle, write_date, write_time};

/// What surrounds the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonShape {
    /// `{"results":[{…},{…}]}`
    Results,
    /// `[{…},{…}]`
    Array,
    /// One object a line.
    Lines,
}

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonStyle {
    pub(crate) shape: JsonShape,
    /// Whether 64-bit integers are strings, because many clients read numbers as doubles.
    pub(crate) quoted_integers: bool,
    pub(crate) time: TimeStyle,
    /// Whether a null is written or left out.
    pub(crate) nulls: bool,
    pub(crate) content_type: &'static str,
}

impl JsonStyle {
    pub(crate) fn content_type(self) -> &'static str {
        self.content_type
    }
}

/// Writes rows as JSON.
pub(crate) struct JsonEncoder {
    style: JsonStyle,
    fields: Vec<FieldRef>,
    /// Per column `"name":`.
    keys: Vec<Vec<u8>>,
    options: EncoderOptions,
    rows: bool,
}

impl JsonEncoder {
    pub(crate) fn new(schema: &SchemaRef, style: JsonStyle) -> Result<Self, ArrowError> {
        let key = |field: &FieldRef| {
            let mut key = serde_json::to_vec(field.name()).map_err(|error| ArrowError::JsonError(error.to_string()))?;
            key.push(b':');
            Ok(key)
        };
        let keys = schema.fields().iter().map(key).collect::<Result<_, ArrowError>>()?;
        let options = EncoderOptions::default()
            .with_explicit_nulls(style.nulls)
            .with_encoder_factory(Arc::new(Habits { quoted_integers: style.quoted_integers, time: style.time }));
        Ok(Self { style, fields: schema.fields().to_vec(), keys, options, rows: false })
    }
}

impl Encoder for JsonEncoder {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match self.style.shape {
            JsonShape::Results => out.extend_from_slice(b"{\"results\":["),
            JsonShape::Array => out.push(b'['),
            JsonShape::Lines => {}
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let columns: Vec<_> = batch.columns().iter().map(for_encoding).collect::<Result<_, _>>()?;
        let mut encoders = Vec::with_capacity(columns.len());
        for (field, column) in self.fields.iter().zip(&columns) {
            encoders.push(make_encoder(field, column.as_ref(), &self.options)?);
        }
        for row in 0..batch.num_rows() {
            if self.rows && self.style.shape != JsonShape::Lines {
                out.push(b',');
            }
            self.rows = true;
            out.push(b'{');
            let mut first = true;
            for (key, encoder) in self.keys.iter().zip(&mut encoders) {
                let null = encoder.is_null(row);
                if null && !self.style.nulls {
                    continue;
                }
                if !first {
                    out.push(b',');
                }
                first = false;
                out.extend_from_slice(key);
                match null {
                    true => out.extend_from_slice(b"null"),
                    false => encoder.encode(row, out),
                }
            }
            out.push(b'}');
            if self.style.shape == JsonShape::Lines {
                out.push(b'\n');
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match self.style.shape {
            JsonShape::Results => out.extend_from_slice(b"]}\n"),
            JsonShape::Array => out.push(b']'),
            JsonShape::Lines => {}
        }
        Ok(())
    }
}

/// Brings points in time to nanoseconds; they are written from there.
fn for_encoding(column: &arrow::array::ArrayRef) -> Result<arrow::array::ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(unit, _) if *unit != TimeUnit::Nanosecond => {
            cast(column, &DataType::Timestamp(TimeUnit::Nanosecond, None))
        }
        _ => Ok(Arc::clone(column)),
    }
}

#[derive(Debug)]
struct Habits {
    quoted_integers: bool,
    time: TimeStyle,
}

impl EncoderFactory for Habits {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        Ok(match array.data_type() {
            DataType::Int64 if self.quoted_integers => Some(written::<Int64Type>(array, quoted)),
            DataType::UInt64 if self.quoted_integers => Some(written::<UInt64Type>(array, quoted)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(match self.time {
                TimeStyle::Rfc3339 => written::<TimestampNanosecondType>(array, rfc3339),
                TimeStyle::NoZone => written::<TimestampNanosecondType>(array, no_zone),
            }),
            DataType::Date32 if self.time == TimeStyle::Rfc3339 => Some(written::<Date32Type>(array, midnight)),
            _ => None,
        })
    }
}

type Write<T> = fn(<T as ArrowPrimitiveType>::Native, &mut Vec<u8>);

struct Written<'a, T: ArrowPrimitiveType> {
    array: &'a PrimitiveArray<T>,
    write: Write<T>,
}

impl<T: ArrowPrimitiveType> ValueEncoder for Written<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        (self.write)(self.array.value(row), out);
    }
}

fn written<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, write: Write<T>) -> NullableEncoder<'a> {
    let array = array.as_primitive::<T>();
    NullableEncoder::new(Box::new(Written { array, write }), array.nulls().cloned())
}

fn quoted<T: serde::Serialize>(value: T, out: &mut Vec<u8>) {
    out.push(b'"');
    // Writing an integer to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, &value);
    out.push(b'"');
}

fn rfc3339(nanos: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    write_time(nanos, TimeStyle::Rfc3339, out);
    out.push(b'"');
}

fn no_zone(nanos: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    write_time(nanos, TimeStyle::NoZone, out);
    out.push(b'"');
}

fn midnight(days: i32, out: &mut Vec<u8>) {
    out.push(b'"');
    write_date(i64::from(days), out);
    out.extend_from_slice(b"T00:00:00Z\"");
}
