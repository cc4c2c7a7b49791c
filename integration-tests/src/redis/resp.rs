//! One command and its answer in Redis' own protocol: enough for tests, so that they need no client library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::certificates::Certificates;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs one command on a connection of its own.
pub(super) fn command(port: u16, certificates: Option<&Certificates>, words: &[&str]) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    match certificates {
        None => exchange(stream, words),
        Some(certificates) => {
            let name = ServerName::from(address.ip());
            let connection = ClientConnection::new(certificates.client()?, name)?;
            exchange(StreamOwned::new(connection, stream), words)
        }
    }
}

fn exchange(mut stream: impl Read + Write, words: &[&str]) -> Result<String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    reply(&mut BufReader::new(stream))
}

fn reply(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").context("the server closed the connection")?;
    let (kind, rest) = line.split_at_checked(1).context("an empty answer")?;
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => bail!("{rest}"),
        "$" => {
            let Ok(length) = usize::try_from(rest.parse::<i64>()?) else { return Ok(String::new()) };
            let mut bytes = vec![0_u8; length + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => {
            let elements = usize::try_from(rest.parse::<i64>()?).unwrap_or(0);
            let elements: Result<Vec<String>> = (0..elements).map(|_| reply(stream)).collect();
            Ok(elements?.join("\n"))
        }
        _ => bail!("an answer of an unknown kind: {line}"),
    }
}
