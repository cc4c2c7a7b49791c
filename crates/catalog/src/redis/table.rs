//! One table: looking at it, and changing it at the revision that was judged.

use std::sync::Arc;

use gigapi_model::{DataFile, FileId, NewFile, TableDef, TableId, Timestamp, WriterId};
use redis::Value;
use tokio::time::Instant;

use super::RedisCatalog;
use super::replica::{Finding, Look, Moved, Replica, State, convert, definition};
use crate::delta::{self, Delta};
use crate::judge;
use crate::ledger::Ledger;
use crate::record::encode_definition;
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
    /// Ids that must not have been used.
    new: Vec<FileId>,
    arguments: Vec<Vec<u8>>,
    /// What the change moves, for the replica of whoever makes it.
    moved: Moved,
}

impl Write {
    /// Files and a watermark as readers of the log learn of them.
    pub(super) fn new(watermark: Option<(WriterId, u64)>, added: &[NewFile], removed: &[Arc<DataFile>]) -> Self {
        let delta = Delta {
            watermark,
            added: added.iter().map(|new| Arc::new(new.file.clone())).collect(),
            removed: removed.iter().map(|file| file.id).collect(),
        };
        Self {
            entry: delta::encode(watermark, added, removed),
            deadline: None,
            new: Vec::new(),
            arguments: Vec::new(),
            moved: Moved { delta, ledger: None, version: None, redefined: false },
        }
    }

    /// Not to be made at or after `deadline`.
    pub(super) fn until(self, deadline: Option<Timestamp>) -> Self {
        Self { deadline, ..self }
    }

    /// Only to be made if the table does not know these files.
    pub(super) fn with_new(self, new: Vec<FileId>) -> Self {
        Self { new, ..self }
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

    pub(super) fn ledger(&mut self, ledger: Ledger) -> Result<()> {
        self.set(Place::Head, "ledger", ledger.encode()?);
        self.moved.ledger = Some(ledger);
        Ok(())
    }

    pub(super) fn version(&mut self, version: u64) {
        self.set(Place::Head, "version", version.to_string());
        self.moved.version = Some(version);
    }

    /// Sets the table's state, with its definition if it has one.
    pub(super) fn state(&mut self, state: &str, table: Option<&TableDef>) -> Result<()> {
        self.set(Place::Head, "state", state);
        self.moved.redefined = true;
        match table {
            None => self.delete(Place::Head, "def"),
            Some(table) => self.set(Place::Head, "def", encode_definition(table)?),
        }
        Ok(())
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
    Change(Box<Write>, T),
}

/// A table without its files.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) epoch: u64,
    pub(super) rev: String,
    pub(super) version: u64,
    /// None if it was dropped.
    pub(super) def: Option<Arc<TableDef>>,
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
        uses(&replica, &look)
    }

    /// Judges and makes what was granted, again from the start if the table moved on in between.
    ///
    /// The first attempt judges over what is known here: most changes of a table come from one process, and the
    /// script refuses what was judged over anything else. Whatever that attempt does not grant is judged again over
    /// the server's state, so that no refusal and no answer comes from memory.
    pub(super) async fn change<T>(
        &self,
        table: TableId,
        files: &[FileId],
        judge: impl Fn(&Replica, &Look) -> Result<Judged<T>>,
    ) -> Result<T> {
        self.unlost().await?;
        let replica = self.replica(table);
        // Held throughout, so that calls of this process do not make each other judge anew.
        let mut replica = replica.lock().await;
        if let Some(mut look) = replica.look_again() {
            look.now = self.present(look.now);
            if let Ok(Judged::Change(write, answer)) = judge(&replica, &look)
                && self.make_change(table, &mut replica, *write).await?
            {
                return Ok(answer);
            }
        }
        for _ in 0..ATTEMPTS_MAX {
            let look = self.refresh(table, &mut replica, files).await?;
            let (write, answer) = match judge(&replica, &look)? {
                Judged::Answer(answer) => return Ok(answer),
                Judged::Change(write, answer) => (write, answer),
            };
            if self.make_change(table, &mut replica, *write).await? {
                return Ok(answer);
            }
        }
        Err(Error::Unavailable { reason: format!("table {table} keeps changing; try again") })
    }

    /// Writes if the table is at the replica's revision, and lets the replica follow; tells whether it was.
    async fn make_change(&self, table: TableId, replica: &mut Replica, write: Write) -> Result<bool> {
        let made = Instant::now();
        let Some((rev, moved)) = self.apply(table, replica.epoch, &replica.rev, write).await? else { return Ok(false) };
        replica.follow(rev, moved, made);
        Ok(true)
    }

    /// Brings the replica up to the server; an error if there is no such table.
    pub(super) async fn refresh(&self, table: TableId, replica: &mut Replica, files: &[FileId]) -> Result<Look> {
        let keys = self.keys(table);
        let mut settled = None;
        loop {
            let mut arguments = vec![replica.epoch.to_string().into_bytes(), replica.rev.clone().into_bytes()];
            arguments.extend(files.iter().map(|file| file.uuid().as_bytes().to_vec()));
            let sent = Instant::now();
            let answer: Value = self.0.connection.script(&self.0.scripts.read, &keys.all(), &arguments).await?;
            let mut look = replica.take(answer, files, sent)?;
            look.now = self.present(look.now);
            match look.found {
                Finding::There => return Ok(look),
                Finding::Older => {
                    let reason = format!("Redis was rolled back: table {table} is not what it was");
                    return Err(self.lost(reason).await);
                }
                Finding::Absent => return Err(self.absent(table, replica).await),
                Finding::Recovering(epoch) => match settled {
                    None => settled = Some(self.settle(table, epoch).await?),
                    Some(serving) => return Err(self.unsettled(table, epoch, serving).await),
                },
            }
        }
    }

    /// Why there is no such table on the server.
    async fn absent(&self, table: TableId, replica: &mut Replica) -> Error {
        let epochs = match self.attend().await {
            Ok(epochs) => epochs,
            Err(error) => return error,
        };
        match self.was_dropped(table).await {
            Ok(true) => {
                *replica = Replica::default();
                Error::Dropped { table }
            }
            Ok(false) if replica.is_known() && replica.epoch == epochs.epoch => {
                self.lost(format!("Redis was rolled back: table {table} is not in it any more")).await
            }
            Ok(false) => {
                *replica = Replica::default();
                Error::UnknownTable { table }
            }
            Err(error) => error,
        }
    }

    /// Opens a table that whoever restored it did not come to open, if the catalog serves under its epoch; answers the
    /// epoch under which it serves.
    async fn settle(&self, table: TableId, epoch: u64) -> Result<u64> {
        let serving = self.attend().await?.epoch;
        if serving == epoch {
            let arguments = [epoch.to_string().into_bytes()];
            let keys = self.keys(table);
            let _: String = self.0.connection.script(&self.0.scripts.settle, &keys.all(), &arguments).await?;
        }
        Ok(serving)
    }

    /// Why a table is closed although the catalog was seen to serve before.
    async fn unsettled(&self, table: TableId, epoch: u64, serving: u64) -> Error {
        if serving <= epoch {
            return judge::rebuilding(epoch);
        }
        // A rebuild that was superseded left it behind, and the one that superseded it did not write it.
        match self.was_dropped(table).await {
            Ok(true) => Error::Dropped { table },
            Ok(false) => self.lost(format!("table {table} was left behind by a rebuild under epoch {epoch}")).await,
            Err(error) => error,
        }
    }

    /// Writes if the table is at this revision (empty: if there is none); answers the next one and what moved if it was.
    pub(super) async fn apply(
        &self,
        table: TableId,
        epoch: u64,
        rev: &str,
        write: Write,
    ) -> Result<Option<(String, Moved)>> {
        // A test's clock says nothing about the server's time.
        let deadline = write.deadline.filter(|_| self.0.clock.is_none());
        let deadline = deadline.map(|at| at.millis().to_string()).unwrap_or_default();
        let mut arguments =
            vec![epoch.to_string().into_bytes(), rev.as_bytes().to_vec(), deadline.into_bytes(), write.entry];
        arguments.push(self.0.ids.random().simple().to_string().into_bytes());
        arguments.push(write.new.len().to_string().into_bytes());
        arguments.extend(write.new.iter().map(|file| file.uuid().as_bytes().to_vec()));
        arguments.extend(write.arguments);
        let keys = self.keys(table);
        let answer: String = self.0.connection.script(&self.0.scripts.apply, &keys.all(), &arguments).await?;
        Ok(answer.starts_with(|first: char| first.is_ascii_digit()).then_some((answer, write.moved)))
    }

    /// The table without its files; none if it was never made.
    pub(super) async fn read_head(&self, table: TableId) -> Result<Option<Head>> {
        let mut settled = None;
        loop {
            let mut command = redis::cmd("HMGET");
            command.arg(self.keys(table).head).arg(&["epoch", "rev", "version", "state", "def", "ledger"]);
            let fields: Vec<Value> = self.0.connection.run(&command).await?;
            let [epoch, rev, version, state, def, ledger]: [Value; 6] =
                fields.try_into().map_err(|_| super::connection::unexpected("a table's head"))?;
            if rev == Value::Nil {
                return Ok(None);
            }
            let (epoch, state) = (convert(epoch)?, State::parse(&convert::<String>(state)?)?);
            match state {
                State::Recovering => match settled {
                    None => settled = Some(self.settle(table, epoch).await?),
                    Some(serving) => return Err(self.unsettled(table, epoch, serving).await),
                },
                State::Live | State::Dropped => {
                    let is_live = state == State::Live;
                    let def = if is_live { Some(Arc::new(definition(&convert::<Vec<u8>>(def)?)?)) } else { None };
                    let ledger = Ledger::decode(&convert::<Vec<u8>>(ledger)?)?;
                    return Ok(Some(Head { epoch, rev: convert(rev)?, version: convert(version)?, def, ledger }));
                }
            }
        }
    }
}
