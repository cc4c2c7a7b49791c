use std::fs;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_draft_is_seen_under_its_name_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer.csv");
    fs::write(&path, "before").unwrap();
    let mut output = Output::draft(&path).unwrap();
    output.write_all(b"half").unwrap();
    output.flush().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    drop(output);
    assert_eq!(names(folder.path()), ["answer.csv"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    let mut output = Output::draft(&path).unwrap();
    output.write_all(b"whole").unwrap();
    output.keep().unwrap();
    assert_eq!(names(folder.path()), ["answer.csv"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
}

#[test]
fn a_link_stays_a_link_and_rights_stay_as_they_were() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&path, "before").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&path, &link).unwrap();
    let mut output = Output::draft(&link).unwrap();
    output.write_all(b"after").unwrap();
    output.keep().unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "after");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn devices_are_written_to_and_folders_refused() {
    let mut output = Output::draft(Path::new("/dev/null")).unwrap();
    output.write_all(b"x").unwrap();
    output.keep().unwrap();
    assert!(!Path::new("/dev/null").is_file());
    let folder = tempfile::tempdir().unwrap();
    let error = Output::draft(folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("it is a folder"), "{error}");
    let error = Output::draft(&folder.path().join("no/answer")).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}
