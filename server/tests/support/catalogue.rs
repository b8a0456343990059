//! A catalogue of its own for one test, in SQLite or in PostgreSQL, and the shortest way to fill it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use holdfast::{
    keys::ServerKey,
    store::{AppliedComponent, AppliedDefinition, AppliedView, Claim, Lane, NewRun, On, Publication, Store},
};
use holdfast_model::{
    drill::DrillReport,
    id::{CheckpointId, EnvironmentId, RunId, VaultId},
    manifest::{FORMAT, Facts, Manifest, ManifestComponent},
    state::{Kind, Proof, RunKind, RunState, Trigger},
};
use sqlx::Connection as _;
use time::OffsetDateTime;

use crate::cluster::Cluster;

/// The secret in every definition that these tests apply.
pub const CANARY: &str = "canary-5up3r-s3cr3t";

/// One catalogue; removed with it.
pub struct Catalogue {
    pub store: Store,
    pub url: String,
    pub key: ServerKey,
    pub folder: tempfile::TempDir,
    _cluster: Option<Arc<Cluster>>,
}

impl Catalogue {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = Store::sqlite_url(&folder.path().join("data dir/catalogue.db"));
        Self::open(folder, url, None).await
    }

    pub async fn postgres() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
        let url = cluster.url(&cluster.database());
        Self::open(tempfile::tempdir().unwrap(), url, Some(cluster)).await
    }

    async fn open(folder: tempfile::TempDir, url: String, cluster: Option<Arc<Cluster>>) -> Self {
        let store = Store::open(&url).await.unwrap();
        let key = ServerKey::load_or_create(&folder.path().join("server.key")).unwrap();
        store.check_key(&key).await.unwrap();
        Self { store, url, key, folder, _cluster: cluster }
    }

    /// Changes a row behind the store's back, as time would.
    pub async fn sql(&self, statement: &str) {
        self.try_sql(statement).await.unwrap();
    }

    /// The same, where the database may refuse it.
    pub async fn try_sql(&self, statement: &str) -> Result<(), sqlx::Error> {
        let mut connection = sqlx::AnyConnection::connect(&self.url).await.unwrap();
        let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await;
        connection.close().await.unwrap();
        done.map(|_| ())
    }

    /// Where the catalogue's file is.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("data dir/catalogue.db")
    }

    pub async fn environment(&self, project: &str, name: &str) -> EnvironmentId {
        let component = AppliedComponent {
            name: "uploads".parse().unwrap(),
            kind: Kind::Files,
            host: "local".into(),
            location: "/srv/uploads".into(),
            not_covered: vec![],
            recoverable: None,
        };
        let raw = format!(r#"{{"project":"{project}","environment":"{name}","components":[],"secret":"{CANARY}"}}"#);
        let definition = AppliedDefinition {
            project: project.parse().unwrap(),
            environment: name.parse().unwrap(),
            raw: raw.into_bytes().into(),
            view: AppliedView { components: vec![component], ..AppliedView::default() },
        };
        self.store.apply(&self.key, "test", definition).await.unwrap()
    }

    pub async fn queue(&self, kind: RunKind, environment: &EnvironmentId, of: Option<&CheckpointId>) -> RunId {
        self.store.enqueue(new_run(kind, environment, of)).await.unwrap()
    }

    pub async fn claim(&self) -> Claim {
        self.store.claim(Lane::Environments, "test/1").await.unwrap().expect("a run may start")
    }

    pub async fn vault(&self, environment: &EnvironmentId) -> VaultId {
        let project = self.store.environment(environment).await.unwrap().project_id;
        self.store
            .begin_vault(&project, "/nowhere", |_| {
                Ok(holdfast::store::NewVault { password: "hf1.".into(), access: None })
            })
            .await
            .unwrap()
            .id
    }

    /// A sealed checkpoint, as a worker would publish it.
    pub async fn sealed(&self, environment: &EnvironmentId, name: Option<&str>, tags: &[&str]) -> CheckpointId {
        self.queue(RunKind::Create, environment, None).await;
        let claim = self.claim().await;
        let sealed = self.publication(&claim, name, tags).await;
        self.store.publish_checkpoint(&claim, &sealed).await.unwrap();
        self.store.finish(&claim, RunState::Succeeded, None, None).await.unwrap();
        sealed.manifest.checkpoint
    }

    /// The same, drilled with this verdict.
    pub async fn drilled(&self, environment: &EnvironmentId, verdict: Proof) -> CheckpointId {
        let id = self.sealed(environment, None, &[]).await;
        self.queue(RunKind::Drill, environment, Some(&id)).await;
        let claim = self.claim().await;
        self.store.record_drill(&claim, &id, &report(verdict)).await.unwrap();
        self.store.finish(&claim, RunState::Succeeded, None, None).await.unwrap();
        id
    }

    pub async fn publication(&self, claim: &Claim, name: Option<&str>, tags: &[&str]) -> Publication {
        let run = &claim.run.view;
        let component = ManifestComponent {
            name: "uploads".parse().unwrap(),
            kind: Kind::Files,
            host: "local".into(),
            place: "files/uploads".into(),
            instant: OffsetDateTime::now_utc(),
            size: 1000,
            stored: 100,
            items: 7,
            ledger: None,
            facts: Facts::None,
            skipped: vec![],
            not_covered: vec!["nothing".into()],
        };
        let place = run.subject.environment().unwrap();
        let manifest = Manifest {
            format: FORMAT,
            holdfast: "0.1.0".into(),
            tools: BTreeMap::new(),
            checkpoint: run.checkpoint.clone().unwrap(),
            run: run.id.clone(),
            attempt: claim.attempt,
            name: name.map(Into::into),
            description: None,
            tags: tags.iter().map(ToString::to_string).collect(),
            project: place.project.clone(),
            environment: place.name.clone(),
            environment_id: place.id.clone(),
            created_at: OffsetDateTime::now_utc(),
            created_by: run.created_by.clone(),
            trigger: claim.run.trigger,
            metadata: BTreeMap::from([("git_commit".to_owned(), "abc123".to_owned())]),
            skew_ms: 3,
            total: component.size,
            stored: component.stored,
            components: vec![component],
            left_out: vec!["search".into()],
            previous: None,
        };
        Publication {
            text: serde_json::to_string_pretty(&manifest).unwrap(),
            manifest,
            vault: self.vault(&place.id).await,
            snapshot: "a".repeat(64),
            tree: "b".repeat(64),
        }
    }
}

pub fn new_run(kind: RunKind, environment: &EnvironmentId, of: Option<&CheckpointId>) -> NewRun {
    NewRun {
        kind,
        on: On::Environment(environment.clone()),
        checkpoint: of.cloned(),
        request: serde_json::Value::Null,
        created_by: "test".into(),
        trigger: Trigger::Api,
        slot: None,
    }
}

pub fn report(verdict: Proof) -> DrillReport {
    DrillReport {
        verdict,
        started_at: OffsetDateTime::now_utc(),
        duration_ms: 1234,
        sandbox: None,
        components: vec![],
        bytes_read: 10,
        bytes_read_earlier: 5,
        reason: None,
    }
}
