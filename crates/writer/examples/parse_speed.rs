//! Prints how fast one core turns line protocol into columns, for the shapes that clients send.
//!
//! Run it in release: `cargo run --release -p gigapi-writer --example parse_speed [megabytes] [shape]`.
//! Each shape is read nine times and the best is shown, because the others measure the neighbours.

use std::fmt::Write;

use gigapi_model::Timestamp;
use gigapi_writer::line_protocol::{ParseOptions, Precision, parse};

const START: i64 = 1_700_000_000_000_000_000;
const CPU_FIELDS: [&str; 10] =
    ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

/// Pseudo-random numbers that are the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn cpu_tags(out: &mut String, host: u64) {
    let _ = write!(
        out,
        "cpu,hostname=host_{host},region=eu-central-1,datacenter=eu-central-1a,rack={},os=Ubuntu15.10,arch=x64,\
         team=SF,service={},service_version=1,service_environment=test",
        host % 100,
        host % 20
    );
}

fn cpu_line(out: &mut String, noise: &mut Noise, host: u64, row: i64) {
    cpu_tags(out, host);
    for (index, name) in CPU_FIELDS.iter().enumerate() {
        let _ = write!(out, "{}usage_{name}={}i", if index == 0 { ' ' } else { ',' }, noise.below(100));
    }
    let _ = writeln!(out, " {}", START + row * 10_000_000_000);
}

fn float_line(out: &mut String, noise: &mut Noise, host: u64, row: i64) {
    cpu_tags(out, host);
    for (index, name) in CPU_FIELDS.iter().enumerate() {
        let value = noise.below(1_000_000_000);
        let _ = write!(out, "{}usage_{name}={}.{:07}", if index == 0 { ' ' } else { ',' }, value % 100, value / 100);
    }
    let _ = writeln!(out, " {}", START + row * 10_000_000_000);
}

fn mixed_line(out: &mut String, noise: &mut Noise, host: u64, row: i64) {
    let time = START + row * 10_000_000_000;
    let (used, free) = (noise.below(100), noise.below(1 << 33));
    let _ = writeln!(out, "mem,host=host_{host} used_percent={used}.25,free={free}i,available={free}i {time}");
    let _ = writeln!(out, "disk,host=host_{host},path=/var,device=sda1 used={free}i,inodes={used}i {time}");
    let _ = writeln!(out, "net,host=host_{host},interface=eth0 bytes_recv={free}u,bytes_sent={free}u,up=true {time}");
    let _ = writeln!(out, "status,host=host_{host} state=\"running since {used} \\\"days\\\"\",code={used}i {time}");
}

fn body(shape: &str, bytes: usize) -> String {
    let (mut out, mut noise, mut line) = (String::with_capacity(bytes + 1_024), Noise(88), 0);
    while out.len() < bytes {
        let (host, row) = (line % 4_000, (line / 4_000) as i64);
        match shape {
            "cpu" => cpu_line(&mut out, &mut noise, host, row),
            "cpu-100-hosts" => cpu_line(&mut out, &mut noise, line % 100, (line / 100) as i64),
            "float" => float_line(&mut out, &mut noise, line % 100, (line / 100) as i64),
            "new-series" => cpu_line(&mut out, &mut noise, line, 0),
            "shuffled" => {
                let host = noise.below(4_000);
                cpu_line(&mut out, &mut noise, host, line as i64);
            }
            _ => mixed_line(&mut out, &mut noise, line % 100, (line / 100) as i64),
        }
        line += 1;
    }
    out
}

fn main() {
    let megabytes: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(16);
    let only = std::env::args().nth(2);
    let options = ParseOptions::new(Precision::Nanosecond, Timestamp::from_nanos(0));
    for shape in ["cpu", "cpu-100-hosts", "float", "new-series", "shuffled", "mixed"] {
        if only.as_deref().is_some_and(|only| only != shape) {
            continue;
        }
        let text = body(shape, megabytes << 20);
        let (mut best, mut rows) = (f64::MAX, 0);
        for _ in 0..9 {
            let start = tokio::time::Instant::now();
            let parsed = parse(text.as_bytes(), &options);
            best = best.min(start.elapsed().as_secs_f64());
            assert_eq!(parsed.refused_count, 0, "the generated lines are points");
            rows = parsed.lines;
        }
        let (bytes, rows) = (text.len() as f64, rows as f64);
        println!(
            "{shape:>14}: {:6.0} MB/s  {:5.2} Mrows/s  {:4.0} ns and {:3.0} bytes a row",
            bytes / best / 1e6,
            rows / best / 1e6,
            best / rows * 1e9,
            bytes / rows
        );
    }
}
