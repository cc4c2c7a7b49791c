//! From drafts and definitions to what the log stores, and to the list of lines that were refused.

use std::sync::Arc;

use gigapi_model::{IdempotencyRecord, TableDef, TableId, Timestamp};
use gigapi_rows::{Draft, Part, Refusal, conform, resolve};
use gigapi_service::RefusedLine;

use super::outcome::{Outcome, WriteError};
use super::{encode, idempotency_record};
use crate::line_protocol::{LineCounter, Parsed, line_at};

/// Refused lines that an answer describes.
const DESCRIBED_MAX: usize = 100;

/// A request that is ready for the log.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) payload: Vec<u8>,
    pub(super) tables: Vec<(TableId, Arc<Part>)>,
    pub(super) definitions: Vec<Arc<TableDef>>,
    pub(super) outcome: Outcome,
    pub(super) idempotency: Option<IdempotencyRecord>,
}

/// Puts every draft into its table's terms and encodes the lot. A table without a definition is one whose
/// rows are all refused.
pub(super) fn conform_all(
    body: &[u8],
    parsed: Parsed,
    definitions: &[Option<Arc<TableDef>>],
    answered: Option<(String, Timestamp)>,
) -> Result<Accepted, WriteError> {
    let mut refused = Refused::of(&parsed);
    let mut tables = Vec::with_capacity(definitions.len());
    let mut used = Vec::with_capacity(definitions.len());
    let mut accepted = 0;
    for (mut table, definition) in parsed.tables.into_iter().zip(definitions) {
        let origin = std::mem::take(&mut table.draft.origin);
        let Some(definition) = definition else {
            refused.add(&resolve(&table.draft, None).refused, &origin);
            continue;
        };
        let conformed = conform(table.draft, definition).map_err(|missing| {
            let names: Vec<_> = missing.iter().map(|column| column.name.as_str()).collect();
            WriteError::busy(format!(
                "table {} lost columns {} while they were used; send again",
                table.name,
                names.join(", ")
            ))
        })?;
        refused.add(&conformed.refused, &origin);
        if conformed.part.rows() > 0 {
            accepted += conformed.part.rows() as u64;
            tables.push((definition.id, Arc::new(conformed.part)));
            used.push(Arc::clone(definition));
        }
    }
    let outcome = refused.outcome(body, accepted);
    let idempotency = idempotency_record(answered, &outcome);
    let payload = encode(idempotency.as_ref(), &tables);
    Ok(Accepted { payload, tables, definitions: used, outcome, idempotency })
}

/// The refused lines of a request that is refused as a whole.
pub(super) fn refusals_of(body: &[u8], parsed: &Parsed, judged: &[(Option<Arc<TableDef>>, &Draft)]) -> Outcome {
    let mut refused = Refused::of(parsed);
    for (definition, draft) in judged {
        refused.add(&resolve(draft, definition.as_deref()).refused, &draft.origin);
    }
    refused.outcome(body, 0)
}

/// Refused lines by where they begin in the body.
struct Refused {
    lines: Vec<(usize, String)>,
    count: usize,
}

impl Refused {
    fn of(parsed: &Parsed) -> Self {
        let lines = parsed.refused.iter().map(|line| (line.origin, line.reason.clone())).collect();
        Self { lines, count: parsed.refused_count }
    }

    fn add(&mut self, refusals: &[Refusal], origin: &[u32]) {
        self.count += refusals.len();
        let place = |row: usize| origin.get(row).map_or(0, |&offset| offset as usize);
        let described = refusals.iter().take(DESCRIBED_MAX);
        self.lines.extend(described.map(|refusal| (place(refusal.row), refusal.reason.clone())));
    }

    fn outcome(mut self, body: &[u8], accepted: u64) -> Outcome {
        self.lines.sort_by_key(|(origin, _)| *origin);
        self.lines.truncate(DESCRIBED_MAX);
        let mut counter = LineCounter::new(body);
        let describe = |(origin, reason): (usize, String)| {
            RefusedLine::new(counter.number(origin) as u64, line_at(body, origin), reason)
        };
        let refused = self.lines.into_iter().map(describe).collect();
        Outcome { accepted, refused, refused_count: self.count as u64 }
    }
}
