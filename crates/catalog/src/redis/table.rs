//! One table: looking at it, and changing it at the revision that was judged.

use std::sync::Arc;

use gigapi_model::{DataFile, FileId, NewFile, TableDef, TableId, Timestamp, WriterId};
use redis::Value;

use super::RedisCatalog;
use super::replica::{Look, Replica, convert, definition};
use crate::delta;
use crate::ledger::Ledger;
use crate::{Error, Result};

/// How often a change is judged anew because the table moved on; each time somebody else's change was made.
const ATTEMPTS_MAX: usize = 1_000;

/// The parts of a table that operations write to, by the number that the scripts give them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Head = 1,
    Files = 2,
    Statistics = 3,
    Graves = 5,
    Used = 6,
    Idempotency = 7,
}

/// What is written if the table is still as it was judged.
#[derive(Debug)]
pub(super) struct Write {
    /// What readers of the log learn.
    entry: Vec<u8>,
    /// Not to be made at or after this.
    deadline: Option<Timestamp>,
    arguments: Vec<Vec<u8>>,
}

impl Write {
    /// Files and a watermark as readers of the log learn of them.
    pub(super) fn new(watermark: Option<(WriterId, u64)>, added: &[NewFile], removed: &[Arc<DataFile>]) -> Self {
        Self { entry: delta::encode(watermark, added, removed), deadline: None, arguments: Vec::new() }
    }

    /// Not to be made at or after `deadline`.
    pub(super) fn until(self, deadline: Option<Timestamp>) -> Self {
        Self { deadline, ..self }
    }

    pub(super) fn set(&mut self, place: Place, field: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.operation("set", place, field.into(), value.into());
    }

    pub(super) fn delete(&mut self, place: Place, field: impl Into<Vec<u8>>) {
        self.operation("del", place, field.into(), Vec::new());
    }

    /// Appends a record that is kept for `window` at least.
    pub(super) fn record(&mut self, place: Place, window: std::time::Duration, value: Vec<u8>) {
        self.operation("record", place, window.as_millis().to_string().into_bytes(), value);
    }

    pub(super) fn ledger(&mut self, ledger: &Ledger) -> Result<()> {
        self.set(Place::Head, "ledger", ledger.encode()?);
        Ok(())
    }

    pub(super) fn version(&mut self, version: u64) {
        self.set(Place::Head, "version", version.to_string());
    }

    fn operation(&mut self, name: &str, place: Place, field: Vec<u8>, value: Vec<u8>) {
        let place = (place as u8).to_string().into_bytes();
        self.arguments.extend([name.as_bytes().to_vec(), place, field, value]);
    }
}

/// What a judgement came to.
pub(super) enum Judged<T> {
    /// Nothing is to be changed.
    Answer(T),
    /// This is to be changed, and then this is the answer.
    Change(Write, T),
}

/// A table without its files.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) epoch: u64,
    pub(super) rev: String,
    pub(super) version: u64,
    /// None if it was dropped.
    pub(super) def: Option<TableDef>,
    pub(super) ledger: Ledger,
}

/// The table's definition, or what became of it.
pub(super) fn live(replica: &Replica, table: TableId) -> Result<Arc<TableDef>> {
    replica.def.clone().ok_or(Error::Dropped { table })
}

impl RedisCatalog {
    /// Brings the replica up to the server and uses it.
    pub(super) async fn look<T>(
        &self,
        table: TableId,
        files: &[FileId],
        uses: impl FnOnce(&Replica, &Look) -> Result<T>,
    ) -> Result<T> {
        let replica = self.replica(table);
        let mut replica = replica.lock().await;
        let look = self.refresh(table, &mut replica, files).await?;
        self.expect(table, &look).await?;
        uses(&replica, &look)
    }

    /// Judges over the table's present state and makes what was granted, again from the start if the table moved
    /// on in between.
    pub(super) async fn change<T>(
        &self,
        table: TableId,
        files: &[FileId],
        judge: impl Fn(&Replica, &Look) -> Result<Judged<T>>,
    ) -> Result<T> {
        let replica = self.replica(table);
        // Held throughout, so that calls of this process do not make each other judge anew.
        let mut replica = replica.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let look = self.refresh(table, &mut replica, files).await?;
            self.expect(table, &look).await?;
            let (write, answer) = match judge(&replica, &look)? {
                Judged::Answer(answer) => return Ok(answer),
                Judged::Change(write, answer) => (write, answer),
            };
            if self.apply(table, replica.epoch, &replica.rev, write).await? {
                return Ok(answer);
            }
        }
        Err(Error::Unavailable { reason: format!("table {table} keeps changing; try again") })
    }

    async fn refresh(&self, table: TableId, replica: &mut Replica, files: &[FileId]) -> Result<Look> {
        let mut arguments = vec![replica.rev.clone().into_bytes()];
        arguments.extend(files.iter().map(|file| file.uuid().as_bytes().to_vec()));
        let keys = self.keys(table);
        let answer: Value = self.0.connection.script(&self.0.scripts.read, &keys.all(), &arguments).await?;
        let mut look = replica.take(answer, files)?;
        look.now = self.present(look.now);
        Ok(look)
    }

    /// The table exists, dropped or not.
    async fn expect(&self, table: TableId, look: &Look) -> Result<()> {
        if look.exists {
            return Ok(());
        }
        Err(if self.was_dropped(table).await? { Error::Dropped { table } } else { Error::UnknownTable { table } })
    }

    /// Writes if the table is at this revision (empty: if there is none); tells whether it was.
    pub(super) async fn apply(&self, table: TableId, epoch: u64, rev: &str, write: Write) -> Result<bool> {
        // A test's clock says nothing about the server's time.
        let deadline = write.deadline.filter(|_| self.0.clock.is_none());
        let deadline = deadline.map(|at| at.millis().to_string()).unwrap_or_default();
        let mut arguments =
            vec![epoch.to_string().into_bytes(), rev.as_bytes().to_vec(), deadline.into_bytes(), write.entry];
        arguments.extend(write.arguments);
        let keys = self.keys(table);
        let answer: String = self.0.connection.script(&self.0.scripts.apply, &keys.all(), &arguments).await?;
        Ok(answer == "done")
    }

    /// The table without its files; none if it was never made.
    pub(super) async fn read_head(&self, table: TableId) -> Result<Option<Head>> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys(table).head).arg(&["epoch", "rev", "version", "state", "def", "ledger"]);
        let fields: Vec<Value> = self.0.connection.run(&command).await?;
        let [epoch, rev, version, state, def, ledger]: [Value; 6] =
            fields.try_into().map_err(|_| super::connection::unexpected("a table's head"))?;
        if rev == Value::Nil {
            return Ok(None);
        }
        let is_live = convert::<String>(state)? == "live";
        Ok(Some(Head {
            epoch: convert(epoch)?,
            rev: convert(rev)?,
            version: convert(version)?,
            def: if is_live { Some(definition(&convert::<Vec<u8>>(def)?)?) } else { None },
            ledger: Ledger::decode(&convert::<Vec<u8>>(ledger)?)?,
        }))
    }
}
