//! What a server's answer means to a process that knows something.

use super::*;

fn epochs(catalog: u128, epoch: u64) -> Epochs {
    Epochs { catalog: CatalogId::from_uuid(Uuid::from_u128(catalog)), epoch, since: Timestamp::from_nanos(0) }
}

fn meta(epochs: Option<Epochs>, rev: u64) -> Meta {
    Meta { epochs, rev, rebuilding: None, suspect: None }
}

fn lost(verdict: std::result::Result<Epochs, Verdict>) -> String {
    match verdict {
        Err(Verdict::Lost(reason)) => reason,
        Ok(found) => panic!("{found:?} passes"),
        Err(_) => panic!("it is no loss"),
    }
}

#[test]
fn a_process_that_knows_nothing_takes_what_it_finds() {
    assert!(matches!(Seen::default().judge(&meta(None, 0)), Err(Verdict::Unfounded)));
    let mut seen = Seen::default();
    assert_eq!(seen.judge(&meta(Some(epochs(1, 3)), 7)).ok(), Some(epochs(1, 3)));
    assert_eq!(seen.judge(&meta(Some(epochs(1, 3)), 8)).ok(), Some(epochs(1, 3)));
}

#[test]
fn less_than_what_was_seen_is_a_loss() {
    let seen = || {
        let mut seen = Seen::default();
        assert!(seen.judge(&meta(Some(epochs(1, 3)), 7)).is_ok());
        seen
    };
    assert!(lost(seen().judge(&meta(None, 0))).contains("emptied"));
    assert!(
        matches!(seen().judge(&meta(Some(epochs(2, 3)), 9)), Err(Verdict::Foreign(found)) if found == epochs(2, 3).catalog)
    );
    assert!(lost(seen().judge(&meta(Some(epochs(1, 2)), 9))).contains("epoch 2"));
    assert!(lost(seen().judge(&meta(Some(epochs(1, 3)), 6))).contains("rolled back"));
    let suspect = Meta { suspect: Some("a table is older".to_owned()), ..meta(Some(epochs(1, 3)), 7) };
    assert_eq!(lost(seen().judge(&suspect)), "a table is older");
}

#[test]
fn a_loss_lasts_until_a_later_epoch_begins() {
    let mut seen = Seen::default();
    assert!(seen.judge(&meta(Some(epochs(1, 3)), 7)).is_ok());
    seen.lost = Some((3, "a table is older".to_owned()));
    assert_eq!(lost(seen.judge(&meta(Some(epochs(1, 3)), 8))), "a table is older");
    let rebuilding = Meta { rebuilding: Some((4, Timestamp::from_nanos(5))), ..meta(None, 0) };
    assert!(matches!(seen.judge(&rebuilding), Err(Verdict::Rebuilding(4, _))));
    // The registry counts anew after a rebuild, and names are read anew.
    seen.names = Some(Arc::default());
    assert_eq!(seen.judge(&meta(Some(epochs(1, 4)), 1)).ok(), Some(epochs(1, 4)));
    assert!(seen.lost.is_none() && seen.names.is_none());
}
