use anyhow::Context;

use super::*;

#[test]
fn no_cause_is_told_twice() {
    let disk = || std::io::Error::other("disk on fire");
    let quoted = gigapi_service::Error::Folder { path: "/data".into(), source: disk() };
    let folder = "folder /data cannot be used: disk on fire; make it or give this user the right to";
    assert_eq!(told(&quoted.into()), folder);
    assert_eq!(told(&Err::<(), _>(disk()).context("cannot start").unwrap_err()), "cannot start: disk on fire");
}
