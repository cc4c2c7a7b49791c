//! One table's folder on all layers: what lies in it and is not named, and its removal.
//!
//! The table is looked at before the layers are listed, so whatever it names later was written later, and is young. Only
//! objects that it does not name are held, and of them only those that may go, and the outputs of merges, have their
//! footers read.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use gigapi_catalog::Snapshot;
use gigapi_model::{DatabaseName, FileId, LayerName, TableId, TableName, TimeRange, Timestamp};
use gigapi_storage::{FilePath, Layer, read_tail_facts};
use object_store::path::Path;

use super::look::Checkpointed;
use super::plan::{OrphanPlan, is_merge};
use super::{Footer, Kept, LEFT_ALONE_MAX, OrphanFacts, Run, Stray, Swept, TableFacts, is_old, plan_orphans};
use crate::Result;
use crate::removal::{self, NotRemoved};

/// Tails that are read at once.
const READS_AT_ONCE: usize = 8;

/// What was found in a folder, with all that is known around it.
pub(super) struct FolderFound {
    pub(super) strays: Vec<Stray>,
    pub(super) facts: OrphanFacts,
    checkpointed: Checkpointed,
    name: (DatabaseName, TableName),
}

impl Run<'_> {
    /// The strays of a table's folder; nothing if there is none that may go.
    pub(super) async fn look_at(&self, folder: &Path) -> Result<Option<FolderFound>> {
        let Some(name) = named(folder) else { return Ok(None) };
        let mut facts = self.facts(&name).await?;
        let mut strays = self.list(folder, &facts).await?;
        let policy = self.options.policy();
        let buried = |stray: &Stray| facts.buried.contains(&(stray.layer.clone(), stray.path.id));
        let is_candidate = |stray: &Stray| !buried(stray) && is_old(&policy, self.now, stray.path.id, stray.modified);
        let candidates: Vec<bool> = strays.iter().map(is_candidate).collect();
        if !candidates.contains(&true) {
            return Ok(Some(FolderFound { strays, facts, checkpointed: Checkpointed::default(), name }));
        }
        let wanted = strays.iter_mut().zip(candidates).filter(|(stray, wanted)| *wanted || is_merge(&stray.path));
        let reads: Vec<_> = wanted.map(|(stray, _)| self.read_footer(stray)).collect();
        futures::stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect::<()>().await?;
        let mut checkpointed = Checkpointed::default();
        facts.tables = self.tables(&tables_of(&strays), &strays, &mut checkpointed).await?;
        Ok(Some(FolderFound { strays, facts, checkpointed, name }))
    }

    /// The objects of the folder that its table does not name.
    async fn list(&self, folder: &Path, facts: &OrphanFacts) -> Result<Vec<Stray>> {
        let mut strays = Vec::new();
        for layer in self.layers.iter() {
            let failed = |error| layer.error("listing", folder, error);
            let mut objects = layer.store.list(Some(folder));
            while let Some(object) = objects.try_next().await.map_err(failed)? {
                let Some(path) = FilePath::parse(&object.location) else { continue };
                if facts.live.contains(&(layer.name.clone(), path.id)) {
                    continue;
                }
                // A time that does not fit is none that is long ago.
                let modified = object.last_modified.timestamp_nanos_opt().map_or(Timestamp::MAX, Timestamp::from_nanos);
                let (layer, bytes) = (layer.name.clone(), object.size);
                strays.push(Stray { layer, path, bytes, modified, footer: Footer::Unread });
            }
        }
        Ok(strays)
    }

    async fn read_footer(&self, stray: &mut Stray) -> Result<()> {
        let Some(layer) = self.layers.get(&stray.layer) else { return Ok(()) };
        let path = stray.path.object_path();
        stray.footer = match read_tail_facts(layer.store.as_ref(), &layer.name, &path, stray.bytes).await {
            Ok(stored) => {
                let table = &stored.table;
                let is_at_home = (&table.database, &table.name) == (&stray.path.database, &stray.path.table);
                match is_at_home {
                    true => {
                        Footer::Ours { catalog: stored.facts.catalog, table: table.id, origin: stored.facts.origin }
                    }
                    false => Footer::Foreign(format!("it is of table {}.{}", table.database, table.name)),
                }
            }
            Err(gigapi_storage::Error::NotOurs { reason, .. }) => Footer::Foreign(reason),
            Err(gigapi_storage::Error::Corrupt { reason, .. }) => Footer::Damaged(reason),
            // Deleted since it was listed.
            Err(error) if error.kind() == gigapi_model::ErrorKind::NotFound => Footer::Unread,
            Err(error) => return Err(error.into()),
        };
        Ok(())
    }

    /// Looks once more at all that decides, and removes what still is an orphan.
    pub(super) async fn remove(
        &self,
        layer: &Layer,
        found: &FolderFound,
        batch: &[usize],
        swept: &mut Swept,
    ) -> Result<()> {
        let mut checkpointed = found.checkpointed.clone();
        let mut facts = self.facts(&found.name).await?;
        facts.tables = self.tables(&tables_of(&found.strays), &found.strays, &mut checkpointed).await?;
        // How much may go was decided for all of the table's orphans together.
        let policy = super::OrphanPolicy { confirm: true, ..self.options.policy() };
        let still: HashSet<usize> = plan_orphans(&policy, &facts, &found.strays).remove.into_iter().collect();
        let going: Vec<&Stray> =
            batch.iter().filter(|index| still.contains(index)).map(|index| &found.strays[*index]).collect();
        if let Some(why) = removal::interruption(self.catalog, self.layers, &self.epochs).await? {
            swept.interrupted = Some(why);
            return Ok(());
        }
        let paths: Vec<Path> = going.iter().map(|stray| stray.path.object_path()).collect();
        let answers = removal::remove(layer, &paths).await;
        let mut files = Vec::with_capacity(going.len());
        for ((stray, path), answer) in going.into_iter().zip(paths).zip(answers) {
            if let Some(why) = answer {
                swept.failed.push(NotRemoved { what: format!("{}: {path}", layer.name), why });
                continue;
            }
            let is_dropped = table_of(stray).and_then(|table| facts.tables.get(&table)) == Some(&TableFacts::Dropped);
            let gone = if is_dropped { &mut swept.removed_of_dropped } else { &mut swept.removed };
            gone.objects += 1;
            gone.bytes += stray.bytes;
            files.push(stray.path.clone());
        }
        swept.folders += removal::clear_folders(self.catalog, layer, &files).await?;
        Ok(())
    }

    /// What the catalog knows of a folder.
    async fn facts(&self, (database, table): &(DatabaseName, TableName)) -> Result<OrphanFacts> {
        // The live files first: one that is buried meanwhile is found among the graves.
        let live = match self.catalog.table(database, table).await? {
            Some(table) => self.snapshot(table.id).await?,
            None => None,
        };
        let live: HashSet<(LayerName, FileId)> =
            live.iter().flat_map(|snapshot| snapshot.files.iter().map(|file| (file.layer.clone(), file.id))).collect();
        let graves = self.catalog.graveyard().await?;
        let buried = graves.into_iter().map(|grave| (grave.layer, grave.file)).collect();
        let now = self.now;
        Ok(OrphanFacts { catalog: self.epochs.catalog, now, live, buried, tables: HashMap::new() })
    }

    /// The table with all its files, unless it was dropped meanwhile.
    pub(super) async fn snapshot(&self, table: TableId) -> Result<Option<Snapshot>> {
        match self.catalog.snapshot(table, TimeRange::ALL).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(gigapi_catalog::Error::Dropped { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl FolderFound {
    /// Counts what stays.
    pub(super) fn tell(&self, plan: &OrphanPlan, swept: &mut Swept) {
        for (index, kept) in &plan.kept {
            *swept.kept.entry(*kept).or_default() += 1;
            let stray = &self.strays[*index];
            let why = match (kept, &stray.footer) {
                (Kept::Foreign, Footer::Foreign(why)) => why.clone(),
                (Kept::Foreign, _) => "it belongs to another catalog".to_owned(),
                (Kept::Damaged, Footer::Damaged(why)) => why.clone(),
                (Kept::TableUnclear, _) => "the catalog does not know its table".to_owned(),
                _ => continue,
            };
            if swept.left_alone.len() < LEFT_ALONE_MAX {
                swept.left_alone.push(format!("{}: {}: {why}", stray.layer, stray.path));
            }
        }
        let (database, table) = &self.name;
        swept.braked.extend(plan.braked.values().map(|braked| (format!("{database}.{table}"), *braked)));
    }
}

fn named(folder: &Path) -> Option<(DatabaseName, TableName)> {
    let (database, table) = folder.as_ref().split_once('/')?;
    Some((DatabaseName::from_path_segment(database)?, TableName::from_path_segment(table)?))
}

fn table_of(stray: &Stray) -> Option<TableId> {
    match stray.footer {
        Footer::Ours { table, .. } => Some(table),
        _ => None,
    }
}

fn tables_of(strays: &[Stray]) -> HashSet<TableId> {
    strays.iter().filter_map(table_of).collect()
}
