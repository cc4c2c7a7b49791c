use proptest::prelude::*;

use super::*;
use crate::Secret;
use crate::settings::UserCredentials;

fn authenticator(user: Option<(&str, &str)>, token: Option<&str>) -> Authenticator {
    let user =
        user.map(|(name, password)| UserCredentials { name: Secret::new(name), password: Secret::new(password) });
    Authenticator::new(&AuthSettings { user, token: token.map(Secret::new) })
}

fn verdict(guard: &Authenticator, header: Option<&str>, query: Option<&str>) -> Verdict {
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert(AUTHORIZATION, header.parse().unwrap());
    }
    guard.check(&headers, query)
}

#[test]
fn without_configured_credentials_everybody_is_allowed() {
    let open = authenticator(None, None);
    assert!(!open.is_required());
    assert_eq!(verdict(&open, None, None), Verdict::Allowed);
    assert_eq!(verdict(&open, Some("Token whatever"), None), Verdict::Allowed);
}

#[test]
fn every_way_to_give_the_right_credentials_is_understood() {
    let guard = authenticator(Some(("ann", "pa:ss")), Some("t0ken"));
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let headers = [
        basic("ann:pa:ss"),
        basic("ann:pa:ss").replace("Basic", "bAsIc"),
        basic("ann:pa:ss").trim_end_matches('=').to_owned(),
        basic("anybody:t0ken"),
        basic(":t0ken"),
        "Token t0ken".to_owned(),
        "token t0ken".to_owned(),
        "BEARER  t0ken".to_owned(),
        "Bearer t0ken".to_owned(),
        "Token ann:pa:ss".to_owned(),
        basic_header("ann", "pa:ss"),
    ];
    for header in headers {
        assert_eq!(verdict(&guard, Some(&header), None), Verdict::Allowed, "{header}");
    }
    for query in ["u=ann&p=pa:ss", "u=ann&p=pa%3Ass&db=x", "p=t0ken", "u=x&p=t0ken"] {
        assert_eq!(verdict(&guard, None, Some(query)), Verdict::Allowed, "{query}");
    }
}

#[test]
fn wrong_and_missing_credentials_are_told_apart_and_refused() {
    let guard = authenticator(Some(("ann", "pass")), Some("t0ken"));
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let headers = [
        basic("ann:t0ke"),
        basic("ann:"),
        basic("ann"),
        basic("bob:pass"),
        basic("ann:pass "),
        "Basic !!!".to_owned(),
        "Basic".to_owned(),
        "Token".to_owned(),
        "Token ".to_owned(),
        "Token t0ken2".to_owned(),
        "Digest t0ken".to_owned(),
        "t0ken".to_owned(),
        format!("Token {}", "t0ken".repeat(10_000)),
    ];
    for header in headers {
        assert_eq!(verdict(&guard, Some(&header), None), Verdict::Wrong, "{header:.80}");
    }
    for query in ["u=ann&p=", "u=ann&p=x", "p=pass", "u=ann%3A&p=pass"] {
        assert_eq!(verdict(&guard, None, Some(query)), Verdict::Wrong, "{query}");
    }
    assert_eq!(verdict(&guard, None, None), Verdict::Missing);
    assert_eq!(verdict(&guard, None, Some("u=ann&db=x")), Verdict::Missing);
}

#[test]
fn a_token_is_no_password_and_a_password_is_no_token() {
    let user_only = authenticator(Some(("ann", "pass")), None);
    assert_eq!(verdict(&user_only, Some("Token pass"), None), Verdict::Wrong);
    assert_eq!(verdict(&user_only, Some("Token ann:pass"), None), Verdict::Allowed);
    let token_only = authenticator(None, Some("t0ken"));
    assert_eq!(verdict(&token_only, Some(&basic_header("ann", "pass")), None), Verdict::Wrong);
    // The border between name and password cannot be moved.
    let colon = authenticator(Some(("a", "b:c")), None);
    assert_eq!(verdict(&colon, None, Some("u=a:b&p=c")), Verdict::Wrong);
}

#[test]
fn what_a_handshake_hands_out_is_let_in_wherever_the_credentials_are() {
    let guard = authenticator(Some(("ann", "pass wörd:x")), Some("t0ken"));
    for presented in ["ann:pass wörd:x", "whoever:t0ken"] {
        let bearer = bearer_for(basic_header_of(presented).as_bytes()).unwrap();
        assert!(bearer.starts_with("Bearer ") && bearer.is_ascii(), "{bearer}");
        assert_eq!(verdict(&guard, Some(&bearer), None), Verdict::Allowed, "{presented}");
        assert_eq!(bearer_for(bearer.as_bytes()), Some(bearer), "a second handshake changes nothing");
    }
    assert_eq!(bearer_for(b"Token t0ken").as_deref(), Some("Bearer t0ken"));
    let wrong = bearer_for(basic_header_of("ann:pass").as_bytes()).unwrap();
    assert_eq!(verdict(&guard, Some(&wrong), None), Verdict::Wrong);
    for nothing in [&b"Basic"[..], b"", b"Digest x", b"\xff\xff x"] {
        assert_eq!(bearer_for(nothing), None);
    }
}

fn basic_header_of(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn credentials_are_not_shown() {
    let guard = authenticator(Some(("canary", "canary")), Some("canary"));
    assert!(!format!("{guard:?}").contains("canary"));
}

proptest! {
    #[test]
    fn foreign_bytes_are_never_let_in(header in prop::collection::vec(any::<u8>(), 0..80), query in "\\PC{0,40}") {
        let guard = authenticator(Some(("ann", "a long password")), Some("a long token"));
        prop_assert!(!guard.check_header(&header));
        for scheme in ["Basic ", "Token ", "Bearer "] {
            prop_assert!(!guard.check_header(&[scheme.as_bytes(), &header].concat()));
        }
        prop_assert_ne!(guard.check(&HeaderMap::new(), Some(&query)), Verdict::Allowed);
    }
}

#[test]
fn what_processes_call_each_other_with_is_accepted() {
    let user = UserCredentials { name: Secret::new("me".to_owned()), password: Secret::new("pass: word".to_owned()) };
    for token in ["t", "with space", "with:colon", " edges ", "übung"] {
        let settings = AuthSettings { user: Some(user.clone()), token: Some(Secret::new(token.to_owned())) };
        let header = own_header(&settings).unwrap();
        let header = header.expose();
        assert!(Authenticator::new(&settings).check_header(header.as_bytes()), "{token:?}: {header}");
        assert!(http::HeaderValue::try_from(header).is_ok_and(|value| value.to_str().is_ok()), "{header}");
    }
    let settings = AuthSettings { user: Some(user), token: None };
    assert!(Authenticator::new(&settings).check_header(own_header(&settings).unwrap().expose().as_bytes()));
    assert_eq!(own_header(&AuthSettings { user: None, token: None }), None);
}
