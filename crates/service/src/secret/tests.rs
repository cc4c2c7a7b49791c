use super::*;

#[test]
fn a_secret_is_never_printed() {
    let secret = Secret::new("canary-7f3a");
    let printed = format!("{secret} {secret:?} {:?} {:?}", secret.fingerprint(), Some(&secret));
    assert!(!printed.contains("canary"), "{printed}");
    assert_eq!(secret.expose(), "canary-7f3a");
}

#[test]
fn equality_looks_at_the_text() {
    assert_eq!(Secret::new("a"), Secret::new("a"));
    assert_ne!(Secret::new("a"), Secret::new("ab"));
    assert_ne!(Secret::new(""), Secret::new("a"));
}
