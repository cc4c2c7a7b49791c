//! What a table remembers of those who changed it: writers with their fences, watermarks and last commits, and
//! claims with theirs.
//!
//! It is small and is stored whole with every change, so it has a version and a golden form. It judges nothing
//! but whether a claim is held: what a commit may do is the judge's matter.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use gigapi_model::{Actor, ClaimId, CommitId, FileId, Timestamp, WriterId};
use serde::{Deserialize, Serialize};

use crate::judge::HeldClaim;
use crate::limits::OUTCOMES_PER_WRITER;
use crate::record::damaged;
use crate::{Claim, ClaimRequest, Error, Limits, Result};

const VERSION: u32 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    v: u32,
    pub(crate) claim_token: u64,
    pub(crate) writers: BTreeMap<WriterId, WriterEntry>,
    claims: BTreeMap<ClaimId, HeldClaim>,
    claim_outcomes: BTreeMap<ClaimId, (CommitId, u64, Timestamp)>,
}

/// A writer as a table knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WriterEntry {
    pub(crate) epoch: u64,
    pub(crate) watermark: u64,
    outcomes: VecDeque<(CommitId, u64)>,
}

impl Ledger {
    /// Of a new table; tokens are given above `claim_token`.
    pub(crate) fn new(claim_token: u64) -> Self {
        Self { v: VERSION, claim_token, ..Self::default() }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| damaged(format!("a table's ledger cannot be written: {error}")))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let ledger: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(format!("a table's ledger: {error}")))?;
        match ledger.v {
            VERSION => Ok(ledger),
            version => Err(damaged(format!("ledger of version {version}, this program reads {VERSION}"))),
        }
    }

    pub(crate) fn watermarks(&self) -> HashMap<WriterId, u64> {
        self.writers.iter().map(|(writer, entry)| (*writer, entry.watermark)).collect()
    }

    /// The version that this commit of this actor made, if it is remembered.
    pub(crate) fn recorded(&self, actor: Actor, id: CommitId) -> Option<u64> {
        match actor {
            Actor::Writer { writer, .. } => {
                let outcomes = &self.writers.get(&writer)?.outcomes;
                outcomes.iter().find(|(known, _)| *known == id).map(|(_, version)| *version)
            }
            Actor::Claim { claim, .. } => {
                self.claim_outcomes.get(&claim).filter(|(known, ..)| *known == id).map(|(_, version, _)| *version)
            }
        }
    }

    /// Remembers a commit and what follows from who made it.
    pub(crate) fn record(&mut self, actor: Actor, id: CommitId, version: u64, now: Timestamp, limits: &Limits) {
        match actor {
            Actor::Writer { writer, epoch, hi, .. } => {
                let entry = self.writers.entry(writer).or_default();
                (entry.epoch, entry.watermark) = (epoch, hi);
                if entry.outcomes.len() == OUTCOMES_PER_WRITER {
                    entry.outcomes.pop_front();
                }
                entry.outcomes.push_back((id, version));
            }
            Actor::Claim { claim, .. } => {
                self.claims.remove(&claim);
                self.claim_outcomes.retain(|_, (.., at)| now.since(*at) < limits.outcome_age_max);
                self.claim_outcomes.insert(claim, (id, version, now));
            }
        }
    }

    /// The claim, lapsed or not.
    pub(crate) fn held(&self, claim: ClaimId) -> Option<&HeldClaim> {
        self.claims.get(&claim)
    }

    /// Whether a claim that has not lapsed names the file.
    pub(crate) fn is_claimed(&self, file: FileId, now: Timestamp) -> bool {
        self.claims.values().any(|claim| claim.expires > now && claim.inputs.contains(&file))
    }

    /// Files that a claim names which has not lapsed.
    pub(crate) fn claimed(&self, now: Timestamp) -> HashSet<FileId> {
        let held = self.claims.values().filter(|claim| claim.expires > now);
        held.flat_map(|claim| claim.inputs.iter().copied()).collect()
    }

    /// Claims files of which `is_live` knows the live ones.
    pub(crate) fn claim(
        &mut self,
        request: &ClaimRequest,
        id: ClaimId,
        now: Timestamp,
        is_live: impl Fn(FileId) -> bool,
    ) -> Result<Claim> {
        let inputs: HashSet<FileId> = request.inputs.iter().copied().collect();
        if inputs.is_empty() {
            return Err(Error::Malformed { reason: "a claim names no file" });
        }
        for &file in &request.inputs {
            if !is_live(file) {
                return Err(Error::InputChanged { file });
            }
            if self.is_claimed(file, now) {
                return Err(Error::Claimed { file });
            }
        }
        self.claims.retain(|_, claim| claim.expires > now);
        self.claim_token += 1;
        let claim = Claim { id, token: self.claim_token, expires: now.plus(request.lease) };
        self.claims.insert(id, HeldClaim { token: claim.token, expires: claim.expires, inputs });
        Ok(claim)
    }

    pub(crate) fn renew(&mut self, claim: Claim, lease: Duration, now: Timestamp) -> Result<Claim> {
        let held = self.claims.get_mut(&claim.id);
        let held = held.filter(|held| held.token == claim.token && held.expires > now).ok_or(Error::ClaimLost)?;
        held.expires = now.plus(lease);
        Ok(Claim { expires: held.expires, ..claim })
    }

    /// Gives the claim back; tells whether it was held.
    pub(crate) fn release(&mut self, claim: Claim) -> bool {
        let is_held = self.claims.get(&claim.id).is_some_and(|held| held.token == claim.token);
        if is_held {
            self.claims.remove(&claim.id);
        }
        is_held
    }
}

#[cfg(test)]
mod tests;
