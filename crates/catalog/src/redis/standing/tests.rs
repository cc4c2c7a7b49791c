//! What a server's answer means to a process that knows something.

use super::*;

fn epochs(catalog: u128, epoch: u64) -> Epochs {
    Epochs { catalog: CatalogId::from_uuid(Uuid::from_u128(catalog)), epoch, since: Timestamp::from_nanos(0) }
}

fn meta(epochs: Option<Epochs>, rev: u64) -> Meta {
    Meta { epochs, rev, rebuilding: None, suspect: None }
}

impl Seen {
    /// An answer to what was asked just now.
    fn answer(&mut self, meta: &Meta) -> std::result::Result<Epochs, Verdict> {
        self.judge(self.mark(), meta)
    }
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
    assert!(matches!(Seen::default().answer(&meta(None, 0)), Err(Verdict::Unfounded)));
    let mut seen = Seen::default();
    assert_eq!(seen.answer(&meta(Some(epochs(1, 3)), 7)).ok(), Some(epochs(1, 3)));
    assert_eq!(seen.answer(&meta(Some(epochs(1, 3)), 8)).ok(), Some(epochs(1, 3)));
}

#[test]
fn less_than_what_was_seen_is_a_loss() {
    let seen = || {
        let mut seen = Seen::default();
        assert!(seen.answer(&meta(Some(epochs(1, 3)), 7)).is_ok());
        seen
    };
    assert!(lost(seen().answer(&meta(None, 0))).contains("emptied"));
    assert!(
        matches!(seen().answer(&meta(Some(epochs(2, 3)), 9)), Err(Verdict::Foreign(found)) if found == epochs(2, 3).catalog)
    );
    assert!(lost(seen().answer(&meta(Some(epochs(1, 2)), 9))).contains("epoch 2"));
    assert!(lost(seen().answer(&meta(Some(epochs(1, 3)), 6))).contains("rolled back"));
    let suspect = Meta { suspect: Some("a table is older".to_owned()), ..meta(Some(epochs(1, 3)), 7) };
    assert_eq!(lost(seen().answer(&suspect)), "a table is older");
}

#[test]
fn a_loss_lasts_until_a_later_epoch_begins() {
    let mut seen = Seen::default();
    assert!(seen.answer(&meta(Some(epochs(1, 3)), 7)).is_ok());
    assert_eq!(seen.lose("a table is older"), Some((3, true)));
    assert_eq!(lost(seen.answer(&meta(Some(epochs(1, 3)), 8))), "a table is older");
    let rebuilding = Meta { rebuilding: Some((4, Timestamp::from_nanos(5))), ..meta(None, 0) };
    assert!(matches!(seen.answer(&rebuilding), Err(Verdict::Rebuilding(4, _))));
    // The registry counts anew after a rebuild, and names are read anew.
    seen.names = Some(Arc::default());
    assert_eq!(seen.answer(&meta(Some(epochs(1, 4)), 1)).ok(), Some(epochs(1, 4)));
    assert!(seen.lost.is_none() && seen.names.is_none());
}

#[test]
fn an_answer_that_comes_late_is_no_loss() {
    // Asked before the catalog was founded, and judged afterwards.
    let mut seen = Seen::default();
    let mark = seen.mark();
    assert!(seen.answer(&meta(Some(epochs(1, 3)), 7)).is_ok());
    assert_eq!(seen.judge(mark, &meta(None, 0)).ok(), Some(epochs(1, 3)));
    // Asked together, and judged in another order: by revision, and across a rebuild.
    let mark = seen.mark();
    assert!(seen.answer(&meta(Some(epochs(1, 3)), 9)).is_ok());
    assert_eq!(seen.judge(mark, &meta(Some(epochs(1, 3)), 8)).ok(), Some(epochs(1, 3)));
    assert!(seen.answer(&meta(Some(epochs(1, 4)), 2)).is_ok());
    let suspect = Meta { suspect: Some("a table is older".to_owned()), ..meta(Some(epochs(1, 3)), 9) };
    assert_eq!(seen.judge(mark, &suspect).ok(), Some(epochs(1, 4)));
    // Nothing of that was taken in, and less than what was known when it was asked is a loss as before.
    assert_eq!((seen.known, seen.rev), (Some(epochs(1, 4)), 2));
    assert!(lost(seen.judge(mark, &meta(Some(epochs(1, 3)), 6))).contains("rolled back"));
    assert!(lost(seen.judge(mark, &meta(None, 0))).contains("emptied"));
    // A suspicion of the epoch that serves holds, late or not.
    let mark = seen.mark();
    assert!(seen.answer(&meta(Some(epochs(1, 4)), 3)).is_ok());
    let suspect = Meta { suspect: Some("a table is older".to_owned()), ..meta(Some(epochs(1, 4)), 2) };
    assert_eq!(lost(seen.judge(mark, &suspect)), "a table is older");
}

#[test]
fn what_serves_under_an_earlier_epoch_than_a_rebuild_has_taken_is_a_loss() {
    let mut seen = Seen::default();
    assert!(seen.answer(&meta(Some(epochs(1, 3)), 7)).is_ok());
    let asked_before = seen.mark();
    let rebuilding = Meta { rebuilding: Some((4, Timestamp::from_nanos(5))), ..meta(Some(epochs(1, 3)), 7) };
    assert!(matches!(seen.answer(&rebuilding), Err(Verdict::Rebuilding(4, _))));
    assert!(seen.judge(asked_before, &meta(Some(epochs(1, 3)), 7)).is_ok(), "it comes late");
    assert!(lost(seen.answer(&meta(Some(epochs(1, 3)), 7))).contains("taken epoch 4"));
    assert_eq!(seen.lose("it is at epoch 3"), Some((3, true)));
    assert!(seen.answer(&meta(Some(epochs(1, 4)), 1)).is_ok());
}

#[test]
fn a_loss_is_told_until_the_registry_has_it() {
    let mut seen = Seen::default();
    assert!(seen.answer(&meta(Some(epochs(1, 3)), 7)).is_ok());
    assert_eq!(seen.lose("a table is older"), Some((3, true)));
    assert_eq!(seen.lose("a table is older"), Some((3, false)));
    seen.told(2);
    assert_eq!(seen.lose("a table is older"), Some((3, false)));
    seen.told(3);
    assert_eq!(seen.lose("a table is older"), None);
    // The registry has forgotten it again.
    assert_eq!(lost(seen.answer(&meta(Some(epochs(1, 3)), 7))), "a table is older");
    assert_eq!(seen.lose("a table is older"), Some((3, false)));
    // A later epoch may be lost too.
    assert!(seen.answer(&meta(Some(epochs(1, 4)), 8)).is_ok());
    assert_eq!(seen.lose("it was emptied"), Some((4, true)));
}
