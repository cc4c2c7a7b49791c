//! An answer's rows on their way to a client.
//!
//! Converting and encoding run beside the query, not on the threads that serve connections. A few messages wait
//! for the connection and no more: a client that reads slowly slows the scan, one that goes away ends the query.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use gigapi_service::http::RequestId;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tonic::Status;

use super::message::{self, Encoder};
use super::refusal::Refusal;
use super::wire;
use crate::{Answer, Error, Result};

/// Messages that may wait for the connection.
const MESSAGES_AHEAD: usize = 2;

/// Batches of one schema.
pub(super) struct Rows {
    schema: SchemaRef,
    /// How old they may be, if the catalog could not be asked what is current.
    pub(super) stale: Option<Duration>,
    /// Writers whose unflushed rows they lack.
    pub(super) away: Vec<String>,
    batches: BoxStream<'static, Result<RecordBatch>>,
}

impl Rows {
    /// A query's rows, as they are sent.
    pub(super) fn of_answer(answer: Answer) -> Self {
        let schema = wire::wire_schema(answer.schema());
        let (sent, stale, away) = (SchemaRef::clone(&schema), answer.stale(), answer.writers_away().to_vec());
        let batches = answer.map(move |batch| wire::on_wire(&batch?, &sent));
        Self { schema, stale, away, batches: batches.boxed() }
    }

    /// One batch, sent as it is.
    pub(super) fn of_batch(batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let batches = futures::stream::iter([Ok(batch)]).boxed();
        Self { schema, stale: None, away: Vec::new(), batches }
    }

    /// The messages of these rows; `runtime` is where they are made.
    pub(super) fn messages(
        self,
        runtime: &Handle,
        id: RequestId,
    ) -> BoxStream<'static, std::result::Result<FlightData, Status>> {
        let (messages_tx, messages_rx) = mpsc::channel(MESSAGES_AHEAD);
        runtime.spawn(send(self, messages_tx));
        received(messages_rx, id).boxed()
    }
}

/// A message; `None` announces the end.
type Piece = Result<Option<FlightData>>;

async fn send(rows: Rows, messages: mpsc::Sender<Piece>) {
    // The query has to end with its stream even while it computes and sends nothing.
    let result = tokio::select! {
        result = pump(rows, &messages) => result,
        () = messages.closed() => return,
    };
    // A stream that was dropped takes no end.
    let _ = messages.send(result.map(|()| None)).await;
}

async fn pump(rows: Rows, messages: &mpsc::Sender<Piece>) -> Result<()> {
    let Rows { schema, mut batches, .. } = rows;
    let mut encoder = Encoder::new();
    if messages.send(Ok(Some(message::of_schema(&schema)))).await.is_err() {
        return Ok(());
    }
    while let Some(batch) = batches.next().await.transpose()? {
        let encoded = encoder.batch(&batch);
        let encoded = encoded.map_err(|error| Error::internal(format!("encoding for Flight: {error}")))?;
        for message in encoded {
            if messages.send(Ok(Some(message))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn received(
    messages: mpsc::Receiver<Piece>,
    id: RequestId,
) -> impl Stream<Item = std::result::Result<FlightData, Status>> {
    futures::stream::unfold(Some((messages, id)), |open| async move {
        let (mut messages, id) = open?;
        match messages.recv().await {
            Some(Ok(Some(message))) => Some((Ok(message), Some((messages, id)))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(Refusal::from(error).status(&id)), None)),
            None => Some((Err(Refusal::from(Error::internal("the answer was cut off")).status(&id)), None)),
        }
    })
}
