//! Ends files whose time is over: the catalog forgets them, and they are deleted like all that was removed.
//!
//! Nothing is written before the commit: a rebuild that brings an expired file back sees it expire again, by the same
//! rule and the same age.

use std::sync::Arc;

use gigapi_model::{Change, DataFile, TableDef};
use gigapi_service::crash_point;

use super::{Done, Worker};
use crate::Result;
use crate::lease::Lease;
use crate::policy::Expiry;

impl Worker {
    pub(super) async fn expire(&self, table: &Arc<TableDef>, files: Vec<(Arc<DataFile>, Expiry)>) -> Result<Done> {
        let ids: Vec<_> = files.iter().map(|(file, _)| file.id).collect();
        let epochs = self.catalog.epochs().await?;
        let lease = Lease::take(&self.catalog, table.id, ids.clone(), self.lease).await?;
        crash_point("expire:before-commit");
        let change = Change { added: Vec::new(), removed: ids };
        let outcome = self.commit(table.id, epochs, &lease, change).await;
        crash_point("expire:after-commit");
        lease.give_back().await;
        outcome?;
        Ok(Done {
            files_in: files.len() as u64,
            bytes_in: files.iter().map(|(file, _)| file.bytes).sum(),
            rows: files.iter().map(|(file, _)| file.rows).sum(),
            ..Done::default()
        })
    }
}
