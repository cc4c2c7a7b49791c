use super::*;

#[test]
fn an_error_of_ours_survives_the_way_through_the_engine() {
    let inside = DataFusionError::from(Error::Timeout { limit_s: 7 });
    let wrapped = DataFusionError::Context("planning".to_owned(), Box::new(inside));
    assert!(matches!(Error::from(wrapped), Error::Timeout { limit_s: 7 }));
}

#[test]
fn a_missing_object_is_recognised_behind_every_wrapper() {
    let missing = || object_store::Error::NotFound { path: "a/b".to_owned(), source: "gone".into() };
    let direct = DataFusionError::ObjectStore(Box::new(missing()));
    let parquet = DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(missing()))));
    for error in [direct, parquet] {
        assert!(matches!(Error::from(error), Error::Vanished { path } if path == "a/b"));
    }
}

#[test]
fn messages_lose_the_words_of_the_engine() {
    let error = DataFusionError::Plan("column 'x' not found".to_owned());
    assert_eq!(Error::from(error).to_string(), "column 'x' not found");
    assert_eq!(
        cleaned("SQL error: ParserError(\"Expected: end of statement, found: x at Line: 1, Column: 9\")"),
        "SQL syntax: Expected: end of statement, found: x at Line: 1, Column: 9"
    );
}

#[test]
fn a_damaged_file_is_corrupt_and_keeps_its_path_inside() {
    let error = DataFusionError::ParquetError(Box::new(ParquetError::General("bad /data/x".to_owned())));
    let error = Error::from(error);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!error.to_string().contains("/data/x"));
    assert!(error.detail().is_some_and(|detail| detail.contains("/data/x")));
}
