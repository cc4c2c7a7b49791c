//! Rows as Parquet and as an Arrow stream, for programs.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use parking_lot::Mutex;

use super::Encoder;

/// Where a writer puts bytes and from where they are taken away between batches.
#[derive(Debug, Clone, Default)]
struct Outlet(Arc<Mutex<Vec<u8>>>);

impl Outlet {
    fn drain(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.lock());
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encoded bytes of a row group that are held before it is sent.
const ROW_GROUP_BYTES_MAX: usize = 16 << 20;

/// One Parquet file.
pub(crate) struct ParquetEncoder {
    outlet: Outlet,
    /// Absent once the file is finished.
    writer: Option<ArrowWriter<Outlet>>,
}

impl ParquetEncoder {
    pub(crate) fn new(schema: SchemaRef) -> Result<Self, ArrowError> {
        let outlet = Outlet::default();
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
        let writer = ArrowWriter::try_new(outlet.clone(), schema, Some(properties))?;
        Ok(Self { outlet, writer: Some(writer) })
    }
}

impl Encoder for ParquetEncoder {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.outlet.drain(out);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if let Some(writer) = &mut self.writer {
            writer.write(batch)?;
            if writer.in_progress_size() > ROW_GROUP_BYTES_MAX {
                writer.flush()?;
            }
        }
        self.outlet.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if let Some(writer) = self.writer.take() {
            writer.close()?;
        }
        self.outlet.drain(out);
        Ok(())
    }
}

/// An Arrow IPC stream.
pub(crate) struct IpcEncoder {
    outlet: Outlet,
    writer: StreamWriter<Outlet>,
}

impl IpcEncoder {
    pub(crate) fn new(schema: &Schema) -> Result<Self, ArrowError> {
        let outlet = Outlet::default();
        let writer = StreamWriter::try_new(outlet.clone(), schema)?;
        Ok(Self { outlet, writer })
    }
}

impl Encoder for IpcEncoder {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.outlet.drain(out);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.writer.write(batch)?;
        self.outlet.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.writer.finish()?;
        self.outlet.drain(out);
        Ok(())
    }
}
