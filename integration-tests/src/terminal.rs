//! A program at a terminal, as a person sits before it: what is typed goes in, what is shown comes out.
//!
//! The terminal is a pseudo-terminal of the kernel and the program's controlling one, so that Ctrl-C is a signal. What is
//! waited for is text; colours and cursor movements are left out of it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::time::Instant;

/// How long something may take to be shown before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program at it. The program is killed when dropped.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    child: Child,
    shown: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    /// How much of the text was matched already.
    matched: usize,
}

impl Terminal {
    /// Starts a program at a terminal of that many columns, with these variables and no others but `PATH`.
    pub fn start(program: &Path, arguments: &[&str], variables: &[(&str, &str)], columns: u16) -> Result<Self> {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&keys)?;
        unlockpt(&keys)?;
        let name = ptsname(&keys, Vec::new())?;
        let screen = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        tcsetwinsize(&keys, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        // `setsid` makes the terminal the program's own and becomes the program.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(arguments).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TERM", "xterm-256color");
        command.envs(variables.iter().copied());
        let end = || Ok::<_, std::io::Error>(Stdio::from(screen.try_clone()?));
        let child = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn().context("setsid cannot be run")?;
        drop((screen, command));
        let keys = File::from(keys);
        let (sender, shown) = channel();
        let mut screen = keys.try_clone()?;
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The kernel says EIO once nobody holds the other end.
            while let Ok(read @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { keys, child, shown, raw: Vec::new(), matched: 0 })
    }

    /// Presses keys; `\r` is Enter, `\x03` Ctrl-C, `\x04` Ctrl-D.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.keys.write_all(keys.as_bytes())?)
    }

    /// Everything that was shown so far, as text.
    pub fn text(&self) -> String {
        plain(&String::from_utf8_lossy(&self.raw))
    }

    /// Waits until that is shown, after what was waited for before. What was shown up to its end comes back.
    pub fn until(&mut self, expected: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if let Some(at) = text[self.matched..].find(expected) {
                let end = self.matched + at + expected.len();
                let between = text[self.matched..end].to_owned();
                self.matched = end;
                return Ok(between);
            }
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.raw.extend(bytes),
                Err(RecvTimeoutError::Timeout) => bail!("{expected:?} was not shown within {PATIENCE:?}:\n{text}"),
                Err(RecvTimeoutError::Disconnected) => bail!("{expected:?} was not shown before the end:\n{text}"),
            }
        }
    }

    /// Waits until the program has ended by itself.
    pub fn until_ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.raw.extend(bytes),
                // Nobody holds the terminal any more, so the program is gone or about to go.
                Err(RecvTimeoutError::Disconnected) => return Ok(self.child.wait()?),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the program did not end within {PATIENCE:?}:\n{}", self.text())
                }
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text without escape sequences and carriage returns. One that has only begun at the end is left out, too.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(each) = rest.next() {
        match each {
            '\r' | '\u{7}' => {}
            '\u{1b}' => match rest.next() {
                Some('[') => while rest.next().is_some_and(|each| !('@'..='~').contains(&each)) {},
                Some(']') => while rest.next().is_some_and(|each| each != '\u{7}') {},
                _ => {}
            },
            each => plain.push(each),
        }
    }
    plain
}
