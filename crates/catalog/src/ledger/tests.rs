use uuid::Uuid;

use super::*;

fn writer(number: u128) -> WriterId {
    WriterId::from_uuid(Uuid::from_u128(number))
}

fn file(number: u128) -> FileId {
    FileId::from_uuid(Uuid::from_u128(number))
}

fn commit(number: u128) -> CommitId {
    CommitId::from_uuid(Uuid::from_u128(number))
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

const LEASE: Duration = Duration::from_nanos(100);

/// A ledger that holds one of everything.
fn filled() -> Ledger {
    let limits = Limits::default();
    let mut ledger = Ledger::new(1 << 32);
    ledger.record(Actor::Writer { writer: writer(1), epoch: 7, lo: 1, hi: 9 }, commit(2), 3, at(5), &limits);
    let request = |input| ClaimRequest {
        table: gigapi_model::TableId::from_uuid(Uuid::nil()),
        inputs: vec![file(input)],
        lease: LEASE,
    };
    let claim = |number| ClaimId::from_uuid(Uuid::from_u128(number));
    let merged = ledger.claim(&request(4), claim(4), at(10), |_| true).unwrap();
    ledger.record(Actor::Claim { claim: merged.id, token: merged.token }, commit(5), 4, at(11), &limits);
    ledger.claim(&request(6), claim(6), at(12), |_| true).unwrap();
    ledger
}

#[test]
fn a_ledger_of_version_1_is_this_text() {
    let text = concat!(
        r#"{"v":1,"claim_token":4294967298,"#,
        r#""writers":{"00000000-0000-0000-0000-000000000001":{"epoch":7,"watermark":9,"#,
        r#""outcomes":[["00000000-0000-0000-0000-000000000002",3]]}},"#,
        r#""claims":{"00000000-0000-0000-0000-000000000006":{"token":4294967298,"expires":112,"#,
        r#""inputs":["00000000-0000-0000-0000-000000000006"]}},"#,
        r#""claim_outcomes":{"00000000-0000-0000-0000-000000000004":["00000000-0000-0000-0000-000000000005",4,11]}}"#,
    );
    assert_eq!(std::str::from_utf8(&filled().encode().unwrap()).unwrap(), text);
    assert_eq!(Ledger::decode(text.as_bytes()).unwrap(), filled());
}

#[test]
fn a_newer_or_damaged_ledger_is_refused() {
    let text = String::from_utf8(filled().encode().unwrap()).unwrap();
    let newer = Ledger::decode(text.replace(r#""v":1"#, r#""v":2"#).as_bytes()).unwrap_err();
    assert!(newer.to_string().contains("version 2"), "{newer}");
    for end in 0..text.len() {
        assert!(matches!(Ledger::decode(&text.as_bytes()[..end]), Err(Error::Corrupt { .. })), "{end}");
    }
}

#[test]
fn a_claim_is_held_until_it_lapses() {
    let ledger = filled();
    assert!(ledger.is_claimed(file(6), at(111)));
    assert!(!ledger.is_claimed(file(6), at(112)));
    assert!(!ledger.is_claimed(file(4), at(13)), "its commit ended the claim");
}
