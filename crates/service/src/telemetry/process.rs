//! The process as the system sees it: memory, processor time, open files.
//!
//! Read from `/proc` when metrics are asked for; where there is no `/proc` the figures are absent. The names
//! are those that Prometheus' own clients use, so existing dashboards find them.

use std::fmt;
use std::sync::Arc;

use gigapi_model::{Clock, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Figures of this process.
#[derive(Debug)]
pub(crate) struct ProcessCollector {
    clock: Arc<dyn Clock>,
    started: Timestamp,
}

impl ProcessCollector {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let started = clock.now();
        Self { clock, started }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people: 53 bits are plenty")]
impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut put = |name: &str, help: &str, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let started = self.started.millis() as f64 / 1_000.0;
        put("process_start_time_seconds", "When the process started, Unix time.", &ConstGauge::new(started))?;
        let uptime = self.clock.now().since(self.started).as_secs_f64();
        put("gigapi_uptime_seconds", "Since the process started.", &ConstGauge::new(uptime))?;
        if let Some(bytes) = resident_bytes() {
            put("process_resident_memory_bytes", "Memory in RAM.", &ConstGauge::new(bytes as f64))?;
        }
        if let Some(seconds) = cpu_seconds() {
            put("process_cpu_seconds", "Processor time, user and system.", &ConstCounter::new(seconds))?;
        }
        if let Some(count) = open_files() {
            put("process_open_fds", "Open file descriptors.", &ConstGauge::new(count as f64))?;
        }
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            put("process_max_fds", "File descriptors that may be open.", &ConstGauge::new(limit as f64))?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people: 53 bits are plenty")]
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold spaces; counting starts behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn open_files() -> Option<usize> {
    // Reading the folder opens one descriptor itself.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// Lets the process open as many files as the system allows; shells often start with 1,024, fewer than the
/// connections that are served. Warns if `wanted` is out of reach.
pub fn raise_open_files_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    if let Some(current) = getrlimit(Resource::Nofile).current
        && current < wanted
    {
        tracing::warn!(
            current,
            wanted,
            "few open files are allowed; raise `ulimit -n` or lower GIGAPI_CONNECTIONS_MAX"
        );
    }
}
