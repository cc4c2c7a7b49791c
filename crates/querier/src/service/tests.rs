use gigapi_model::SystemIds;

use super::*;

#[test]
fn spill_of_the_dead_is_removed_and_that_of_the_living_is_not() {
    let root = tempfile::tempdir().unwrap();
    let all = root.path().join(OWN_FOLDER).join("spill");
    let dead = all.join("of-a-process-that-was-killed").join("datafusion-x");
    std::fs::create_dir_all(&dead).unwrap();
    std::fs::write(dead.join("rows"), "rows").unwrap();
    let first = spill_folder(root.path(), &SystemIds).unwrap();
    assert!(!dead.exists());
    std::fs::write(first.path().join("rows"), "rows").unwrap();
    // Another process on the same root.
    let second = spill_folder(root.path(), &SystemIds).unwrap();
    assert!(first.path().join("rows").exists() && second.path() != first.path());
    let path = first.path().to_owned();
    drop(first);
    assert!(!path.exists() && second.path().exists());
}
