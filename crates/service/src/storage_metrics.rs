//! What an operator sees of the catalog in Redis, of the layers in S3 and of the read cache.
//!
//! These count by themselves and know no metrics; the figures are read when somebody asks for them.

use std::fmt;
use std::sync::Arc;

use gigapi_catalog::RedisCatalog;
use gigapi_storage::{CacheCounts, Layers, ReadCache, RequestCounts};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::Metrics;

/// Registers the figures of all layers in S3 as `gigapi_s3_…`.
pub(crate) fn register_layers(metrics: &Metrics, layers: &Layers) {
    let named = |layer: &Arc<gigapi_storage::Layer>| Some((layer.name.to_string(), layer.requests.clone()?));
    let layers: Vec<_> = layers.iter().filter_map(named).collect();
    if !layers.is_empty() {
        metrics.register(|registry| registry.register_collector(Box::new(LayerCollector(layers))));
    }
}

/// Registers the figures of the read cache as `gigapi_cache_…`.
pub(crate) fn register_cache(metrics: &Metrics, cache: &ReadCache) {
    let collector = CacheCollector { counts: Arc::clone(cache.counts()), bytes_max: cache.bytes_max() };
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

/// Registers the round trips to Redis as `gigapi_catalog_round_trips`.
pub(crate) fn register_redis(metrics: &Metrics, catalog: &Arc<RedisCatalog>) {
    let collector = RedisCollector(Arc::clone(catalog));
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

#[derive(Debug)]
struct RedisCollector(Arc<RedisCatalog>);

impl Collector for RedisCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Commands and scripts sent to Redis";
        let family = encoder.encode_descriptor("catalog_round_trips", help, None, MetricType::Counter)?;
        ConstCounter::new(self.0.round_trips()).encode(family)
    }
}

/// By the layers' names.
#[derive(Debug)]
struct LayerCollector(Vec<(String, Arc<RequestCounts>)>);

impl Collector for LayerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Requests to S3, retries included; status none is no answer";
        let mut family = encoder.encode_descriptor("s3_requests", help, None, MetricType::Counter)?;
        for (layer, counts) in &self.0 {
            for (method, status, count) in counts.requests() {
                let labels = [("layer", layer.as_str()), ("method", method), ("status", status)];
                counter(&mut family, &labels, count)?;
            }
        }
        let help = "Bytes of bodies sent to S3, retries included";
        let mut family = encoder.encode_descriptor("s3_sent_bytes", help, None, MetricType::Counter)?;
        for (layer, counts) in &self.0 {
            counter(&mut family, &[("layer", layer.as_str())], counts.sent_bytes())?;
        }
        let help = "Bytes of bodies received from S3";
        let mut family = encoder.encode_descriptor("s3_received_bytes", help, None, MetricType::Counter)?;
        for (layer, counts) in &self.0 {
            counter(&mut family, &[("layer", layer.as_str())], counts.received_bytes())?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct CacheCollector {
    counts: Arc<CacheCounts>,
    bytes_max: u64,
}

impl Collector for CacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = &self.counts;
        let help = "Blocks of remote files that were in the read cache, or on their way for another reader";
        let mut family = encoder.encode_descriptor("cache_hits", help, None, MetricType::Counter)?;
        for (tier, count) in
            [("memory", counts.memory_hits()), ("disk", counts.disk_hits()), ("shared", counts.joined())]
        {
            counter(&mut family, &[("tier", tier)], count)?;
        }
        for (name, help, count) in [
            ("cache_misses", "Blocks of remote files that had to be fetched", counts.misses()),
            ("cache_fetches", "Requests to layers for missing blocks, retries not counted", counts.fetches()),
            ("cache_fetched_bytes", "Bytes of blocks that were fetched", counts.fetched_bytes()),
            ("cache_read_bytes", "Bytes of remote files that queries asked for", counts.served_bytes()),
            ("cache_disk_errors", "Reads of the cache's disk that failed", counts.disk_errors()),
            ("cache_rejected", "Blocks not kept on disk because its volume is nearly full", counts.rejected()),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(metric)?;
        }
        let metric =
            encoder.encode_descriptor("cache_bytes_max", "Disk space of the read cache", None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(self.bytes_max).unwrap_or(i64::MAX)).encode(metric)
    }
}

fn counter(family: &mut MetricEncoder<'_>, labels: &[(&str, &str)], count: u64) -> Result<(), fmt::Error> {
    ConstCounter::new(count).encode(family.encode_family(&labels)?)
}

#[cfg(test)]
mod tests;
