use super::*;

fn generic(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "test", source: Box::new(error) }
}

#[test]
fn a_full_disk_is_named_with_its_place_and_keeps_the_cause() {
    let error = Error::from_store("put", "layer hot", "db/t/x", generic(io::ErrorKind::StorageFull.into()));
    assert!(error.to_string().starts_with("no space left on layer hot"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    let mut found = false;
    while let Some(current) = cause {
        found |= current.downcast_ref::<io::Error>().is_some();
        cause = current.source();
    }
    assert!(found);
}

#[test]
fn a_wrapped_full_disk_is_found_too() {
    let inner = io::Error::other(io::Error::from(io::ErrorKind::QuotaExceeded));
    assert!(matches!(Error::from_store("put", "x", "y", generic(inner)), Error::Full { .. }));
}

#[test]
fn kinds_follow_the_store() {
    let missing = object_store::Error::NotFound { path: "a".into(), source: "gone".into() };
    assert_eq!(Error::from_store("get", "x", "a", missing).kind(), ErrorKind::NotFound);
    let taken = object_store::Error::AlreadyExists { path: "a".into(), source: "there".into() };
    assert_eq!(Error::from_store("put", "x", "a", taken).kind(), ErrorKind::Conflict);
    let broken = generic(io::ErrorKind::ConnectionReset.into());
    assert_eq!(Error::from_store("get", "x", "a", broken).kind(), ErrorKind::Unavailable);
}
