//! Where answers go: standard output, a file that appears once it is whole, or a file that grows.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The target of answers.
#[derive(Debug)]
pub(super) enum Output {
    Standard,
    /// For a script: complete or not there.
    Draft(Draft),
    /// For a shell, in which answers follow each other until something else is said.
    Growing(BufWriter<File>),
}

impl Output {
    /// The file that a script's answers become.
    pub(super) fn draft(path: &Path) -> Result<Self> {
        Ok(Self::Draft(Draft::new(path)?))
    }

    /// A file that is emptied now and gets every answer as it comes.
    pub(super) fn growing(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::Growing(BufWriter::new(file)))
    }

    /// Whether people read it as it is written.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Standard) && stdout().is_terminal()
    }

    /// The columns of the terminal that it is.
    pub(super) fn terminal_width(&self) -> Option<usize> {
        self.is_terminal().then(|| match rustix::termios::tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
            _ => 80,
        })
    }

    /// Puts a draft under its name.
    pub(super) fn keep(self) -> Result<()> {
        match self {
            Self::Draft(draft) => draft.keep(),
            Self::Growing(mut file) => Ok(file.flush()?),
            Self::Standard => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard => stdout().write(bytes),
            Self::Draft(draft) => draft.file.write(bytes),
            Self::Growing(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard => stdout().flush(),
            Self::Draft(draft) => draft.file.flush(),
            Self::Growing(file) => file.flush(),
        }
    }
}

/// A file under a name of its own until it is whole. What was under the final name stays until then, and for good
/// where the file never gets whole. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    file: BufWriter<File>,
    /// The name until then and the final one; nothing for a device or a pipe, which are written to as they are.
    names: Option<(PathBuf, PathBuf)>,
}

impl Draft {
    fn new(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        // Behind a link lies the file that is meant.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let before = path.metadata().ok();
        if before.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            bail!("{}: it is a folder", cannot());
        }
        if before.as_ref().is_some_and(|before| !before.is_file()) {
            let file = OpenOptions::new().write(true).open(&path).with_context(cannot)?;
            return Ok(Self { file: BufWriter::new(file), names: None });
        }
        let Some(name) = path.file_name() else { bail!("{}: it has no name", cannot()) };
        let draft = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
        let file = File::create(&draft).with_context(cannot)?;
        if let Some(before) = before {
            file.set_permissions(before.permissions()).with_context(cannot)?;
        }
        Ok(Self { file: BufWriter::new(file), names: Some((draft, path)) })
    }

    fn keep(mut self) -> Result<()> {
        self.file.flush().context("cannot write the answer's end")?;
        let Some((draft, path)) = self.names.take() else { return Ok(()) };
        let kept = self.file.get_ref().sync_all().and_then(|()| std::fs::rename(&draft, &path));
        kept.with_context(|| {
            // It would lie there for ever; that it cannot be removed changes nothing about the failure.
            let _ = std::fs::remove_file(&draft);
            format!("cannot write {}", path.display())
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some((draft, _)) = &self.names {
            // Nobody is left who could be told.
            let _ = std::fs::remove_file(draft);
        }
    }
}

#[cfg(test)]
mod tests;
