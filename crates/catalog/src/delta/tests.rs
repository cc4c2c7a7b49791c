use gigapi_model::NewFile;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::record::tests::file;

#[test]
fn a_delta_reads_back() {
    let writer = WriterId::from_uuid(Uuid::from_u128(9));
    let added: Vec<_> = (1..=3).map(|id| NewFile { file: file(id), statistics: vec![1, 2] }).collect();
    let removed = vec![Arc::new(file(7)), Arc::new(file(8))];
    for watermark in [None, Some((writer, u64::MAX))] {
        let delta = decode(&encode(watermark, &added, &removed)).unwrap();
        assert_eq!(delta.watermark, watermark);
        assert_eq!(delta.added, added.iter().map(|new| Arc::new(new.file.clone())).collect::<Vec<_>>());
        assert_eq!(delta.removed, removed.iter().map(|file| file.id).collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = decode(&bytes);
    }
}
