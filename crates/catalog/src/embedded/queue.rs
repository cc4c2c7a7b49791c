//! The one thread that changes the file: it takes all jobs that wait and runs them in one transaction, so
//! callers who come at the same time share one disk sync.
//!
//! A job checks before it writes, and stands in a savepoint: one that is refused leaves nothing behind and
//! does not disturb the others. Answers are given after the transaction is on disk; where it fails, every
//! job of it answers `Unavailable`. A caller that goes away does not stop its job.

use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{Error, Result};

/// Bounds how long the first caller of a batch waits for the others.
const JOBS_PER_TRANSACTION: usize = 512;

/// Hands jobs to the thread; the thread ends when this is dropped and the last job is done.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Box<dyn Job>>,
}

trait Job: Send {
    /// Does the work inside a savepoint and keeps its result; an error here fails the transaction.
    fn run(&mut self, connection: &Connection) -> Result<()>;
    /// Tells the caller.
    fn answer(self: Box<Self>, failure: Option<&str>);
}

struct Work<T, F> {
    work: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        execute(connection, "SAVEPOINT job")?;
        match work(connection) {
            Err(error @ Error::Unavailable { .. }) => return Err(error),
            Err(refused) => {
                execute(connection, "ROLLBACK TO job")?;
                self.result = Some(Err(refused));
            }
            done => self.result = Some(done),
        }
        execute(connection, "RELEASE job")
    }

    fn answer(self: Box<Self>, failure: Option<&str>) {
        let result = match (failure, self.result) {
            (Some(reason), _) => Err(Error::Unavailable { reason: reason.to_owned() }),
            (None, Some(result)) => result,
            (None, None) => Err(ended()),
        };
        // A caller that has gone away needs no answer.
        let _ = self.reply.send(result);
    }
}

impl Queue {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || serve(&connection, &receiver))
            .map_err(|error| Error::Unavailable { reason: format!("its thread cannot start: {error}") })?;
        Ok(Self { sender })
    }

    /// Runs `work` in a transaction and answers once that is on disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Box::new(Work { work: Some(work), result: None, reply })).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

fn ended() -> Error {
    Error::Unavailable { reason: "its thread has ended after a failure; restart the process".to_owned() }
}

fn serve(connection: &Connection, receiver: &mpsc::Receiver<Box<dyn Job>>) {
    while let Ok(first) = receiver.recv() {
        let mut jobs = vec![first];
        while jobs.len() < JOBS_PER_TRANSACTION
            && let Ok(next) = receiver.try_recv()
        {
            jobs.push(next);
        }
        let failure = transact(connection, &mut jobs).err().map(|error| match error {
            Error::Unavailable { reason } => reason,
            other => other.to_string(),
        });
        if let Some(reason) = &failure {
            tracing::warn!(reason, jobs = jobs.len(), "a catalog transaction failed");
        }
        for job in jobs {
            job.answer(failure.as_deref());
        }
    }
}

fn transact(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let done = jobs.iter_mut().try_for_each(|job| job.run(connection)).and_then(|()| execute(connection, "COMMIT"));
    if done.is_err() && !connection.is_autocommit() {
        // The connection is of no use inside a failed transaction; if leaving it fails, so will the next BEGIN.
        let _ = execute(connection, "ROLLBACK");
    }
    done
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
