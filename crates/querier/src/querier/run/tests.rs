use super::*;

#[tokio::test]
async fn a_panic_of_the_engine_is_an_error_and_keeps_its_words_inside() {
    let result: Result<()> = unpanicked(async { panic!("index 7 out of bounds") }).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Internal { .. }));
    assert!(!error.to_string().contains("index 7"));
    assert!(error.detail().is_some_and(|detail| detail.contains("index 7")));
}
