use std::time::Duration;

use gigapi_model::ManualClock;
use prometheus_client::metrics::counter::Counter;

use super::*;

#[test]
fn metrics_carry_the_prefix_the_build_and_the_process() {
    let clock = Arc::new(ManualClock::default());
    let metrics = Metrics::new(clock.clone());
    let rows: Counter = Counter::default();
    metrics.register(|registry| registry.register("rows", "Rows", rows.clone()));
    rows.inc_by(7);
    clock.advance(Duration::from_secs(90));
    let text = metrics.encode();
    for line in ["gigapi_rows_total 7", "gigapi_uptime_seconds 90", &format!("version=\"{VERSION}\"")] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let figure = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(figure("process_resident_memory_bytes") > 100_000.0);
    assert!(figure("process_open_fds") >= 3.0);
    assert!(figure("process_max_fds") >= figure("process_open_fds"));
    assert!(figure("process_cpu_seconds_total") >= 0.0);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn every_filter_that_settings_accept_starts_logging() {
    for filter in ["info", "off", "warn,gigapi_writer=debug", "error,gigapi_catalog::embedded=trace"] {
        assert!(EnvFilter::try_new(filter).is_ok(), "{filter}");
    }
}
