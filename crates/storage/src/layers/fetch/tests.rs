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

#[tokio::test]
async fn an_object_is_read_whole_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let staging = Staging::open(&folder.path().join("staging"), &SystemIds).unwrap();
    let path = Path::from("db/t/file");
    for layer in layers(&folder.path().join("layer")) {
        for size in [0_usize, 1, 100_000, 5 << 20] {
            let bytes: Bytes = (0..size).map(|at| (at % 251) as u8).collect();
            layer.upload(&path, bytes.clone()).await.unwrap();
            let source = layer.fetch(&path, of(&bytes), &staging).await.unwrap();
            assert_eq!(source.len(), size as u64);
            assert_eq!(source.get_bytes(0, size).unwrap(), bytes);
            let is_file = matches!(source, Source::File(..));
            assert_eq!(is_file, layer.local.is_some() || size > 4 << 20);

            let wrong = ExpectedObject { checksum: 7, ..of(&bytes) };
            let error = layer.fetch(&path, wrong, &staging).await.expect_err("another checksum");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("db/t/file on layer"), "{error}");
            let longer = ExpectedObject { bytes: size as u64 + 1, ..of(&bytes) };
            assert_eq!(layer.fetch(&path, longer, &staging).await.unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let gone = layer.fetch(&Path::from("db/t/none"), of(b""), &staging).await.expect_err("there is none");
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
    }
}
