//! Single lines from many connections.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::load::percentile;
use crate::{START_NANOS, mib, server};

pub(crate) async fn single_lines() -> Result<()> {
    const CONNECTIONS: usize = 256;
    const SECONDS: u64 = 10;
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    let port = server.port();
    let deadline = Instant::now() + Duration::from_secs(SECONDS);
    let started = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let mut times = Vec::new();
                let mut piece = [0_u8; 1024];
                let mut number = 0_u64;
                while Instant::now() < deadline {
                    let line = format!("m,host=h{connection} v={number}i {}\n", START_NANOS + number);
                    let request = format!(
                        "POST /write?db=bench HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{line}",
                        line.len()
                    );
                    let asked = Instant::now();
                    stream.write_all(request.as_bytes()).await?;
                    let read = stream.read(&mut piece).await?;
                    times.push(asked.elapsed());
                    if !piece[..read].starts_with(b"HTTP/1.1 204") {
                        bail!("answered {}", String::from_utf8_lossy(&piece[..read]));
                    }
                    number += 1;
                }
                Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort();
    println!("single lines: 256 connections, durability wal, {SECONDS} s");
    println!("  {:>12.0} requests/s", times.len() as f64 / seconds);
    println!("  {:>12.2} ms ack p50  {:.2} ms p99", percentile(&times, 0.5), percentile(&times, 0.99));
    println!("  {:>12.0} MiB resident", mib(server.resident_bytes()?));
    let counted = server.client().number("bench", "SELECT count(*) FROM m").await?;
    if counted as usize != times.len() {
        bail!("{} rows were acknowledged, SQL counts {counted}", times.len());
    }
    server.stop().await?;
    Ok(())
}
