//! Input that must do no harm.

use async_compression::tokio::write::GzipEncoder;
use integration_tests::ServerOptions;
use tokio::io::AsyncWriteExt;

use crate::writing::server;

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_paths_are_400_and_make_nothing() {
    let (folder, server) = server().await;
    let client = server.client();
    let long = "x".repeat(300);
    for name in ["..%2F..%2Fx", "a%2Fb", "a%00b", "", "..", long.as_str()] {
        let answer = client.post(&format!("/write?db={name}"), &[], "m v=1").await.unwrap();
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
        assert!(answer.json().unwrap()["error"].as_str().unwrap().contains("database name"), "{}", answer.body);
    }
    for line in [format!("{long} v=1"), "a\0b v=1".to_owned()] {
        assert_eq!(client.write("db", line).await.unwrap().status, 400);
    }
    let made: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made.len(), 2, "only data and its log: {made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_and_texts_with_newlines_are_stored() {
    let (_folder, server) = server().await;
    let client = server.client();
    let fields: Vec<String> = (0..900).map(|field| format!("field_{field:03}=\"{}\"", "y".repeat(980))).collect();
    let line = format!("wide {} 1", fields[..90].join(","));
    client.must_write("db", line).await.unwrap();
    let long = format!("long v=\"{}\" 1", "z".repeat(900 << 10));
    client.must_write("db", long).await.unwrap();
    let text = "one\ntwo\n".repeat(9_000);
    client.must_write("db", format!("multi v=\"{text}\" 1")).await.unwrap();
    assert_eq!(client.number("db", "SELECT length(v) FROM long").await.unwrap(), f64::from(900 << 10));
    assert_eq!(client.number("db", "SELECT length(v) FROM multi").await.unwrap(), text.len() as f64);
    let over = format!("over v=\"{}\" 1", "z".repeat(1100 << 10));
    assert_eq!(client.write("db", over).await.unwrap().status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_unfolds_without_end_is_413_in_flat_memory() {
    let (_folder, server) = server().await;
    // 10 GiB of zeros: a member of 256 MiB, forty times.
    let mut encoder = GzipEncoder::new(Vec::new());
    let zeros = vec![0_u8; 1 << 20];
    for _ in 0..256 {
        encoder.write_all(&zeros).await.unwrap();
    }
    encoder.shutdown().await.unwrap();
    let bomb = encoder.into_inner().repeat(40);
    let before = server.resident_bytes().unwrap();
    let answer = server.client().post("/write?db=db", &[("Content-Encoding", "gzip")], bomb).await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert!(answer.body.contains("GIGAPI_DECOMPRESSED_BYTES_MAX"), "{}", answer.body);
    let grown = server.resident_bytes().unwrap().saturating_sub(before);
    assert!(grown < 256 << 20, "memory grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn encodings_are_undone_and_unknown_ones_refused() {
    use async_compression::tokio::write::{DeflateEncoder, ZlibEncoder, ZstdEncoder};
    let (_folder, server) = server().await;
    let client = server.client();
    let text = b"m v=1i 1\nm v=2i 2\n";
    let mut gzip = GzipEncoder::new(Vec::new());
    gzip.write_all(text).await.unwrap();
    gzip.shutdown().await.unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new());
    zlib.write_all(text).await.unwrap();
    zlib.shutdown().await.unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new());
    deflate.write_all(text).await.unwrap();
    deflate.shutdown().await.unwrap();
    let mut zstd = ZstdEncoder::new(Vec::new());
    zstd.write_all(text).await.unwrap();
    zstd.shutdown().await.unwrap();
    let bodies = [
        ("gzip", gzip.into_inner()),
        ("deflate", zlib.into_inner()),
        ("deflate", deflate.into_inner()),
        ("zstd", zstd.into_inner()),
        ("identity", text.to_vec()),
    ];
    for (index, (encoding, body)) in bodies.into_iter().enumerate() {
        let path = format!("/write?db=db{index}");
        let answer = client.post(&path, &[("Content-Encoding", encoding)], body).await.unwrap();
        assert_eq!(answer.status, 204, "{encoding}: {}", answer.body);
        assert_eq!(client.number(&format!("db{index}"), "SELECT count(*) FROM m").await.unwrap(), 2.0);
    }
    let unknown = client.post("/write?db=db", &[("Content-Encoding", "br")], "x").await.unwrap();
    assert_eq!(unknown.status, 415);
    let broken = client.post("/write?db=db", &[("Content-Encoding", "gzip")], "not gzip").await.unwrap();
    assert_eq!(broken.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_mixed_hours_and_days_has_exact_counts_per_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let server = ServerOptions::new(&root).start().await.unwrap();
    let client = server.client();
    const HOUR: i64 = 3_600_000_000_000;
    let start = 1_767_225_600_000_000_000_i64;
    // Hours of two days, interleaved: 8 hours, 25 rows each.
    let hours = [0_i64, 30, 1, 31, 2, 32, 3, 33];
    let lines: String =
        (0..200).map(|row| format!("m v={row}i {}\n", start + hours[row % 8] * HOUR + row as i64)).collect();
    let answer = client.post("/write?db=db&durability=commit", &[], lines).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    let mut buckets = 0;
    for date in std::fs::read_dir(root.join("db/m")).unwrap() {
        for hour in std::fs::read_dir(date.unwrap().path()).unwrap() {
            let hour = hour.unwrap().path();
            let mut rows = 0;
            for file in std::fs::read_dir(&hour).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "parquet") {
                    let file = std::fs::File::open(&path).unwrap();
                    let reader = parquet::file::serialized_reader::SerializedFileReader::new(file).unwrap();
                    rows += parquet::file::reader::FileReader::metadata(&reader).file_metadata().num_rows();
                }
            }
            assert_eq!(rows, 25, "{}", hour.display());
            buckets += 1;
        }
    }
    assert_eq!(buckets, 8);
}
