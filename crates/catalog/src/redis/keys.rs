//! The names of all keys, and which of them lie in one slot.
//!
//! Everything of a table shares the hash tag `{<table id>}`, everything of the registry `{catalog}`, so a script
//! that is given the keys of one of them runs in Redis Cluster. No name of a database, table or layer is ever part
//! of a key.

use gigapi_model::TableId;

/// The keys of one table.
#[derive(Debug, Clone)]
pub(super) struct TableKeys {
    /// Hash: `epoch rev version state def ledger`.
    pub(super) head: String,
    /// Hash: file id → record of a live file.
    pub(super) files: String,
    /// Hash: file id → its columns' statistics.
    pub(super) statistics: String,
    /// Stream: `<rev>-0` → what that revision changed.
    pub(super) log: String,
    /// Hash: file id and layer → grave.
    pub(super) graves: String,
    /// Hash: ids of buried files and of forgotten ones that are still young.
    pub(super) used: String,
    /// Stream: idempotency records by the time of their commit.
    pub(super) idempotency: String,
}

impl TableKeys {
    pub(super) fn new(prefix: &str, table: TableId) -> Self {
        let key = |part: &str| format!("{prefix}:{{{table}}}:{part}");
        Self {
            head: key("head"),
            files: key("files"),
            statistics: key("statistics"),
            log: key("log"),
            graves: key("graves"),
            used: key("used"),
            idempotency: key("idempotency"),
        }
    }

    /// In the order in which the scripts number them, from 1.
    pub(super) fn all(&self) -> [&str; 7] {
        [&self.head, &self.files, &self.statistics, &self.log, &self.graves, &self.used, &self.idempotency]
    }
}

/// The keys of the registry.
#[derive(Debug, Clone)]
pub(super) struct RegistryKeys {
    /// Hash: `catalog epoch since`.
    pub(super) meta: String,
    /// Hash: database, NUL, table → table id.
    pub(super) names: String,
    /// Hash: database → number of names.
    pub(super) databases: String,
    /// Hash: writer → epoch.
    pub(super) writers: String,
    /// Hash: ids of dropped tables.
    pub(super) dropped: String,
    /// Hash: place → writer.
    pub(super) places: String,
    /// Hash: writer → address. No script touches it.
    pub(super) addresses: String,
}

impl RegistryKeys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |part: &str| format!("{prefix}:{{catalog}}:{part}");
        Self {
            meta: key("meta"),
            names: key("names"),
            databases: key("databases"),
            writers: key("writers"),
            dropped: key("dropped"),
            places: key("places"),
            addresses: key("addresses"),
        }
    }

    pub(super) fn all(&self) -> [&str; 6] {
        [&self.meta, &self.names, &self.databases, &self.writers, &self.dropped, &self.places]
    }
}
