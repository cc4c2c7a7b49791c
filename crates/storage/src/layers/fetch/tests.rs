use bytes::Bytes;
use gigapi_model::{ErrorKind, LayerName, SystemIds};
use object_store::memory::InMemory;
use parquet::file::reader::{ChunkReader, Length};

use super::*;
use crate::{LayerSettings, checksum};

fn of(bytes: &[u8]) -> ExpectedObject {
    ExpectedObject { bytes: bytes.len() as u64, checksum: checksum(bytes) }
}

/// A layer in a folder and one that is elsewhere.
fn layers(folder: &std::path::Path) -> [Layer; 2] {
    let name = |text: &str| LayerName::new(text).unwrap();
    let local = Layer::open(&LayerSettings::folder(name("near"), folder), &SystemIds).unwrap();
    [local, Layer::over(name("far"), Arc::new(InMemory::new()))]
}

async fn fetch(layer: &Layer, path: &Path, expected: ExpectedObject, staging: &Staging) -> Result<Source> {
    let fetched = layer.fetch(&[(path.clone(), expected)], staging).await;
    fetched.map(|mut sources| sources.remove(0)).map_err(|NotFetched { at, error }| {
        assert_eq!(at, 0);
        error
    })
}

#[tokio::test]
async fn an_object_is_read_whole_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let staging = Staging::open(&folder.path().join("staging"), &SystemIds).unwrap();
    let path = Path::from("db/t/file");
    for layer in layers(&folder.path().join("layer")) {
        for size in [0_usize, 1, 100_000, 5 << 20] {
            let bytes: Bytes = (0..size).map(|at| (at % 251) as u8).collect();
            layer.upload(&path, bytes.clone()).await.unwrap();
            let source = fetch(&layer, &path, of(&bytes), &staging).await.unwrap();
            assert_eq!(source.len(), size as u64);
            assert_eq!(source.get_bytes(0, size).unwrap(), bytes);
            let is_file = matches!(source, Source::File(..));
            assert_eq!(is_file, layer.local.is_some() || size > 4 << 20);

            let wrong = ExpectedObject { checksum: 7, ..of(&bytes) };
            let error = fetch(&layer, &path, wrong, &staging).await.expect_err("another checksum");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("db/t/file on layer"), "{error}");
            let longer = ExpectedObject { bytes: size as u64 + 1, ..of(&bytes) };
            assert_eq!(fetch(&layer, &path, longer, &staging).await.unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let gone = fetch(&layer, &Path::from("db/t/none"), of(b""), &staging).await.expect_err("there is none");
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
    }
}

#[tokio::test]
async fn many_come_in_their_order_and_the_one_that_does_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let staging = Staging::open(&folder.path().join("staging"), &SystemIds).unwrap();
    for layer in layers(&folder.path().join("layer")) {
        let mut objects = Vec::new();
        for size in [300_000_usize, 0, 10, 600_000, 1, 70] {
            let (path, bytes) = (Path::from(format!("db/t/{size}")), Bytes::from(vec![size as u8; size]));
            layer.upload(&path, bytes.clone()).await.unwrap();
            objects.push((path, of(&bytes)));
        }
        let sources = layer.fetch(&objects, &staging).await.unwrap();
        let sizes: Vec<u64> = sources.iter().map(Source::len).collect();
        assert_eq!(sizes, [300_000, 0, 10, 600_000, 1, 70]);
        assert!(layer.fetch(&[], &staging).await.unwrap().is_empty());

        objects[3].1.checksum ^= 1;
        objects[5].0 = Path::from("db/t/none");
        let NotFetched { at, error } = layer.fetch(&objects, &staging).await.unwrap_err();
        assert_eq!((at, error.kind()), (3, ErrorKind::Corrupt), "{error}");
        assert!(error.to_string().contains("db/t/600000 on layer"), "{error}");
        objects.remove(3);
        let NotFetched { at, error } = layer.fetch(&objects, &staging).await.unwrap_err();
        assert_eq!((at, error.kind()), (4, ErrorKind::NotFound), "{error}");
    }
}
