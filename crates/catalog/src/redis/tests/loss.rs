//! Redis goes away, forgets, or comes back as it was before.

use super::*;
use crate::{ClaimRequest, Freshness, Standing};

struct Scene {
    rig: Rig,
    /// The same server as another process sees it.
    other: Arc<RedisCatalog>,
    writer: crate::conformance::Writer,
    table: Arc<TableDef>,
    first: gigapi_model::DataFile,
}

/// A table with one file, known to two processes.
async fn scene() -> Scene {
    let server = TestServer::start(&["--enable-debug-command", "yes"]);
    let clock = Arc::new(ManualClock::new(conformance::START));
    let catalog = server.catalog(Limits::default(), Some(clock.clone())).await;
    let other = Arc::new(server.catalog(Limits::default(), Some(clock.clone())).await);
    let rig = Rig { catalog: Arc::new(catalog), clock, _folder: None, _server: Some(server) };
    let (writer, table) = (rig.open(1).await, rig.table("cpu").await);
    let first = rig.flush(&writer, table.id, 1, rig.file(0, 1)).await;
    let scene = Scene { rig, other, writer, table, first };
    assert_eq!(scene.query().await, (1, false));
    scene
}

impl Scene {
    fn server(&self) -> &TestServer {
        self.rig._server.as_ref().unwrap()
    }

    async fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        let _: redis::Value = self.other.0.connection.run(&command).await.unwrap();
    }

    /// What the other process answers to a query: the number of files, and whether the answer is stale.
    async fn query(&self) -> (usize, bool) {
        let reader = Arc::clone(&self.other).reader(Freshness::default());
        let found = reader.table(&self.table.database, &self.table.name).await.unwrap().unwrap();
        let snapshot = reader.snapshot(found.id, &[]).await.unwrap();
        (snapshot.files.len(), reader.stale().is_some())
    }

    /// Nothing can be changed or deleted, by either process.
    async fn assert_closed(&self) {
        let refused = |error: Error| assert!(matches!(error, Error::Recovering { .. }), "{error:?}");
        let request =
            || ClaimRequest { table: self.table.id, inputs: vec![self.first.id], lease: Duration::from_secs(60) };
        let definition = || crate::conformance::definition("db", "new", &[]);
        for catalog in [Arc::clone(&self.rig.catalog), Arc::clone(&self.other) as Arc<dyn Catalog>] {
            refused(catalog.epochs().await.unwrap_err());
            let commit = self.writer.flush(self.table.id, 9, 9, vec![self.rig.file(0, 1)]);
            refused(catalog.commit(vec![commit]).await.remove(0).unwrap_err());
            refused(catalog.claim(request()).await.unwrap_err());
            refused(catalog.define(definition()).await.unwrap_err());
            refused(catalog.open_writer(self.writer.id).await.unwrap_err());
            refused(catalog.drop_table(self.table.id).await.unwrap_err());
            refused(catalog.graves().await.unwrap_err());
        }
        assert_eq!(self.query().await, (1, true));
    }

    /// What a rebuild would restore.
    async fn rebuild(&self, export: crate::TableExport) {
        let epochs =
            Epochs { catalog: gigapi_model::CatalogId::from_uuid(Uuid::from_u128(1)), epoch: 2, since: self.rig.now() };
        let tables = vec![export];
        self.rig.restore(Restore { catalog: epochs.catalog, epoch: epochs.epoch, tables, dropped: vec![] }).await;
        for catalog in [Arc::clone(&self.rig.catalog), Arc::clone(&self.other) as Arc<dyn Catalog>] {
            assert_eq!(catalog.standing().await.unwrap(), Standing::Serving(epochs));
        }
        assert_eq!(self.query().await, (1, false));
        // The old session is of the old epoch; a new one goes on.
        let stale = self.writer.flush(self.table.id, 2, 2, vec![self.rig.file(0, 1)]);
        assert!(matches!(self.rig.commit(stale).await, Err(Error::StaleEpoch { current: 2, known: 1 })));
        let writer = self.rig.open(1).await;
        assert!(writer.session.epoch > self.writer.session.epoch);
        self.rig.flush(&writer, self.table.id, 2, self.rig.file(0, 1)).await;
        assert_eq!(self.query().await, (2, false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_server_is_closed_until_it_is_rebuilt() {
    let scene = scene().await;
    let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
    scene.command(&["FLUSHALL"]).await;
    let standing = scene.other.standing().await.unwrap();
    assert!(matches!(&standing, Standing::Lost { reason } if reason.contains("emptied")), "{standing:?}");
    scene.assert_closed().await;
    // A process that comes now founds nothing by looking, and whoever knows better is not deceived by one that does.
    let newcomer = scene.server().open(Limits::default(), Some(scene.rig.clock.clone())).await;
    assert_eq!(newcomer.standing().await.unwrap(), Standing::Unfounded);
    assert!(matches!(newcomer.epochs().await, Err(Error::Recovering { .. })));
    let stranger = newcomer.found().await.unwrap().catalog;
    assert_eq!(scene.other.standing().await.unwrap(), Standing::Foreign { found: stranger });
    scene.assert_closed().await;
    scene.rebuild(export).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_went_back_closes_the_catalog_for_all() {
    let scene = scene().await;
    let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
    // The table as it was one change ago: only the process that saw the change can know.
    let head = scene.rig_keys().head;
    scene.command(&["HSET", &head, "rev", "1"]).await;
    assert!(matches!(scene.other.standing().await.unwrap(), Standing::Serving(_)));
    assert_eq!(scene.query().await, (1, true));
    scene.assert_closed().await;
    let newcomer = scene.server().open(Limits::default(), Some(scene.rig.clock.clone())).await;
    let standing = newcomer.standing().await.unwrap();
    assert!(matches!(&standing, Standing::Lost { reason } if reason.contains("rolled back")), "{standing:?}");
    scene.rebuild(export).await;
}

/// After a rollback others may make up for the numbers before anybody looks who knew better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_took_another_way_closes_the_catalog_for_all() {
    for changes_since in [1_u64, 3] {
        let scene = scene().await;
        let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
        let head = scene.rig_keys().head;
        let mut command = redis::cmd("HGET");
        let rev: String = scene.other.0.connection.run(command.arg(&head).arg("rev")).await.unwrap();
        let number: u64 = rev.split('.').next().unwrap().parse().unwrap();
        // The last change that both saw never happened; others did.
        let log = scene.rig_keys().log;
        scene.command(&["XTRIM", &log, "MAXLEN", "=", "0"]).await;
        scene.command(&["DEL", &log]).await;
        for change in 0..changes_since {
            let id = format!("{}-0", number + change);
            scene.command(&["XADD", &log, &id, "d", "", "m", "other"]).await;
        }
        let other = format!("{}.other", number + changes_since - 1);
        scene.command(&["HSET", &head, "rev", &other]).await;
        assert_eq!(scene.query().await, (1, true), "{changes_since}");
        scene.assert_closed().await;
        scene.rebuild(export).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_from_before_a_rebuild_closed_it_is_closed_for_all() {
    for sees_the_closing in [true, false] {
        let scene = scene().await;
        let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
        scene.rig.catalog.begin_restore(2).await.unwrap();
        if sees_the_closing {
            assert!(matches!(scene.other.standing().await.unwrap(), Standing::Rebuilding { epoch: 2, .. }));
        }
        // As it was before.
        scene.command(&["HDEL", &scene.other.0.registry.meta, "rebuilding", "heard"]).await;
        scene.command(&["HSET", &scene.rig_keys().head, "epoch", "1", "state", "live"]).await;
        let newcomer = scene.server().open(Limits::default(), Some(scene.rig.clock.clone())).await;
        assert!(matches!(newcomer.standing().await.unwrap(), Standing::Serving(_)));
        if !sees_the_closing {
            // It hears of it from the layers.
            scene.other.overtaken(2).await.unwrap();
        }
        let standing = scene.other.standing().await.unwrap();
        assert!(matches!(&standing, Standing::Lost { reason } if reason.contains("taken epoch 2")), "{standing:?}");
        assert_eq!(newcomer.standing().await.unwrap(), standing);
        scene.assert_closed().await;
        scene.rebuild(export).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_went_back_takes_no_names() {
    let scene = scene().await;
    let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
    scene.command(&["HINCRBY", &scene.other.0.registry.meta, "rev", "-1"]).await;
    let standing = scene.other.standing().await.unwrap();
    assert!(matches!(&standing, Standing::Lost { reason } if reason.contains("rolled back")), "{standing:?}");
    scene.assert_closed().await;
    scene.rebuild(export).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_vanished_is_a_loss_and_a_dropped_one_is_not() {
    let scene = scene().await;
    scene.rig.catalog.drop_table(scene.table.id).await.unwrap();
    let reader = Arc::clone(&scene.other).reader(Freshness::default());
    assert_eq!(reader.table(&scene.table.database, &scene.table.name).await.unwrap(), None);
    let again = scene.rig.table("cpu").await;
    assert!(scene.other.snapshot(again.id, TimeRange::ALL).await.is_ok());
    scene.command(&["DEL", &TableKeys::new("gigapi", again.id).head]).await;
    let error = scene.other.snapshot(again.id, TimeRange::ALL).await.unwrap_err();
    assert!(matches!(&error, Error::Recovering { reason } if reason.contains("not in it any more")), "{error:?}");
    assert!(matches!(scene.rig.catalog.epochs().await, Err(Error::Recovering { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_table_that_was_not_opened_is_opened_by_the_next_one() {
    let scene = scene().await;
    let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
    scene.rebuild(export).await;
    scene.command(&["HSET", &scene.rig_keys().head, "state", "recovering"]).await;
    let newcomer = scene.server().open(Limits::default(), Some(scene.rig.clock.clone())).await;
    assert_eq!(newcomer.snapshot(scene.table.id, TimeRange::ALL).await.unwrap().files.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_was_superseded_removes_nothing() {
    let scene = scene().await;
    let catalog = Uuid::from_u128(1);
    let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
    scene.rebuild(export.clone()).await;
    let owner = gigapi_model::CatalogId::from_uuid(catalog);
    let restore = |epoch| Restore {
        catalog: owner,
        epoch,
        tables: vec![TableExport { epoch, ..export.clone() }],
        dropped: vec![],
    };
    // It has begun, sleeps, and wakes up after a later one has ended: between any two of its steps.
    scene.other.begin(3).await.unwrap();
    scene.rig.catalog.begin_restore(4).await.unwrap();
    scene.rig.catalog.restore(restore(4)).await.unwrap();
    assert_eq!(scene.query().await, (1, false));
    let late = scene.other.restore_table(&restore(3).tables[0], 3).await;
    assert!(matches!(late, Err(Error::Superseded { epoch: 3 })), "{late:?}");
    assert!(matches!(
        scene.other.restore_all(restore(3)).await,
        Err(Error::Superseded { .. } | Error::StaleEpoch { .. })
    ));
    assert_eq!(scene.query().await, (1, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_a_superseded_rebuild_left_behind_is_a_loss() {
    let scene = scene().await;
    let export = scene.rig.catalog.export(scene.table.id).await.unwrap();
    scene.rebuild(export).await;
    let head = scene.rig_keys().head;
    scene.command(&["HSET", &head, "epoch", "1", "state", "recovering"]).await;
    assert_eq!(scene.query().await, (2, true));
    let standing = scene.rig.catalog.standing().await.unwrap();
    assert!(matches!(&standing, Standing::Lost { reason } if reason.contains("left behind")), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_told_of_a_loss_as_soon_as_they_can_be() {
    let scene = scene().await;
    // A replica for a moment: what it says is a loss, and it takes no word of it.
    scene.command(&["HINCRBY", &scene.other.0.registry.meta, "rev", "-1"]).await;
    scene.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(matches!(scene.other.standing().await.unwrap(), Standing::Lost { .. }));
    scene.command(&["REPLICAOF", "NO", "ONE"]).await;
    scene.command(&["HINCRBY", &scene.other.0.registry.meta, "rev", "1"]).await;
    assert!(matches!(scene.rig.catalog.standing().await.unwrap(), Standing::Serving(_)));
    assert!(matches!(scene.other.standing().await.unwrap(), Standing::Lost { .. }));
    let standing = scene.rig.catalog.standing().await.unwrap();
    assert!(matches!(&standing, Standing::Lost { reason } if reason.contains("rolled back")), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_that_was_cut_short_frees_its_name_when_it_is_repeated() {
    let scene = scene().await;
    scene.rig.catalog.drop_table(scene.table.id).await.unwrap();
    // As if its process had died before the name was freed.
    let name = registry::field(&scene.table.database, &scene.table.name);
    let registry = &scene.other.0.registry;
    scene.command(&["HSET", &registry.names, &name, &scene.table.id.to_string()]).await;
    scene.command(&["HINCRBY", &registry.meta, "rev", "1"]).await;
    scene.rig.catalog.drop_table(scene.table.id).await.unwrap();
    assert_eq!(scene.other.named(&scene.table.database, &scene.table.name).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_borne_by_queries_alone() {
    let scene = scene().await;
    scene.server().pause();
    assert_eq!(scene.query().await, (1, true));
    let before = scene.other.round_trips();
    assert_eq!(scene.query().await, (1, true));
    assert_eq!(scene.other.round_trips(), before, "the next query does not wait for it again");
    let commit = scene.writer.flush(scene.table.id, 2, 2, vec![scene.rig.file(2, 3)]);
    let error = scene.rig.commit(commit.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    scene.server().go_on();
    // The commit may have arrived after all; repeating it is answered either way, once.
    let mut outcome = scene.rig.commit(commit.clone()).await;
    while matches!(outcome, Err(Error::Unavailable { .. })) {
        outcome = scene.rig.commit(commit.clone()).await;
    }
    assert_eq!(outcome.unwrap(), crate::CommitOutcome::Committed { version: 3 });
    while scene.query().await != (2, false) {
        tokio::task::yield_now().await;
    }
}

impl Scene {
    fn rig_keys(&self) -> TableKeys {
        TableKeys::new("gigapi", self.table.id)
    }
}
