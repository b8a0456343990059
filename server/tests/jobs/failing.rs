//! Restores of which a step fails: it is named, the state before it is usable, and with the trouble mended the restore
//! can be run again. The trouble is made by the application's own commands, which run between the check and the steps.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use holdfast::store::RunFilter;
use holdfast_model::{
    event::StepState,
    id::CheckpointId,
    request::{CreateCheckpoint, RestoreCheckpoint},
    state::{RunKind, RunState},
    view::RunView,
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    house::House,
    look::{apply, listing, step},
};

/// An application with one of each kind, with commands that stop and start it.
struct Site {
    /// It is unmounted before the folder that it lies in is removed.
    _room: Option<Mounted>,
    house: House,
    cluster: Option<(Cluster, String)>,
    checkpoint: CheckpointId,
    /// What the checkpoint holds, and what stands there before each restore.
    good: State,
    bad: State,
}

/// Everything that a restore may change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    files: BTreeMap<PathBuf, String>,
    settings: String,
    words: String,
    orders: String,
}

struct Mounted(PathBuf);

impl Mounted {
    /// A file system of 4 MB; none where nothing may be mounted.
    fn small(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&at).status();
        status.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

impl Site {
    /// One whose folder `small` is a file system of its own; none where nothing may be mounted.
    async fn on_small(small: &str) -> Option<Self> {
        let house = House::new().await;
        let mounted = Mounted::small(house.folder.path().join("site").join(small));
        if mounted.is_none() {
            println!("SKIPPED: no tmpfs can be mounted here");
        }
        Some(Self::build(house, None, Some(mounted?)).await)
    }

    /// One with a PostgreSQL server of its own.
    async fn with_server() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        let database = cluster.database();
        cluster.sql(&database, "create table orders as select generate_series(1, 1000) as id, 'good' as what");
        Self::build(House::new().await, Some((cluster, database)), None).await
    }

    async fn build(house: House, cluster: Option<(Cluster, String)>, room: Option<Mounted>) -> Self {
        let base = house.folder.path().to_path_buf();
        let (app, bin) = (base.join("site"), base.join("bin"));
        for folder in [&app.join("media/deep"), &app.join("etc"), &bin] {
            fs::create_dir_all(folder).unwrap();
        }
        for number in 0..10 {
            fs::write(app.join(format!("media/deep/{number}")), format!("good {number}\n").repeat(10_000)).unwrap();
        }
        fs::write(app.join("etc/.env"), "KEY=good\n").unwrap();
        let words = rusqlite::Connection::open(app.join("search.db")).unwrap();
        words.execute_batch("create table words (word text); insert into words values ('good')").unwrap();
        drop(words);
        let mut components = vec![
            json!({"name": "media", "kind": "files", "path": app.join("media"), "exclude": ["*.log"]}),
            json!({"name": "settings", "kind": "config", "file": app.join("etc/.env")}),
        ];
        if let Some((cluster, database)) = &cluster {
            components.push(json!({"name": "main", "kind": "postgres", "url": cluster.url(database)}));
        }
        components.push(json!({"name": "search", "kind": "sqlite", "path": app.join("search.db")}));
        let restore = json!({
            "stop": [bin.join("stop")], "start": [bin.join("start")], "after": [{"cmd": [bin.join("after")]}],
        });
        let nothing =
            State { files: BTreeMap::new(), settings: String::new(), words: String::new(), orders: String::new() };
        let mut site = Self {
            _room: room,
            house,
            cluster,
            checkpoint: CheckpointId::from_parts(0, 0),
            good: nothing.clone(),
            bad: nothing,
        };
        site.mend();
        site.define(&components, &restore).await;
        let taken = site.house.create(CreateCheckpoint::default()).await;
        assert!(taken.sealed, "{}", site.house.story(&taken.id).await);
        site.checkpoint = taken.checkpoint.unwrap();
        site.good = site.state();
        site.spoil();
        site.bad = site.state();
        site
    }

    async fn define(&self, components: &[Value], restore: &Value) {
        let definition =
            json!({"project": "shop", "environment": "production", "components": components, "restore": restore});
        apply(&self.house, definition).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.house.folder.path().join("site").join(name)
    }

    /// What one of the application's commands does from now on.
    fn command(&self, name: &str, body: &str) {
        let file = self.house.folder.path().join("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn calls(&self) -> PathBuf {
        self.house.folder.path().join("calls")
    }

    /// All of them work.
    fn mend(&self) {
        for name in ["stop", "start", "after"] {
            self.command(name, &format!("echo {name} >> {}", self.calls().display()));
        }
    }

    /// The bad migration.
    fn spoil(&self) {
        for number in 0..5 {
            fs::write(self.path(&format!("media/deep/{number}")), format!("bad {number}")).unwrap();
        }
        fs::remove_file(self.path("media/deep/9")).unwrap();
        fs::write(self.path("media/newer"), "newer").unwrap();
        fs::write(self.path("etc/.env"), "KEY=bad\n").unwrap();
        let words = rusqlite::Connection::open(self.path("search.db")).unwrap();
        words.execute_batch("update words set word = 'bad'").unwrap();
        if let Some((cluster, database)) = &self.cluster {
            cluster.sql(database, "delete from orders where id > 10; update orders set what = 'bad'");
        }
    }

    fn state(&self) -> State {
        let mut files = listing(&self.path("media"));
        files.retain(|path, _| path.extension().is_none_or(|extension| extension != "log") && !in_trash(path));
        let words = rusqlite::Connection::open(self.path("search.db")).unwrap();
        let orders = self.cluster.as_ref().map(|(cluster, database)| {
            cluster.sql(database, "select count(*), min(what), max(what), sum(id) from orders")
        });
        State {
            files,
            settings: fs::read_to_string(self.path("etc/.env")).unwrap(),
            words: words.query_row("select group_concat(word) from words", [], |row| row.get(0)).unwrap(),
            orders: orders.unwrap_or_default(),
        }
    }

    /// Restores, which fails in this step for a reason that says `why`, with the state that is told.
    async fn fails(&self, name: &str, why: &str, state: &str) -> RunView {
        let _ = fs::remove_file(self.calls());
        let run = self.house.restore(&self.checkpoint, RestoreCheckpoint::default()).await;
        let message = run.message.clone().unwrap_or_default();
        assert_eq!(run.state, RunState::Failed, "{name}: {message}");
        for part in [format!("step `restore:{name}` failed: ").as_str(), why, state, "It can be run again"] {
            assert!(message.contains(part), "{name}: no `{part}` in {message}");
        }
        let (ended, detail) = step(&self.house, &run, &format!("restore:{name}")).await;
        assert!(ended == StepState::Failed && detail.contains(why), "{name}: {ended:?} {detail}");
        assert_eq!(self.house.leftovers(), Vec::<PathBuf>::new(), "{name}");
        run
    }

    /// Whether the application was started after all.
    fn was_started(&self) -> bool {
        fs::read_to_string(self.calls()).is_ok_and(|calls| calls.contains("start"))
    }

    /// With the trouble mended the state before the run that failed is to be had from its safety checkpoint, and the same
    /// restore works.
    async fn works_again(&self, failed: &RunView) {
        self.mend();
        let all = RunFilter { environment: Some(self.house.environment.clone()), ..Default::default() };
        let runs = self.house.store.runs(&all).await.unwrap();
        let safety = runs.iter().find(|run| run.kind == RunKind::Create && run.parent.as_ref() == Some(&failed.id));
        let safety = safety.unwrap().checkpoint.clone().unwrap();
        for (checkpoint, state) in [(&self.checkpoint, &self.good), (&safety, &self.bad)] {
            let run = self.house.restore(checkpoint, RestoreCheckpoint::default()).await;
            assert!(
                matches!(run.state, RunState::Succeeded | RunState::Warning),
                "{}",
                self.house.story(&run.id).await
            );
            assert_eq!(self.state(), *state);
        }
    }
}

fn in_trash(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_string_lossy().starts_with(".holdfast-trash-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_fail_are_named_and_nothing_is_lost() {
    let site = Site::with_server().await;
    // Before anything is touched.
    site.command("stop", "echo 'two workers are busy' >&2; exit 7");
    let failed = site.fails("stop", "ended with status 7: two workers are busy", "Nothing was put back").await;
    assert_eq!(site.state(), site.bad);
    assert!(failed.message.as_ref().unwrap().contains("the application was started again") && site.was_started());
    site.works_again(&failed).await;

    // When all is put back: what was there before is kept beside it.
    site.command("start", "echo 'no such port' >&2; exit 8");
    let state = "configuration put back; the application may not be running";
    let failed = site.fails("start", "ended with status 8: no such port", state).await;
    assert_eq!(site.state(), site.good);
    for kept in ["kept: database ", "kept: 6 entries in ", "kept: the database ", "kept: the file "] {
        assert!(site.house.logged(&failed.id, kept).await, "{kept}: {}", site.house.story(&failed.id).await);
    }
    site.works_again(&failed).await;

    site.command("after", "echo 'the cache is cold' >&2; exit 9");
    let failed = site.fails("health", "ended with status 9: the cache is cold", "application started").await;
    assert_eq!(site.state(), site.good);
    site.works_again(&failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_that_goes_away_leaves_the_database_that_it_has() {
    let mut site = Site::with_server().await;
    let server = site.cluster.as_ref().unwrap().0.data().join("postmaster.pid");
    let server = server.display();
    site.command("stop", &format!("kill -INT $(head -1 {server}); while [ -e {server} ]; do sleep 0.05; done"));
    let failed = site.fails("databases", "component `main`", "files put back; the application was started again").await;
    let (cluster, _) = site.cluster.as_mut().unwrap();
    cluster.launch();
    let there = "select string_agg(datname, ' ') from pg_database where datname ~ '_(restoring|before)_'";
    assert_eq!(cluster.sql("postgres", there), "", "something was left");
    assert_eq!(site.state(), State { files: site.good.files.clone(), ..site.bad.clone() });
    assert!(site.was_started());
    site.works_again(&failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_leaves_the_files_that_were_there() {
    let Some(site) = Site::on_small("media").await else { return };
    let filler = site.path("media/filler.log");
    site.command("stop", &format!("cat /dev/zero > {} 2>/dev/null; true", filler.display()));
    let why = format!("component `media`: no space is left on the file system of {}", site.path("media").display());
    let failed = site.fails("files", &why, "Done so far: application stopped; the application was started again").await;
    assert_eq!(site.state(), site.bad);
    assert!(listing(&site.path("")).keys().all(|path| !in_trash(path)), "something made way");
    fs::remove_file(filler).unwrap();
    site.works_again(&failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_written_stay() {
    let Some(site) = Site::on_small("etc").await else { return };
    let filler = site.path("etc/filler");
    site.command("stop", &format!("cat /dev/zero > {} 2>/dev/null; true", filler.display()));
    let state = "files put back, databases put back; the application was started again";
    let failed = site.fails("config", "No space left on device", state).await;
    assert_eq!(site.state(), State { settings: site.bad.settings.clone(), ..site.good.clone() });
    fs::remove_file(filler).unwrap();
    site.works_again(&failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_get_well_is_waited_for_and_then_said_to_be_ill() {
    let site = Site::build(House::new().await, None, None).await;
    // A minute is waited: what is not true now may be soon.
    let sql = "select word = 'good' from words";
    site.define(
        &[json!({"name": "search", "kind": "sqlite", "path": site.path("search.db")})],
        &json!({
            "start": [site.house.folder.path().join("bin/start")],
            "health": [{"sql": sql, "component": "search"}],
        }),
    )
    .await;
    let spoil = format!("sqlite3 {} \"update words set word = 'ill'\"", site.path("search.db").display());
    site.command("start", &spoil);
    let request = RestoreCheckpoint { components: vec!["search".into()], ..RestoreCheckpoint::default() };
    let run = site.house.restore(&site.checkpoint, request.clone()).await;
    let message = run.message.unwrap();
    let why = format!("step `restore:health` failed: `{sql}` was not well within 60 s: it is not true");
    assert!(run.state == RunState::Failed && message.contains(&why), "{message}");
    assert!(message.contains("databases put back, application started"), "{message}");
    site.mend();
    let run = site.house.restore(&site.checkpoint, request).await;
    assert!(matches!(run.state, RunState::Succeeded | RunState::Warning), "{:?}", run.message);
    assert_eq!(site.state().words, "good");
}
