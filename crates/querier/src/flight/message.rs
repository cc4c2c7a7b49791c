//! Batches as messages of Flight, none larger than clients take.
//!
//! Rows differ in size, so a batch is halved until each half fits; only a single row that is larger than the
//! limit is sent as it is, for its client to take or refuse.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::Bytes;
use prost::Message;

use super::wire;

/// Bytes of a message. Clients in Go take 4 MiB unless they are told to take more.
pub(super) const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// Bytes of rows in one message: half, because headers and padding of many columns come on top.
const ROWS_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 2;

/// The message that comes first.
pub(super) fn of_schema(schema: &Schema) -> FlightData {
    SchemaAsIpc::new(schema, &IpcWriteOptions::default()).into()
}

/// A schema as it is told beside answers: the bytes of [`of_schema`] in the frame of a stream.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes, ArrowError> {
    let arrow_flight::IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into()?;
    Ok(bytes)
}

/// Turns batches into messages.
pub(super) struct Encoder {
    generator: IpcDataGenerator,
    /// Nothing on the wire has a dictionary.
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(true),
            options: IpcWriteOptions::default(),
            context: IpcWriteContext::default(),
        }
    }

    /// The messages of a batch, which has no dictionaries.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>, ArrowError> {
        let mut messages = Vec::new();
        // The halves that are still to be done, the first one last, with what the whole was thought to take.
        let mut todo = vec![(batch.clone(), usize::MAX)];
        while let Some((batch, of_whole)) = todo.pop() {
            let bytes = wire::bytes_at_most(&batch);
            // Slices of lists seem as large as the whole; these are measured when they are encoded.
            let is_known = bytes / 4 < of_whole / 5;
            let rows = batch.num_rows();
            if rows > 1 && bytes > ROWS_BYTES_MAX && is_known {
                halve(&batch, bytes, &mut todo);
                continue;
            }
            let message = self.message(&batch)?;
            if rows > 1 && message.encoded_len() > MESSAGE_BYTES_MAX {
                halve(&batch, bytes, &mut todo);
            } else if rows > 0 {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn message(&mut self, batch: &RecordBatch) -> Result<FlightData, ArrowError> {
        let Self { generator, dictionaries, options, context } = self;
        let (_, message) = generator.encode(batch, dictionaries, options, context)?;
        Ok(message.into())
    }
}

fn halve(batch: &RecordBatch, bytes: usize, todo: &mut Vec<(RecordBatch, usize)>) {
    let half = batch.num_rows() / 2;
    todo.push((batch.slice(half, batch.num_rows() - half), bytes));
    todo.push((batch.slice(0, half), bytes));
}

#[cfg(test)]
mod tests;
