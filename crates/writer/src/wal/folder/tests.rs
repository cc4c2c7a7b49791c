use gigapi_model::SystemIds;

use super::*;

#[test]
fn a_folder_is_new_until_its_identity_is_known() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("wal");
    let open = || Folder::open(&path, &SystemIds).unwrap();
    let first = open();
    assert!(first.is_fresh());
    let writer = first.writer();
    drop(first);
    // A process that died before it had asked the catalog has left an identity, and no proof of a log.
    let again = open();
    assert!(again.is_fresh());
    assert_eq!(again.writer(), writer);
    again.registered().unwrap();
    again.registered().unwrap();
    drop(again);
    let known = open();
    assert!(!known.is_fresh());
    assert_eq!(known.writer(), writer);
}
