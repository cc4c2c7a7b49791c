//! One live table of the memory catalog, and what it remembers of those who changed it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gigapi_model::{Actor, ClaimId, CommitId, FileId, TableDef, Timestamp, WriterId};

use crate::Limits;
use crate::file_set::FileSet;
use crate::judge::{self, HeldClaim};
use crate::limits::OUTCOMES_PER_WRITER;

#[derive(Debug)]
pub(super) struct Table {
    pub(super) def: Arc<TableDef>,
    pub(super) version: u64,
    pub(super) files: FileSet,
    pub(super) watermarks: Arc<HashMap<WriterId, u64>>,
    /// The last commits of each writer and the versions that they made.
    pub(super) outcomes: HashMap<WriterId, VecDeque<(CommitId, u64)>>,
    pub(super) claim_outcomes: HashMap<ClaimId, (CommitId, u64, Timestamp)>,
    pub(super) claims: HashMap<ClaimId, HeldClaim>,
    pub(super) claim_token: u64,
}

impl Table {
    pub(super) fn new(def: Arc<TableDef>, epoch: u64) -> Self {
        Self {
            def,
            version: 1,
            files: FileSet::default(),
            watermarks: Arc::default(),
            outcomes: HashMap::new(),
            claim_outcomes: HashMap::new(),
            claims: HashMap::new(),
            claim_token: judge::first_token(epoch),
        }
    }

    /// The claim that holds the file now.
    pub(super) fn holder(&self, file: FileId, now: Timestamp) -> Option<&HeldClaim> {
        self.claims.values().find(|claim| claim.expires > now && claim.inputs.contains(&file))
    }

    /// Remembers a commit and what follows from who made it.
    pub(super) fn record(&mut self, actor: Actor, id: CommitId, version: u64, now: Timestamp, limits: &Limits) {
        match actor {
            Actor::Writer { writer, hi, .. } => {
                Arc::make_mut(&mut self.watermarks).insert(writer, hi);
                let outcomes = self.outcomes.entry(writer).or_default();
                if outcomes.len() == OUTCOMES_PER_WRITER {
                    outcomes.pop_front();
                }
                outcomes.push_back((id, version));
            }
            Actor::Claim { claim, .. } => {
                self.claims.remove(&claim);
                self.claim_outcomes.retain(|_, (.., at)| now.since(*at) < limits.outcome_age_max);
                self.claim_outcomes.insert(claim, (id, version, now));
            }
        }
    }
}
