use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gigapi_model::SystemIds;

use super::*;

#[test]
fn a_folder_that_its_owner_has_removed_needs_nothing() {
    let all = tempfile::tempdir().unwrap();
    let gone = all.path().join("gone");
    assert!(!is_abandoned(&gone).unwrap());
    remove(&gone).unwrap();
    assert!(!gone.exists());
}

/// Locks belong to open files, so threads are to each other what processes are.
#[test]
fn those_that_start_and_those_that_end_do_not_disturb_each_other() {
    let all = tempfile::tempdir().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    // One that lives on keeps its folder, however many come and go.
    let living = ProcessFolder::open(all.path(), &SystemIds).unwrap();
    let ending: Vec<_> = (0..3)
        .map(|_| {
            let (all, is_over) = (all.path().to_owned(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let folder = ProcessFolder::open(&all, &SystemIds).unwrap();
                    fs::write(folder.path().join("0"), "left behind").unwrap();
                }
            })
        })
        .collect();
    for _ in 0..500 {
        ProcessFolder::open(all.path(), &SystemIds).unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    ending.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(living.path().join(LOCK).exists());
}
