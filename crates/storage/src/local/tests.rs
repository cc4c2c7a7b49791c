use std::fs;

use gigapi_model::{ErrorKind, SystemIds};
use object_store::ObjectStoreExt;

use super::*;

fn open(folder: &FsPath) -> Arc<DurableLocalStore> {
    DurableLocalStore::open(folder, &SystemIds).unwrap()
}

fn files(names: impl IntoIterator<Item = String>) -> Vec<(Path, Bytes)> {
    names.into_iter().map(|name| (Path::parse(&name).unwrap(), Bytes::from(name))).collect()
}

async fn read(store: &DurableLocalStore, at: &str) -> Bytes {
    store.get(&Path::parse(at).unwrap()).await.unwrap().bytes().await.unwrap()
}

fn temporary_folders(root: &FsPath) -> usize {
    let entries = fs::read_dir(root.join("_gigapi/tmp")).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.path().is_dir()).count()
}

#[tokio::test]
async fn a_write_syncs_the_file_its_folder_and_new_folders_once() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    // The file, three parents of three new folders, the file's folder.
    store.put(&Path::from("a/b/c/x"), "x".into()).await.unwrap();
    assert_eq!(store.syncs().count(), 5);
    store.put(&Path::from("a/b/c/y"), "y".into()).await.unwrap();
    assert_eq!(store.syncs().count(), 7);
}

#[tokio::test]
async fn few_files_share_the_syncs_of_their_folders() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put_files(files((0..4).map(|n| format!("a/{}/{n}", n % 2)))).await.unwrap();
    // Four files; the root, `a`, and the two folders.
    assert_eq!(store.syncs().count(), 8);
    assert_eq!(read(&store, "a/1/3").await, "a/1/3");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn many_files_take_two_syncs() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    for round in 1..=2 {
        store.put_files(files((0..1000).map(|n| format!("t{n}/date=1/{round}")))).await.unwrap();
        assert_eq!(store.syncs().count(), 2 * round);
    }
    assert_eq!(read(&store, "t999/date=1/2").await, "t999/date=1/2");
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(all.len(), 2000);
}

#[tokio::test]
async fn a_batch_without_files_does_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put_files(Vec::new()).await.unwrap();
    assert_eq!(store.syncs().count(), 0);
}

#[tokio::test]
async fn a_folder_that_was_removed_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put(&Path::from("db/t/x"), "x".into()).await.unwrap();
    fs::remove_dir_all(root.path().join("db")).unwrap();
    store.put(&Path::from("db/t/y"), "y".into()).await.unwrap();
    fs::remove_dir_all(root.path().join("db")).unwrap();
    store.put_files(files((0..20).map(|n| format!("db/t/{n}")))).await.unwrap();
    let create = PutOptions::from(PutMode::Create);
    fs::remove_dir_all(root.path().join("db")).unwrap();
    store.put_opts(&Path::from("db/t/z"), "z".into(), create).await.unwrap();
    assert_eq!(read(&store, "db/t/z").await, "z");
}

#[tokio::test]
async fn temporary_files_are_never_listed_and_never_left() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut upload = store.put_multipart(&Path::from("db/x")).await.unwrap();
    upload.put_part("half".into()).await.unwrap();
    let own = Path::from("_gigapi");
    assert!(store.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
    assert!(store.list(Some(&own)).try_collect::<Vec<_>>().await.unwrap().is_empty());
    assert!(store.list_with_delimiter(Some(&own)).await.unwrap().common_prefixes.is_empty());
    drop(upload);
    let left: Vec<_> = fs::read_dir(root.path().join("_gigapi/tmp"))
        .unwrap()
        .flat_map(|entry| fs::read_dir(entry.unwrap().path()).into_iter().flatten())
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["lock"]);
}

#[tokio::test]
async fn opening_sweeps_folders_of_the_dead_and_spares_the_living() {
    let root = tempfile::tempdir().unwrap();
    let living = open(root.path());
    let dead = root.path().join("_gigapi/tmp/0123");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("5"), "left behind").unwrap();
    assert_eq!(temporary_folders(root.path()), 2);
    let second = open(root.path());
    assert!(!dead.exists());
    assert_eq!(temporary_folders(root.path()), 2);
    living.put(&Path::from("x"), "1".into()).await.unwrap();
    second.put(&Path::from("x"), "2".into()).await.unwrap();
    drop(living);
    assert_eq!(temporary_folders(root.path()), 1);
}

#[tokio::test]
async fn names_that_the_reader_refuses_are_refused_when_written() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let path = Path::parse("a/x#1").unwrap();
    assert!(store.put(&path, "x".into()).await.is_err());
    assert!(store.put_multipart(&path).await.is_err());
    assert!(store.put(&Path::default(), "x".into()).await.is_err());
}

#[tokio::test]
async fn a_folder_in_the_place_of_an_object_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fs::create_dir_all(root.path().join("a/x")).unwrap();
    let error = store.put(&Path::from("a/x"), "x".into()).await.unwrap_err();
    assert!(error.to_string().contains("a/x"), "{error}");
    let error = store.put_files(files(["a/x".to_owned()])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("writing of a/x failed"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_stops_the_opening() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DurableLocalStore::open(&file.join("below"), &SystemIds).unwrap_err();
    assert!(error.to_string().contains("file/below"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_from_other_failures() {
    // A device on which every write fails with ENOSPC stands in for the disk.
    let root = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = std::io::Write::write_all(&mut &full, b"x").unwrap_err();
    let error: Error = error::DiskError::at("writing", root.path())(error).into();
    let error = crate::Error::from_store("writing", "layer hot", "db/t/x", error);
    assert!(matches!(error, crate::Error::Full { .. }));
    assert_eq!(error.to_string().split(';').next(), Some("no space left on layer hot"));
}

#[tokio::test]
async fn a_delete_of_many_reports_each() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put_files(files(["a/x".to_owned(), "a/y".to_owned()])).await.unwrap();
    let before = store.syncs().count();
    let paths = ["a/x", "a/missing", "a/y"].map(|at| Ok(Path::from(at)));
    let answers: Vec<_> = store.delete_stream(futures::stream::iter(paths).boxed()).collect().await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(answers[1], Err(Error::NotFound { .. })));
    assert_eq!(store.syncs().count(), before + 1);
}

#[tokio::test]
async fn the_file_systems_own_folder_is_not_listed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put_files(files(["x".to_owned(), "a/y".to_owned(), "lost+found/z".to_owned()])).await.unwrap();
    let mut listed: Vec<_> = store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    listed.sort_unstable();
    assert_eq!(listed, ["a/y", "x"]);
}

#[tokio::test]
async fn empty_folders_go_with_what_may_go_with_them_and_no_others() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    for name in ["db/a/date=1/x", "db/a/date=1/metadata.json", "db/b/date=1/metadata.json", "db/b/date=1/y"] {
        store.put(&Path::from(name), "x".into()).await.unwrap();
    }
    store.delete(&Path::from("db/a/date=1/x")).await.unwrap();
    let clear = |folders: &[&str]| {
        let folders = folders.iter().map(|folder| Path::from(*folder)).collect();
        store.remove_empty_folders(folders, &["metadata.json"])
    };
    assert_eq!(clear(&["db/a/date=1", "db/b/date=1", "db/gone/date=1", ""]).await.unwrap(), 2);
    assert!(!root.path().join("db/a").exists() && root.path().join("db/b/date=1/metadata.json").exists());
    // The same store writes there again, durably: the file, its folder, and the parents of those that are not known.
    let before = store.syncs().count();
    store.put(&Path::from("db/a/date=1/z"), "z".into()).await.unwrap();
    assert_eq!(store.syncs().count() - before, 5);
    assert_eq!(store.remove_empty_folders(vec![Path::from("db/a/date=1")], &[]).await.unwrap(), 0);
    store.delete(&Path::from("db/b/date=1/y")).await.unwrap();
    assert_eq!(
        store.remove_empty_folders(vec![Path::from("db/b/date=1")], &[]).await.unwrap(),
        0,
        "nothing may go with it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_survive_somebody_who_removes_empty_folders_all_the_time() {
    let root = tempfile::tempdir().unwrap();
    let (writer, remover) = (open(root.path()), open(root.path()));
    let names: Vec<Path> = (0..200).map(|n| Path::parse(format!("db/t/date={}/{n}", n % 3)).unwrap()).collect();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stop, folders) = (done.clone(), (0..3).map(|n| Path::from(format!("db/t/date={n}"))).collect::<Vec<_>>());
    let removing = tokio::spawn(async move {
        while !stop.load(Ordering::SeqCst) {
            remover.remove_empty_folders(folders.clone(), &[]).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for (index, name) in names.iter().enumerate() {
        if index % 2 == 0 {
            writer.put(name, "x".into()).await.unwrap();
        } else {
            writer.put_files(vec![(name.clone(), Bytes::from("x"))]).await.unwrap();
        }
        assert_eq!(writer.get(name).await.unwrap().bytes().await.unwrap(), "x");
        writer.delete(name).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    removing.await.unwrap();
}
