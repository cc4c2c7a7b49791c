use super::*;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Outer(String, #[source] std::io::Error);

fn generic(text: &str) -> Error {
    Error::Generic { store: "S3", source: text.to_owned().into() }
}

#[test]
fn an_answers_code_and_message_are_told_and_nothing_else_of_it() {
    let answer = "Error performing GET http://h/b/x in 3ms - Server returned non-2xx status code: 403 Forbidden: \
        <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message>\
        <AWSAccessKeyId>canary</AWSAccessKeyId><StringToSign>canary</StringToSign></Error>";
    let denied = Error::PermissionDenied { path: "b/x".to_owned(), source: answer.to_owned().into() };
    let error = explained(denied);
    assert!(matches!(error, Error::PermissionDenied { .. }));
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("403 Forbidden: SignatureDoesNotMatch: It does not match.; check the layer's AUTH_KEY"),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn a_bucket_that_is_not_there_is_not_an_object_that_is_not_there() {
    let missing = |code: &str| {
        let source = format!("404 Not Found: <Error><Code>{code}</Code></Error>").into();
        explained(Error::NotFound { path: "x".to_owned(), source })
    };
    assert!(matches!(missing("NoSuchKey"), Error::NotFound { .. }));
    let error = missing("NoSuchBucket");
    assert!(matches!(error, Error::Generic { .. }), "{error}");
    assert!(error.to_string().contains("make the bucket"), "{error}");
}

#[test]
fn causes_are_told_once() {
    let io = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
    let told = |text: &str| {
        let source = Box::new(Outer(text.to_owned(), io()));
        explained(Error::Generic { store: "S3", source }).to_string()
    };
    assert!(told("sending failed").ends_with("sending failed: connection refused"));
    assert!(told("sending failed: connection refused").ends_with(": sending failed: connection refused"));
    assert!(explained(generic("odd <Error> without end")).to_string().contains("the answer names no reason"));
}
