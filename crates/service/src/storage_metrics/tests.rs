use gigapi_model::{LayerName, ManualClock, SystemIds};
use gigapi_storage::{CacheSettings, Layer, LayerSettings};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;

fn name(text: &str) -> LayerName {
    LayerName::new(text).unwrap()
}

fn metrics() -> Metrics {
    Metrics::new(Arc::new(ManualClock::default()))
}

#[tokio::test]
async fn the_read_cache_shows_what_it_saved() {
    let folder = tempfile::tempdir().unwrap();
    let settings = CacheSettings { folder: folder.path().to_owned(), bytes_max: Some(CacheSettings::BYTES_MIN) };
    let cache = ReadCache::open(&settings, &SystemIds).await.unwrap().unwrap();
    let metrics = metrics();
    register_cache(&metrics, &cache);
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(InMemory::new());
    let at = "db/t/date=2025-04-10/hour=14/0196218a-4c5c-7000-8000-000000000001.1.parquet";
    let at = Path::parse(at).unwrap();
    store.put(&at, vec![7; 1_000].into()).await.unwrap();
    let cached = cache.over(&name("cold"), store);
    for _ in 0..3 {
        cached.get_range(&at, 10..110).await.unwrap();
    }
    let text = metrics.encode();
    for line in [
        "gigapi_cache_hits_total{tier=\"memory\"} 2",
        "gigapi_cache_hits_total{tier=\"disk\"} 0",
        "gigapi_cache_hits_total{tier=\"shared\"} 0",
        "gigapi_cache_misses_total 1",
        "gigapi_cache_fetches_total 1",
        "gigapi_cache_fetched_bytes_total 1000",
        "gigapi_cache_read_bytes_total 300",
        "gigapi_cache_disk_errors_total 0",
        "gigapi_cache_rejected_total 0",
        "gigapi_cache_bytes_max 67108864",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
    assert!(!text.contains("gigapi_s3_"), "{text}");
}

#[tokio::test]
async fn layers_in_s3_show_their_requests_and_folders_none() {
    let folder = tempfile::tempdir().unwrap();
    let hot = Layer::open(&LayerSettings::folder(name("hot"), folder.path()), &SystemIds).unwrap();
    let layers = Layers::new(vec![hot]).unwrap();
    let without = metrics();
    register_layers(&without, &layers);
    assert!(!without.encode().contains("gigapi_s3_"));

    // Nobody listens there: a request without an answer is counted too.
    let settings = crate::settings::load(&crate::settings::Sources {
        environment: [
            ("GIGAPI_LAYERS_0_NAME", "cold"),
            ("GIGAPI_LAYERS_0_TYPE", "s3"),
            ("GIGAPI_LAYERS_0_URL", "s3://127.0.0.1:1/b?secure=false&url-style=path"),
            ("GIGAPI_LAYERS_0_AUTH_KEY", "k"),
            ("GIGAPI_LAYERS_0_AUTH_SECRET", "s"),
            ("GIGAPI_S3_RETRIES_MAX", "0"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .to_vec(),
        ..crate::settings::Sources::default()
    });
    let layers = Layers::open(&settings.unwrap().settings.layers, &SystemIds).unwrap();
    let metrics = metrics();
    register_layers(&metrics, &layers);
    layers.first().store.put(&Path::from("x"), vec![7; 10].into()).await.unwrap_err();
    let text = metrics.encode();
    for line in [
        "gigapi_s3_requests_total{layer=\"cold\",method=\"PUT\",status=\"none\"} 1",
        "gigapi_s3_sent_bytes_total{layer=\"cold\"} 0",
        "gigapi_s3_received_bytes_total{layer=\"cold\"} 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
}
