use gigapi_model::{LayerName, SystemIds};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use parquet::file::reader::{ChunkReader, Length};

use super::*;
use crate::LayerSettings;

/// Everything below a folder that is no lock.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn an_output_is_read_back_before_it_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let staging = Arc::new(Staging::open(&folder.path().join("staging"), &SystemIds).unwrap());
    let name = |text: &str| LayerName::new(text).unwrap();
    let local = Layer::open(&LayerSettings::folder(name("near"), &folder.path().join("layer")), &SystemIds).unwrap();
    let path = Path::from("db/t/date=2025/file");
    for layer in [local, Layer::over(name("far"), Arc::new(InMemory::new()))] {
        let layer = Arc::new(layer);
        for (pieces, size) in [(1, 10), (3, 3 << 20), (7, 1 << 20)] {
            let mut staged = Staged::new(Arc::clone(&layer), Arc::clone(&staging));
            let expected: Vec<u8> = (0..pieces * size).map(|at| (at % 253) as u8).collect();
            for piece in expected.chunks(size) {
                staged.write(piece).unwrap();
            }
            assert!(layer.store.head(&path).await.is_err(), "it has no name yet");
            let source = staged.source().unwrap();
            assert_eq!(source.len(), expected.len() as u64);
            assert_eq!(source.get_bytes(5, expected.len() - 5).unwrap(), expected[5..]);
            staged.publish(&path).await.unwrap();
            let stored = layer.store.get(&path).await.unwrap().bytes().await.unwrap();
            assert_eq!(stored, expected);
            layer.store.delete(&path).await.unwrap();
        }
        let mut given_up = Staged::new(Arc::clone(&layer), Arc::clone(&staging));
        given_up.write(&vec![1; 6 << 20]).unwrap();
        drop(given_up);
    }
    assert_eq!(files(folder.path()), Vec::<std::path::PathBuf>::new(), "nothing is left");
}
