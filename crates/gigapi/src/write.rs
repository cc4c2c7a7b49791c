//! `gigapi write`: line protocol from files or standard input to a server.
//!
//! Files are cut where lines end and sent in batches; nothing is parsed here, so that one program alone
//! decides what a point is. Refused lines come back with the file's name and their line in it.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use gigapi_writer::line_protocol::{Precision, cut_lines};
use tokio::sync::mpsc;

use crate::client::{Client, ConnectArgs};
use crate::send::{Batch, Origin, progress, send};

/// A line that is longer than this is sent as it is, for the server to refuse.
const TORN_LINE_BYTES_MAX: usize = 16 << 20;

/// Write line protocol from files or standard input.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Files of line protocol; `-` or none is standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The unit of the timestamps: ns, us, ms, s, m, h or auto (guessed for each). The server's own default
    /// is auto.
    #[arg(long, short = 'p', value_name = "UNIT", value_parser = precision)]
    precision: Option<String>,
    /// Points in a request, at most.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    batch_lines: u32,
    /// Bytes in a request, at most; a single line may be longer.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    batch_bytes: u32,
    /// Requests at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
}

fn precision(text: &str) -> Result<String, String> {
    match Precision::from_query(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("use ns, us, ms, s, m, h or auto".to_owned()),
    }
}

/// Writes the files; fails if any line was not taken.
pub(crate) async fn run(args: WriteArgs) -> Result<ExitCode> {
    let client = Client::new(&args.connect)?;
    let inputs = inputs(&args.files)?;
    let size = |input: &Option<PathBuf>| std::fs::metadata(input.as_ref()?).ok().map(|metadata| metadata.len());
    let bar = progress(inputs.iter().map(size).sum());
    let parameters = args.precision.iter().map(|unit| ("precision".to_owned(), unit.clone())).collect();
    let limits = (args.batch_lines as usize, args.batch_bytes as usize);
    let parallel = usize::from(args.parallel);
    let (outlet, inbox) = mpsc::channel(parallel);
    let reading = tokio::task::spawn_blocking(move || {
        for input in inputs {
            if let Err(error) = read_input(input.as_deref(), limits, &outlet) {
                // A receiver that is gone has met an error of its own.
                let _ = outlet.blocking_send(Err(error));
                return;
            }
        }
    });
    let sent = send(&client, inbox, parameters, parallel, &bar).await?;
    reading.await?;
    println!("{}", sent.summary());
    Ok(if sent.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files, with `None` for standard input.
fn inputs(files: &[PathBuf]) -> Result<Vec<Option<PathBuf>>> {
    if files.is_empty() && std::io::stdin().is_terminal() {
        bail!("nothing to write: name files, or pipe line protocol into the command");
    }
    if files.is_empty() {
        return Ok(vec![None]);
    }
    let is_stdin = |file: &PathBuf| file.as_os_str() == "-";
    files
        .iter()
        .map(|file| match is_stdin(file) {
            true => Ok(None),
            false if file.is_dir() => bail!("{} is a folder; name the files in it", file.display()),
            false if !file.exists() => bail!("{} does not exist", file.display()),
            false => Ok(Some(file.clone())),
        })
        .collect()
}

type Outlet = mpsc::Sender<Result<Batch>>;

fn read_input(path: Option<&Path>, limits: (usize, usize), outlet: &Outlet) -> Result<()> {
    match path {
        None => read_lines(std::io::stdin().lock(), "<stdin>", limits, outlet).context("cannot read standard input"),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
            read_lines(file, &name, limits, outlet).with_context(|| format!("cannot read {name}"))
        }
    }
}

/// Cuts what `source` holds into batches of at most `points_max` points and `bytes_max` bytes.
fn read_lines(
    mut source: impl Read,
    name: &str,
    (points_max, bytes_max): (usize, usize),
    outlet: &Outlet,
) -> std::io::Result<()> {
    let (mut text, mut begin, mut first_line, mut at_end) = (Vec::new(), 0, 1, false);
    loop {
        // The buffer holds more than a batch, or all that is left, before it is cut.
        while !at_end && text.len() - begin <= bytes_max {
            at_end = fill(&mut source, &mut text, &mut begin, bytes_max)?;
        }
        let rest = text.get(begin..).unwrap_or_default();
        let is_last = at_end || rest.len() > TORN_LINE_BYTES_MAX + bytes_max;
        let Some(cut) = cut_lines(rest, points_max, bytes_max, is_last) else {
            if at_end {
                return Ok(());
            }
            at_end = fill(&mut source, &mut text, &mut begin, bytes_max)?;
            continue;
        };
        let body = Bytes::copy_from_slice(rest.get(..cut.bytes).unwrap_or_default());
        let newlines = body.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if cut.points > 0 {
            let (lines, source_bytes) = (cut.points as u64, cut.bytes as u64);
            let origin = Origin::Line(first_line);
            let batch = Batch { body, lines, source_bytes, source: name.to_owned(), origin };
            if outlet.blocking_send(Ok(batch)).is_err() {
                return Ok(());
            }
        }
        begin += cut.bytes;
        first_line += newlines;
    }
}

/// Reads more behind what is still to be cut; tells whether the source ended.
fn fill(source: &mut impl Read, text: &mut Vec<u8>, begin: &mut usize, bytes: usize) -> std::io::Result<bool> {
    text.drain(..*begin);
    *begin = 0;
    let wanted = bytes.max(64 << 10) as u64;
    Ok(source.by_ref().take(wanted).read_to_end(text)? == 0)
}

#[cfg(test)]
mod tests;
