//! What happens in a history, counted: rules that histories never come to are not proven by them.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! events {
    ($($name:ident: $told:literal,)*) => {
        /// Something that rules are about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Event {
            $($name,)*
        }

        const ALL: &[Event] = &[$(Event::$name,)*];

        impl fmt::Display for Event {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $told,)*
                })
            }
        }
    };
}

events! {
    BuriedDeleted: "a buried file is deleted",
    OrphanDeleted: "an orphan is deleted",
    RowsGone: "rows of a dropped table go",
    AnswerLost: "an answer is lost",
    LateCommit: "a late commit is made",
    Flushed: "an interval is committed",
    Lost: "the catalog is lost",
    RollbackTold: "a rollback is told by a checkpoint",
    RollbackRemembered: "a rollback is remembered",
    RollbackForgotten: "a rollback is noticed by nobody",
    LogTold: "a log tells of a rollback",
    ClosingForgotten: "a catalog that a rebuild had closed goes on as before",
    Overtaken: "a commit does not count because a rebuild has begun",
    Forgiven: "all writers make up for a rollback",
    BegunLate: "a rebuild begins though another one is done",
    EpochInUse: "a rebuild finds its epoch in use",
    LaterEpoch: "a rebuild finds a later epoch taken",
    Refused: "a rebuild needs a damaged checkpoint",
    Rebuilt: "the catalog is rebuilt",
    OlderEpoch: "an older epoch is refused",
    Superseded: "a rebuild is superseded",
    HalfWritten: "a rebuild dies between two checkpoints",
    Checkpointed: "a checkpoint is written",
    Dropped: "a table is dropped",
    Merged: "files are merged",
    Relocated: "a file is relocated",
    Queried: "a query is run",
    Defined: "a table is defined",
    DefinitionRefused: "a definition is refused",
    Damaged: "a checkpoint is damaged",
    Reopened: "a writer goes on after a rebuild",
    TwoLayers: "a rebuild finds a file on two layers",
    LateFile: "a rebuild leaves out a file of an older epoch",
    NoCheckpoint: "a rebuild goes without a checkpoint",
    InputsGone: "a rebuild takes a merge whose inputs are gone",
    OrphansLeft: "a rebuild leaves orphans",
}

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Events(BTreeMap<Event, u64>);

impl Events {
    pub(crate) fn count(&mut self, event: Event) {
        *self.0.entry(event).or_default() += 1;
    }

    pub(crate) fn add(&mut self, others: &Self) {
        for (event, count) in &others.0 {
            *self.0.entry(*event).or_default() += count;
        }
    }

    /// What never happened.
    pub(crate) fn missing(&self) -> Vec<Event> {
        ALL.iter().filter(|event| !self.0.contains_key(event)).copied().collect()
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(event, count)| writeln!(f, "{count:>8}  {event}"))
    }
}
