//! The terminal keeps quiet while a statement runs.
//!
//! What is typed meanwhile would be shown amid the progress bar and the rows, and `^C` with it. It is not lost: the next
//! prompt reads it and shows it where it belongs.

use std::io::stdin;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal shows nothing that is typed until this is dropped.
#[derive(Debug)]
pub(super) struct Quiet(Option<Termios>);

impl Quiet {
    /// Whether or not the terminal can be kept quiet, work goes on.
    pub(super) fn begin() -> Self {
        let Ok(before) = tcgetattr(stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(stdin(), OptionalActions::Now, &quiet) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that has gone away needs no echo.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
