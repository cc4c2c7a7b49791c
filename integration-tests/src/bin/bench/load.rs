//! What is sent: bodies of the TSBS cpu-only shape, over plain connections that cost the generator little.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use crate::START_NANOS;

const HOSTS: usize = 1_000;
pub(crate) const LINES_PER_BODY: usize = 10_000;
const STEP_NANOS: u64 = 10_000_000_000;

/// Bodies of the TSBS cpu-only shape, with the places of their timestamps.
pub(crate) struct Bodies {
    texts: Vec<Vec<u8>>,
    stamps: Vec<Vec<usize>>,
}

pub(crate) fn bodies(count: usize) -> Bodies {
    let fields = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let regions = ["us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "sa-east-1"];
    let mut values = vec![[50_i64; 10]; HOSTS];
    let mut seed = 42_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let tags: Vec<String> = (0..HOSTS)
        .map(|host| {
            let region = regions[host % regions.len()];
            format!(
                "cpu,hostname=host_{host},region={region},datacenter={region}{},rack={},os=Ubuntu16.04LTS,arch=x64,team=SF,service={},service_version=1,service_environment=production",
                ["a", "b", "c"][host % 3], host % 100, host % 20
            )
        })
        .collect();
    let mut all = Bodies { texts: Vec::new(), stamps: Vec::new() };
    for _ in 0..count {
        let mut text = Vec::with_capacity(LINES_PER_BODY * 350);
        let mut stamps = Vec::with_capacity(LINES_PER_BODY);
        for line in 0..LINES_PER_BODY {
            let host = line % HOSTS;
            text.extend_from_slice(tags[host].as_bytes());
            text.push(b' ');
            for (index, field) in fields.iter().enumerate() {
                let value = &mut values[host][index];
                *value = (*value + i64::try_from(random() % 3).unwrap_or(0) - 1).clamp(0, 100);
                if index > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(format!("usage_{field}={value}i").as_bytes());
            }
            text.push(b' ');
            stamps.push(text.len());
            text.extend_from_slice(START_NANOS.to_string().as_bytes());
            text.push(b'\n');
        }
        all.texts.push(text);
        all.stamps.push(stamps);
    }
    all
}

/// Sends one request and reads its answer; the status comes back.
fn exchange(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> Result<u16> {
    stream.write_all(head)?;
    stream.write_all(body)?;
    let mut answer = Vec::with_capacity(512);
    let mut piece = [0_u8; 1024];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        answer.extend_from_slice(&piece[..read]);
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let length: usize = length.unwrap_or(0);
            if answer.len() >= end + 4 + length {
                return head.split(' ').nth(1).context("no status")?.parse().context("no status");
            }
        }
    }
}

pub(crate) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).map_or(0.0, |each| each.as_secs_f64() * 1e3)
}

pub(crate) type Loader = std::thread::JoinHandle<Result<Vec<Duration>>>;

/// Requests at even intervals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    first: u64,
    begun: Instant,
    every: Duration,
}

impl Pace {
    /// From the request of that number on, which is sent now.
    pub(crate) fn new(first: u64, every: Duration) -> Self {
        Self { first, begun: Instant::now(), every }
    }

    fn wait(self, number: u64) {
        let due = self.every.mul_f64((number - self.first) as f64);
        std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
    }
}

/// One connection that sends bodies until `requests` were sent by all; answers how long each took.
pub(crate) fn load(
    mut bodies: Bodies,
    port: u16,
    requests: u64,
    sent: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    pace: Option<Pace>,
) -> Loader {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut times = Vec::new();
        loop {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return Ok(times);
            }
            if let Some(pace) = pace {
                pace.wait(number);
            }
            let index = usize::try_from(number)? % bodies.texts.len();
            let (text, stamps) = (&mut bodies.texts[index], &bodies.stamps[index]);
            for (line, &at) in stamps.iter().enumerate() {
                let step = number * (LINES_PER_BODY / HOSTS) as u64 + (line / HOSTS) as u64;
                let stamp = (START_NANOS + step * STEP_NANOS).to_string();
                text[at..at + stamp.len()].copy_from_slice(stamp.as_bytes());
            }
            let head =
                format!("POST /write?db=bench HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", text.len());
            let asked = Instant::now();
            let status = exchange(&mut stream, head.as_bytes(), text)?;
            times.push(asked.elapsed());
            if status != 204 {
                bail!("a write was answered {status}");
            }
            bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        }
    })
}
