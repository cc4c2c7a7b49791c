//! Booleans: one bit each, as arrow holds them.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use parquet::basic::Encoding;

use super::Rows;
use crate::parquet::chunk::Chunk;
use crate::parquet::encoding::plain;
use crate::parquet::statistics::Summary;

pub(super) fn encode(values: &BooleanBuffer, rows: &Rows<'_>, chunk: &mut Chunk) {
    let dense = match rows.nulls {
        None => values.clone(),
        Some(nulls) => {
            let mut dense = BooleanBufferBuilder::new(values.len() - nulls.null_count());
            for (start, end) in nulls.valid_slices() {
                dense.append_buffer(&values.slice(start, end - start));
            }
            dense.finish()
        }
    };
    for page in rows.pages() {
        page.begin(chunk);
        let values = dense.slice(page.values.start, page.values.len());
        plain::booleans(&values, &mut chunk.raw);
        let trues = values.count_set_bits();
        let summary = Summary::booleans(trues, values.len() - trues, page.null_count());
        chunk.end_page(page.rows.len(), Encoding::PLAIN, summary);
    }
}
