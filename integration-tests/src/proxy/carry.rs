//! One connection through the proxy: two directions, each a queue of pieces with the moment at which they came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Fault, Link};

/// The most bytes that are carried as one piece.
const PIECE_BYTES: usize = 16 * 1024;

/// Pieces under way in one direction; a delayed connection carries no more than this at a time.
const PIECES: usize = 256;

/// How often a throttled connection moves.
const STEPS_PER_SECOND: u32 = 20;

/// The connection has to be reset: by chance, by order, or because one end was.
struct Broken;

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// Carries one connection until it ends.
pub(super) async fn carry(
    mut client: TcpStream,
    target: Arc<str>,
    faults: watch::Receiver<Fault>,
    random: Arc<Mutex<Rng>>,
) {
    let mut server = None;
    let outcome = tokio::select! {
        outcome = through(&mut client, &target, &mut server, faults.clone(), &random) => outcome,
        () = until_cut(faults) => Err(Broken),
    };
    if outcome.is_err() {
        for stream in [Some(client), server].into_iter().flatten() {
            // Closing it with this set is a reset.
            let _ = stream.set_zero_linger();
        }
    }
}

async fn through(
    client: &mut TcpStream,
    target: &str,
    server: &mut Option<TcpStream>,
    mut faults: watch::Receiver<Fault>,
    random: &Mutex<Rng>,
) -> Result<(), Broken> {
    until_heard(&mut faults).await;
    let server = server.insert(TcpStream::connect(target).await?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = Way { delay: |fault| fault.delay_there, faults: faults.clone(), random };
    let back = Way { delay: |fault| fault.delay_back, faults: faults.clone(), random };
    let both = tokio::try_join!(there.pass(from_client, to_server), back.pass(from_server, to_client));
    if both.is_err() {
        // Nobody learns of a broken connection while nothing passes.
        until_heard(&mut faults).await;
    }
    both.map(|_| ())
}

/// One direction.
struct Way<'a> {
    delay: fn(&Fault) -> Duration,
    faults: watch::Receiver<Fault>,
    random: &'a Mutex<Rng>,
}

impl Way<'_> {
    async fn pass(self, from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin) -> Result<(), Broken> {
        let (pieces, queue) = mpsc::channel(PIECES);
        let reading = read(from, pieces, self.faults.clone(), self.random);
        tokio::try_join!(reading, write(to, queue, self.faults, self.delay))?;
        Ok(())
    }
}

type Piece = (Instant, Bytes);

async fn read(
    mut from: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<Piece>,
    faults: watch::Receiver<Fault>,
    random: &Mutex<Rng>,
) -> Result<(), Broken> {
    let mut buffer = vec![0_u8; PIECE_BYTES];
    loop {
        let place = pieces.reserve().await.map_err(|_| Broken)?;
        // A throttled connection takes little at a time, or its sender would think that all has been sent.
        let bytes = faults.borrow().bytes_per_second.map_or(PIECE_BYTES, step_bytes).min(PIECE_BYTES);
        let count = from.read(&mut buffer[..bytes]).await?;
        if count == 0 {
            return Ok(());
        }
        let share = faults.borrow().reset_share;
        if share > 0.0 && random.lock().unwrap_or_else(PoisonError::into_inner).f64() < share {
            return Err(Broken);
        }
        place.send((Instant::now(), Bytes::copy_from_slice(&buffer[..count])));
    }
}

async fn write(
    mut to: impl AsyncWrite + Unpin,
    mut pieces: mpsc::Receiver<Piece>,
    mut faults: watch::Receiver<Fault>,
    delay: fn(&Fault) -> Duration,
) -> Result<(), Broken> {
    while let Some((came, mut piece)) = pieces.recv().await {
        until_due(&mut faults, |fault| came + delay(fault)).await;
        while !piece.is_empty() {
            until_heard(&mut faults).await;
            let rate = faults.borrow().bytes_per_second;
            let bytes = rate.map_or(piece.len(), step_bytes).min(piece.len());
            to.write_all(&piece.split_to(bytes)).await?;
            let sent = Instant::now();
            let pause = |rate: u32| Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / rate.max(1);
            until_due(&mut faults, |fault| fault.bytes_per_second.map_or(sent, |rate| sent + pause(rate))).await;
        }
    }
    until_heard(&mut faults).await;
    Ok(to.shutdown().await?)
}

fn step_bytes(bytes_per_second: u32) -> usize {
    (bytes_per_second / STEPS_PER_SECOND).max(1) as usize
}

/// Waits until the moment that the fault of the moment gives.
async fn until_due(faults: &mut watch::Receiver<Fault>, due: impl Fn(&Fault) -> Instant) {
    loop {
        let at = due(&faults.borrow_and_update());
        if at <= Instant::now() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(at) => {}
            changed = faults.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits as long as nothing passes. A proxy that is gone ends its connections itself.
async fn until_heard(faults: &mut watch::Receiver<Fault>) {
    let _ = faults.wait_for(|fault| fault.link != Link::Silent).await;
}

async fn until_cut(mut faults: watch::Receiver<Fault>) {
    if faults.wait_for(|fault| fault.link == Link::Cut).await.is_err() {
        std::future::pending().await
    }
}
