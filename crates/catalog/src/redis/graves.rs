//! Removed files: what is known of them until their objects are gone.

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

    /// Forgets what is due of these files, table by table.
    pub(super) async fn forget(&self, files: &[FileId]) -> Result<()> {
        let now = crate::Catalog::now(self).await?;
        for table in self.all_tables().await? {
            let graves = self.read_graves(table).await?;
            if graves.iter().any(|grave| files.contains(&grave.file) && grave.delete_after <= now) {
                self.forget_in(table, files).await?;
            }
        }
        Ok(())
    }

    async fn forget_in(&self, table: TableId, files: &[FileId]) -> Result<()> {
        while !self.forget_once(table, files).await? {}
        Ok(())
    }

    /// False if the table moved on while its graves were read.
    async fn forget_once(&self, table: TableId, files: &[FileId]) -> Result<bool> {
        let Some(head) = self.read_head(table).await? else { return Ok(true) };
        let (graves, expired) = (&self.read_graves(table).await?, self.expired_ids(table).await?);
        let age_max = self.0.limits.file_age_max;
        self.change(table, &[], |replica, look| {
            if replica.rev != head.rev {
                return Ok(Judged::Answer(false));
            }
            let mut write = Write::new(None, &[], &[]);
            for id in &expired {
                write.delete(Place::Used, id.as_slice());
            }
            for &file in files {
                let is_due = |grave: &&StoredGrave| grave.delete_after <= look.now;
                let of_file = || graves.iter().filter(|grave| grave.file == file);
                of_file().filter(is_due).for_each(|grave| write.delete(Place::Graves, grave_field(file, &grave.layer)));
                let is_gone = of_file().count() > 0 && of_file().all(|grave| is_due(&grave));
                if is_gone && replica.files.get(file).is_none() {
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
