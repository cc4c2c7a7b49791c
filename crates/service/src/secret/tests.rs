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

#[test]
fn urls_lose_users_passwords_and_query_values() {
    assert_eq!(scrub_url("redis://u:canary@host:6379/0"), "redis://[redacted]@host:6379/0");
    assert_eq!(
        scrub_url("s3://k:canary@h/b?secure=false&X-Amz-Signature=canary"),
        "s3://[redacted]@h/b?secure=false&X-Amz-Signature=[redacted]"
    );
    assert_eq!(scrub_url("canary@host"), "[redacted]@host");
    assert_eq!(scrub_url("redis://u:p@ss@canary@host"), "redis://[redacted]@host");
    assert_eq!(scrub_url("/data/hot"), "/data/hot");
}
