//! Removed files: what is known of them until their objects are gone.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use gigapi_model::{DataFile, FileId, LayerName, TableDef, TableId, Timestamp};
use serde::{Deserialize, Serialize};

use super::table::{Judged, Place, Write};
use super::{RedisCatalog, TABLES_AT_ONCE};
use crate::path::object_path;
use crate::record::damaged;
use crate::{Error, Grave, Result};

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredGrave {
    v: u32,
    file: FileId,
    layer: LayerName,
    path: String,
    version: u64,
    delete_after: Timestamp,
}

impl StoredGrave {
    pub(super) fn new(table: &TableDef, file: &DataFile, version: u64, delete_after: Timestamp) -> Self {
        let (layer, path) = (file.layer.clone(), object_path(table, file));
        Self { v: VERSION, file: file.id, layer, path, version, delete_after }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| damaged(format!("a grave cannot be written: {error}")))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let grave: Self = serde_json::from_slice(bytes).map_err(|error| damaged(format!("a grave: {error}")))?;
        match grave.v {
            VERSION => Ok(grave),
            version => Err(damaged(format!("grave of version {version}, this program reads {VERSION}"))),
        }
    }
}

/// A relocated file may have a grave on each of several layers.
pub(super) fn grave_field(file: FileId, layer: &LayerName) -> String {
    format!("{file}:{layer}")
}

impl RedisCatalog {
    /// Graves that are due by then.
    pub(super) async fn read_graves_due(&self, now: Timestamp) -> Result<Vec<Grave>> {
        // Nobody deletes by what a catalog says that is not what it was.
        self.attend().await?;
        let found: Vec<Vec<Grave>> = futures::stream::iter(self.all_tables().await?)
            .map(|table| async move {
                let graves = self.read_graves(table).await?;
                let grave = |grave: StoredGrave| Grave {
                    table,
                    layer: grave.layer,
                    path: grave.path,
                    file: grave.file,
                    version: grave.version,
                    delete_after: grave.delete_after,
                };
                Ok::<_, Error>(graves.into_iter().filter(|grave| grave.delete_after <= now).map(grave).collect())
            })
            .buffer_unordered(TABLES_AT_ONCE)
            .try_collect()
            .await?;
        let mut due: Vec<Grave> = found.into_iter().flatten().collect();
        due.sort_by_key(|grave| (grave.delete_after, grave.file));
        Ok(due)
    }

    async fn read_graves(&self, table: TableId) -> Result<Vec<StoredGrave>> {
        let mut command = redis::cmd("HVALS");
        command.arg(self.keys(table).graves);
        let values: Vec<Vec<u8>> = self.0.connection.run(&command).await?;
        values.iter().map(|value| StoredGrave::decode(value)).collect()
    }

    /// Forgets what is due of these graves, table by table.
    pub(super) async fn forget(&self, gone: &[Grave]) -> Result<()> {
        let mut by_table: BTreeMap<TableId, Vec<(FileId, &LayerName)>> = BTreeMap::new();
        for grave in gone {
            by_table.entry(grave.table).or_default().push((grave.file, &grave.layer));
        }
        for (table, gone) in by_table {
            while !self.forget_once(table, &gone).await? {}
        }
        Ok(())
    }

    /// False if the table moved on while its graves were read.
    async fn forget_once(&self, table: TableId, gone: &[(FileId, &LayerName)]) -> Result<bool> {
        let Some(head) = self.read_head(table).await? else { return Ok(true) };
        let (graves, expired) = (&self.read_graves(table).await?, self.expired_ids(table).await?);
        let age_max = self.0.limits.file_age_max;
        self.change(table, &[], |replica, look| {
            if replica.rev != head.rev {
                return Ok(Judged::Answer(false));
            }
            let goes =
                |grave: &StoredGrave| grave.delete_after <= look.now && gone.contains(&(grave.file, &grave.layer));
            if !graves.iter().any(goes) {
                return Ok(Judged::Answer(true));
            }
            let mut write = Write::new(None, &[], &[]);
            for id in &expired {
                write.delete(Place::Used, id.as_slice());
            }
            for grave in graves.iter().filter(|grave| goes(grave)) {
                let file = grave.file;
                write.delete(Place::Graves, grave_field(file, &grave.layer));
                let has_no_other = graves.iter().filter(|other| other.file == file).all(goes);
                if has_no_other && replica.files.get(file).is_none() {
                    write.delete(Place::Statistics, file.uuid().as_bytes());
                    let until = file.minted_at().plus(age_max).nanos().to_string();
                    write.set(Place::Used, file.uuid().as_bytes(), until);
                }
            }
            Ok(Judged::Change(Box::new(write), true))
        })
        .await
    }

    /// Ids that are too old to be added again.
    async fn expired_ids(&self, table: TableId) -> Result<Vec<Vec<u8>>> {
        let now = crate::Catalog::now(self).await?;
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys(table).used);
        let used: std::collections::HashMap<Vec<u8>, String> = self.0.connection.run(&command).await?;
        let is_expired = |until: &str| until.parse().is_ok_and(|until| Timestamp::from_nanos(until) <= now);
        Ok(used.into_iter().filter(|(_, until)| is_expired(until)).map(|(id, _)| id).collect())
    }
}

#[cfg(test)]
mod tests;
