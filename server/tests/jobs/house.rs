//! A small application (files, a SQLite database, settings with a secret) and a Holdfast of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use holdfast::{
    actions::Actions,
    auth::Caller,
    config::Settings,
    jobs::{Desk, DeskSettings},
    keys::ServerKey,
    store::{AppliedComponent, AppliedDefinition, AppliedView, NewRun, On, ProjectRow, Store},
    vaults::Vaults,
};
use holdfast_engine::{Allow, ToolSettings, Tools};
use holdfast_model::{
    definition::Definition,
    event::{Event, EventBody},
    id::{CheckpointId, EnvironmentId, RunId, VaultId},
    request::{CreateCheckpoint, RestoreCheckpoint},
    state::{RunKind, Trigger},
    view::{CheckpointView, RunView},
};
use holdfast_vault::VaultOptions;
use sqlx::Connection as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;

/// A secret value of the application's settings file.
pub const CANARY_ENV: &str = "canary-in-the-env-file";
/// A secret that stands in the definition itself.
pub const CANARY_DEFINITION: &str = "canary-in-the-definition";

/// How long any run of these tests may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct House {
    pub folder: tempfile::TempDir,
    pub url: String,
    pub key: ServerKey,
    pub store: Store,
    pub desk: Desk,
    pub environment: EnvironmentId,
    tools: Arc<Tools>,
    working: Option<(CancellationToken, JoinHandle<()>)>,
    _cluster: Option<Arc<Cluster>>,
}

impl House {
    /// Built, defined, and at work.
    pub async fn new() -> Self {
        let mut house = Self::still().await;
        house.start();
        house
    }

    /// The same with its catalogue in PostgreSQL.
    pub async fn on_postgres() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
        let mut house = Self::build(Some(cluster.url(&cluster.database())), Some(cluster)).await;
        house.start();
        house
    }

    /// Built and defined; no worker runs.
    pub async fn still() -> Self {
        Self::build(None, None).await
    }

    async fn build(url: Option<String>, cluster: Option<Arc<Cluster>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        std::fs::create_dir_all(app.join("uploads/deep/er")).unwrap();
        for number in 0..40 {
            let text = format!("file {number}\n").repeat(number * 50);
            std::fs::write(app.join(format!("uploads/deep/{number}.txt")), text).unwrap();
        }
        std::fs::write(app.join("uploads/empty"), "").unwrap();
        std::os::unix::fs::symlink("../empty", app.join("uploads/deep/link")).unwrap();
        std::fs::write(app.join(".env"), format!("SECRET_KEY={CANARY_ENV}\nDEBUG=0\n")).unwrap();
        let database = rusqlite::Connection::open(app.join("search.db")).unwrap();
        database
            .execute_batch(
                "pragma journal_mode = wal; create table words (id integer primary key, word text not null); \
                 create index words_word on words (word);",
            )
            .unwrap();
        for number in 0..500 {
            database.execute("insert into words (word) values (?1)", [format!("word {number}")]).unwrap();
        }
        drop(database);

        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let url = url.unwrap_or_else(|| Store::sqlite_url(&data.join("catalogue.db")));
        let key = ServerKey::load_or_create(&data.join("server.key")).unwrap();
        let store = Store::open(&url).await.unwrap();
        let tools = Arc::new(Tools::find(&ToolSettings::default()).await);
        let desk = Self::desk(&store, &key, &tools, &data);
        let environment = apply(&store, &key, &definition(&app)).await;
        Self { folder, url, key, store, desk, environment, tools, working: None, _cluster: cluster }
    }

    fn desk(store: &Store, key: &ServerKey, tools: &Arc<Tools>, data: &Path) -> Desk {
        let settings =
            DeskSettings { workers: 2, data_dir: data.to_owned(), scratch: data.join("scratch"), allow: Allow::all() };
        Desk::new(
            store.clone(),
            Vaults::new(store.clone(), key.clone(), data, VaultOptions::default()),
            key.clone(),
            tools.clone(),
            settings,
        )
    }

    /// What may be asked of this server.
    pub fn actions(&self) -> Actions {
        let data = self.data().display().to_string();
        let settings = Settings::from_sources(None, &|name| (name == "HOLDFAST_DATA_DIR").then(|| data.clone()));
        let settings = settings.unwrap();
        Actions::new(self.desk.clone(), self.key.clone(), self.tools.clone(), settings).by(Caller::host("ada".into()))
    }

    /// What may be asked of another server process on the same catalogue, which works at nothing.
    pub async fn actions_elsewhere(&self) -> Actions {
        let store = Store::open(&self.url).await.unwrap();
        let desk = Self::desk(&store, &self.key, &self.tools, &self.data());
        Actions::new(desk, self.key.clone(), self.tools.clone(), self.actions().settings().clone())
            .by(Caller::host("ada".into()))
    }

    /// Waits for something that is done in the background.
    pub async fn until<F: Future<Output = bool>>(&self, done: impl Fn() -> F) {
        let wait = async {
            while !done().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it happens");
    }

    pub fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn start(&mut self) {
        let stop = CancellationToken::new();
        self.working = Some((stop.clone(), self.desk.clone().start(stop)));
    }

    /// As on SIGTERM.
    pub async fn stop(&mut self) {
        if let Some((stop, working)) = self.working.take() {
            stop.cancel();
            tokio::time::timeout(PATIENCE, working).await.expect("the workers end").unwrap();
        }
    }

    /// A new server process on the same data directory.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.store.close().await;
        self.store = Store::open(&self.url).await.unwrap();
        self.desk = Self::desk(&self.store, &self.key, &self.tools, &self.data());
        self.start();
    }

    /// Changes a row behind the store's back.
    pub async fn sql(&self, statement: &str) {
        let mut connection = sqlx::AnyConnection::connect(&self.url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub async fn queue(&self, kind: RunKind, of: Option<&CheckpointId>, request: impl serde::Serialize) -> RunId {
        let run = NewRun {
            kind,
            on: On::Environment(self.environment.clone()),
            checkpoint: of.cloned(),
            request: serde_json::to_value(request).unwrap(),
            created_by: "ada".into(),
            trigger: Trigger::Manual,
            slot: None,
        };
        self.store.enqueue(run).await.unwrap()
    }

    /// Asks for a run on the project's primary vault, or on another one.
    pub async fn queue_on_vault(&self, kind: RunKind, vault: Option<&VaultId>, request: serde_json::Value) -> RunId {
        let primary = self.store.vault_of(&self.project().await.id, None).await.unwrap().id;
        let run = NewRun {
            kind,
            on: On::Vault(vault.unwrap_or(&primary).clone()),
            checkpoint: None,
            request,
            created_by: "ada".into(),
            trigger: Trigger::Manual,
            slot: None,
        };
        self.store.enqueue(run).await.unwrap()
    }

    pub async fn create(&self, request: CreateCheckpoint) -> RunView {
        let run = self.queue(RunKind::Create, None, request).await;
        self.ended(&run).await
    }

    pub async fn back_up(&self) -> CheckpointView {
        let run = self.create(CreateCheckpoint { drill: true, ..CreateCheckpoint::default() }).await;
        assert!(run.sealed, "{}", self.story(&run.id).await);
        self.store.checkpoint_view(&run.checkpoint.unwrap()).await.unwrap()
    }

    pub async fn restore(&self, id: &CheckpointId, request: RestoreCheckpoint) -> RunView {
        let run = self.queue(RunKind::Restore, Some(id), request).await;
        self.ended(&run).await
    }

    /// Waits for a run's end; nothing may hang.
    pub async fn ended(&self, run: &RunId) -> RunView {
        let wait = async {
            loop {
                let view = self.store.run(run).await.unwrap();
                if view.state.is_final() {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(view) => view,
            Err(_) => panic!("{run} hangs: {}", self.story(run).await),
        }
    }

    pub async fn events(&self, run: &RunId) -> Vec<Event> {
        self.store.events(run, 0, 10_000).await.unwrap()
    }

    /// What a run told, for a failure's message.
    pub async fn story(&self, run: &RunId) -> String {
        self.events(run).await.iter().map(|e| serde_json::to_string(e).unwrap() + "\n").collect()
    }

    pub async fn logged(&self, run: &RunId, text: &str) -> bool {
        self.events(run)
            .await
            .iter()
            .any(|event| matches!(&event.body, EventBody::Log { message, .. } if message.contains(text)))
    }

    pub async fn project(&self) -> ProjectRow {
        self.store.find_project("shop").await.unwrap()
    }

    pub async fn vault(&self) -> holdfast_vault::Vault {
        self.desk.vaults().of_project(&self.project().await).await.unwrap().vault
    }

    /// Of checkpoints.
    pub async fn snapshots(&self) -> Vec<holdfast_vault::Snapshot> {
        self.tagged("holdfast").await
    }

    pub async fn tagged(&self, tag: &str) -> Vec<holdfast_vault::Snapshot> {
        let vault = self.vault().await;
        let mut all = tokio::task::spawn_blocking(move || vault.snapshots().unwrap()).await.unwrap();
        all.retain(|snapshot| snapshot.tags.iter().any(|known| known == tag));
        all
    }

    /// Stock restic on the vault: what it prints, if it says that all is well.
    pub async fn restic(&self, arguments: &[&str]) -> String {
        let kit = self.desk.vaults().recovery_kit(&self.project().await, "test").await.unwrap();
        let output = tokio::process::Command::new("restic")
            .args(["--no-cache", "-r", &kit.repository])
            .args(arguments)
            .env("RESTIC_PASSWORD", &kit.password)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "restic {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As if the server had died between the snapshot and the catalogue: nothing is known of this checkpoint.
    pub async fn unpublish(&self, run: &RunId, attempt: u32) {
        let id = self.store.run(run).await.unwrap().checkpoint.unwrap();
        for table in ["fact", "drill", "tag", "checkpoint_component", "checkpoint_copy"] {
            self.sql(&format!("delete from {table} where checkpoint = '{id}'")).await;
        }
        self.sql(&format!("delete from checkpoint where id = '{id}'")).await;
        self.died(run, attempt).await;
    }

    /// As if the server had died while a worker held this run.
    pub async fn died(&self, run: &RunId, attempt: u32) {
        self.sql(&format!(
            "update run set state = 'running', sealed = 0, gate_open = null, ended_at = null, message = null, \
             attempt = {attempt}, worker = 'gone', lease_until = 99999999999999999 where id = '{run}'"
        ))
        .await;
    }

    pub fn leftovers(&self) -> Vec<PathBuf> {
        let places = [self.data().join("scratch"), self.data().join("vaults/shop/locks")];
        places
            .iter()
            .filter_map(|place| std::fs::read_dir(place).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

fn definition(app: &Path) -> String {
    let app = app.display();
    format!(
        r#"{{"project":"shop","environment":"production","app":{{"hostname":"shop.example.org"}},"components":[
          {{"name":"uploads","kind":"files","path":"{app}/uploads","exclude":["*.log"]}},
          {{"name":"settings","kind":"config","file":"{app}/.env","variables":[{{"name":"TOKEN","value":"{CANARY_DEFINITION}"}}]}},
          {{"name":"search","kind":"sqlite","path":"{app}/search.db"}}]}}"#
    )
}

async fn apply(store: &Store, key: &ServerKey, text: &str) -> EnvironmentId {
    let definition: Definition = serde_json::from_str(text).unwrap();
    assert_eq!(definition.mistakes(), []);
    let components = definition
        .components
        .iter()
        .map(|component| AppliedComponent {
            name: component.name.clone(),
            kind: component.kind(),
            host: component.host.clone(),
            location: "somewhere".into(),
            not_covered: vec![],
            recoverable: None,
        })
        .collect();
    let applied = AppliedDefinition {
        project: definition.project,
        environment: definition.environment,
        raw: text.as_bytes().to_vec().into(),
        view: AppliedView { components, ..AppliedView::default() },
    };
    store.apply(key, "ada", applied).await.unwrap()
}
