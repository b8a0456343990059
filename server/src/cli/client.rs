//! The REST API from the outside: one method an endpoint, each giving the model's type or a [`Failure`].

use std::time::Duration;

use holdfast_model::{
    diff::{Diff, FileView, TableRows},
    id::RunId,
    name::Name,
    plan::RestorePlan,
    request::{
        AddVault, AdoptVault, CheckVault, CopyCatalogue, CopyVault, CreateCheckpoint, PruneVault, RepairVault,
        RestoreCheckpoint,
    },
    view::{
        AddedVault, Adopted, CatalogueCopied, CatalogueKit, CheckpointList, CheckpointView, Confirmation,
        EnvironmentView, LogLine, RecoveryKit, RunList, RunView, StartedCopy, VaultView,
    },
};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use time::OffsetDateTime;
use url::{Host, Url};

use super::{credential::Credential, discover::Server, failure::Failure};

mod access;
mod pending;
mod send;

pub use send::root_cause;

/// Applying a definition tries its databases out, which takes the longest of all plain requests.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);
/// A stream says something every 15 seconds, if only that it is still there.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// A connection to one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// For what may be silent for as long as the other side works.
    patient: reqwest::Client,
    base: Url,
    credential: Credential,
}

/// What narrows a list of checkpoints.
#[derive(Debug, Default)]
pub struct Filter {
    /// `name`, `project/name` or `env_…`.
    pub environment: Option<String>,
    /// Only with this label.
    pub tag: Option<String>,
    /// Only younger than this: `7d`.
    pub since: Option<String>,
    /// Rows at most.
    pub limit: Option<u32>,
}

/// A link that signs one browser in, once.
#[derive(Debug, Serialize, Deserialize)]
pub struct SignInLink {
    /// The link.
    pub url: String,
    /// Until when it can be used.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the system's TLS or resolver cannot be set up.
    pub fn new(server: Server) -> Result<Self, Failure> {
        let builder = || http(&server.url);
        let built =
            |builder: reqwest::ClientBuilder| builder.build().map_err(|error| Failure::Server(root_cause(&error)));
        let http = built(builder().read_timeout(SILENT_FOR.max(ANSWER_WITHIN)))?;
        let patient = built(builder().tcp_keepalive(SILENT_FOR))?;
        Ok(Self { http, patient, base: server.url, credential: server.credential })
    }

    /// Whether the token leaves this machine without encryption.
    pub fn sends_token_in_clear(&self) -> bool {
        self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    /// `GET /v1/environments`.
    pub async fn environments(&self) -> Result<Vec<EnvironmentView>, Failure> {
        self.get(&["environments"], &[]).await
    }

    /// `GET /v1/environments/{env}`.
    pub async fn environment(&self, environment: &str) -> Result<EnvironmentView, Failure> {
        self.get(&["environments", &named(environment)], &[]).await
    }

    /// `POST /v1/environments`.
    pub async fn apply(&self, definition: &serde_json::Value, dry_run: bool) -> Result<EnvironmentView, Failure> {
        let body = json!({ "definition": definition, "dry_run": dry_run });
        self.read(self.http.post(self.url(&["environments"])?).json(&body)).await
    }

    /// `GET /v1/environments/{env}/logs`, oldest line first.
    pub async fn logs(&self, environment: &str, component: Option<&str>, limit: u32) -> Result<Vec<LogLine>, Failure> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(component.map(|name| ("component", name.to_owned())));
        self.get(&["environments", &named(environment), "logs"], &query).await
    }

    /// `GET /v1/checkpoints`.
    pub async fn checkpoints(&self, filter: &Filter) -> Result<CheckpointList, Failure> {
        let query: Vec<(&str, String)> = [
            ("environment", filter.environment.clone()),
            ("tag", filter.tag.clone()),
            ("since", filter.since.clone()),
            ("limit", filter.limit.map(|limit| limit.to_string())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
        self.get(&["checkpoints"], &query).await
    }

    /// `POST /v1/checkpoints`.
    pub async fn create(&self, request: &CreateCheckpoint) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["checkpoints"])?).json(request)).await
    }

    /// `GET /v1/checkpoints/{id}`; the id may be a prefix, `ENV@latest` or `latest`.
    pub async fn checkpoint(&self, id: &str) -> Result<CheckpointView, Failure> {
        self.get(&["checkpoints", id], &[]).await
    }

    /// `DELETE /v1/checkpoints/{id}`.
    pub async fn delete(&self, id: &str) -> Result<(), Failure> {
        self.send(self.http.delete(self.url(&["checkpoints", id])?).timeout(ANSWER_WITHIN)).await.map(drop)
    }

    /// `POST /v1/checkpoints/{id}/verify`.
    pub async fn verify(&self, id: &str) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["checkpoints", id, "verify"])?)).await
    }

    /// `POST /v1/checkpoints/{id}/drill`.
    pub async fn drill(&self, id: &str) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["checkpoints", id, "drill"])?)).await
    }

    /// `POST /v1/checkpoints/{id}/restore`.
    pub async fn restore(&self, id: &str, request: &RestoreCheckpoint) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["checkpoints", id, "restore"])?).json(request)).await
    }

    /// `POST /v1/checkpoints/{id}/restore/plan`.
    pub async fn restore_plan(&self, id: &str, request: &RestoreCheckpoint) -> Result<RestorePlan, Failure> {
        self.read(self.http.post(self.url(&["checkpoints", id, "restore", "plan"])?).json(request)).await
    }

    /// `GET /v1/checkpoints/{id}/diff/{other}`; with `rows` it takes as long as reading the dumps does.
    pub async fn diff(&self, first: &str, second: &str, rows: bool) -> Result<Diff, Failure> {
        let request = self.patient.get(self.url(&["checkpoints", first, "diff", second])?);
        self.read_late(request.query(&[("rows", rows)])).await
    }

    /// `GET /v1/checkpoints/{id}/diff/{other}/file`; `raw` is the path in hexadecimal where it is not text.
    pub async fn diff_file(
        &self,
        (first, second): (&str, &str),
        component: &str,
        path: &str,
        raw: Option<&str>,
    ) -> Result<FileView, Failure> {
        let path = raw.map_or(("path", path), |raw| ("raw", raw));
        let request = self.http.get(self.url(&["checkpoints", first, "diff", second, "file"])?);
        self.read(request.query(&[("component", component), path])).await
    }

    /// `GET /v1/checkpoints/{id}/diff/{other}/table`: a page of changed rows, behind `after`.
    pub async fn diff_table(
        &self,
        (first, second): (&str, &str),
        component: &str,
        schema: &str,
        table: &str,
        after: Option<&str>,
    ) -> Result<TableRows, Failure> {
        let request = self.patient.get(self.url(&["checkpoints", first, "diff", second, "table"])?);
        let mut query = vec![("component", component), ("schema", schema), ("table", table)];
        query.extend(after.map(|after| ("after", after)));
        self.read_late(request.query(&query)).await
    }

    /// `GET /v1/checkpoints/{id}/content/{path}`: the bytes of one file, as they come.
    pub async fn content(&self, id: &str, path: &str) -> Result<Response, Failure> {
        let mut segments = vec!["checkpoints", id, "content"];
        segments.extend(path.split('/').filter(|part| !part.is_empty()));
        self.send(self.http.get(self.url(&segments)?)).await
    }

    /// `GET /v1/checkpoints/{id}/folder`: a folder of a `files` component as `.tar.zst`, as it comes.
    pub async fn folder(&self, id: &str, component: &str, path: &str) -> Result<Response, Failure> {
        let url = self.url(&["checkpoints", id, "folder"])?;
        self.send(self.patient.get(url).query(&[("component", component), ("path", path)])).await
    }

    /// `GET /v1/checkpoints/{id}/export`: the archive, as it comes. The answer may be long in coming: the server reads
    /// the whole checkpoint first.
    pub async fn export(&self, id: &str, format: &str, plain_sql: bool) -> Result<Response, Failure> {
        let url = self.url(&["checkpoints", id, "export"])?;
        let query = [("format", format), ("plain_sql", if plain_sql { "true" } else { "false" })];
        self.send(self.patient.get(url).query(&query)).await
    }

    /// `POST /v1/imports`: answered when the archive is sealed, or refused.
    pub async fn import(&self, environment: Option<&str>, body: reqwest::Body) -> Result<RunView, Failure> {
        let request = self
            .patient
            .post(self.url(&["imports"])?)
            .query(&environment.map(|environment| ("environment", environment)).as_slice());
        let request = request.header("content-type", "application/octet-stream").body(body);
        let response = self.send(request).await?;
        self.parsed(response).await
    }

    /// `GET /v1/runs/{id}`.
    pub async fn run(&self, run: &RunId) -> Result<RunView, Failure> {
        self.get(&["runs", run.as_str()], &[]).await
    }

    /// The newest page of `GET /v1/runs`.
    pub async fn runs(&self, environment: &str) -> Result<Vec<RunView>, Failure> {
        let page: RunList = self.get(&["runs"], &[("environment", environment.to_owned())]).await?;
        Ok(page.items)
    }

    /// `POST /v1/runs/{id}/cancel`.
    pub async fn cancel(&self, run: &RunId) -> Result<(), Failure> {
        let request = self.http.post(self.url(&["runs", run.as_str(), "cancel"])?);
        self.send(request.timeout(ANSWER_WITHIN)).await.map(drop)
    }

    /// `GET /v1/runs/{id}/events`: the stream behind the event `after`; none when there is nothing behind it.
    pub async fn events(&self, run: &RunId, after: u64) -> Result<Option<Response>, Failure> {
        let request = self.http.get(self.url(&["runs", run.as_str(), "events"])?).header("accept", "text/event-stream");
        let response = self.send(request.header("last-event-id", after.to_string())).await?;
        Ok((response.status() != StatusCode::NO_CONTENT).then_some(response))
    }

    /// `GET /v1/vaults/{project}/recovery-kit`, of the primary vault when no location is given.
    pub async fn recovery_kit(&self, project: &str, location: Option<&str>) -> Result<RecoveryKit, Failure> {
        let query: Vec<_> = location.map(|location| ("location", location.to_owned())).into_iter().collect();
        self.get(&["vaults", project, "recovery-kit"], &query).await
    }

    /// `POST /v1/vaults/{project}/recovery-kit/confirm`.
    pub async fn confirm_recovery_kit(&self, project: &str, location: Option<&str>) -> Result<(), Failure> {
        let url = self.url(&["vaults", project, "recovery-kit", "confirm"])?;
        let request = self.http.post(url).query(&location.map(|location| ("location", location)).as_slice());
        self.send(request.timeout(ANSWER_WITHIN)).await.map(drop)
    }

    /// `POST /v1/vaults/{project}/prune`.
    pub async fn prune(&self, project: &str, request: &PruneVault) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["vaults", project, "prune"])?).json(request)).await
    }

    /// `POST /v1/vaults/{project}/check`.
    pub async fn check(&self, project: &str, request: &CheckVault) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["vaults", project, "check"])?).json(request)).await
    }

    /// `POST /v1/vaults/{project}/repair`.
    pub async fn repair(&self, project: &str, request: &RepairVault) -> Result<RunView, Failure> {
        self.read(self.http.post(self.url(&["vaults", project, "repair"])?).json(request)).await
    }

    /// `POST /v1/vaults/{project}/copy`.
    pub async fn copy(&self, project: &str, request: &CopyVault) -> Result<StartedCopy, Failure> {
        self.read(self.http.post(self.url(&["vaults", project, "copy"])?).json(request)).await
    }

    /// `GET /v1/vaults`.
    pub async fn vaults(&self) -> Result<Vec<VaultView>, Failure> {
        self.get(&["vaults"], &[]).await
    }

    /// `POST /v1/vaults/{project}`.
    pub async fn add_vault(&self, project: &Name, request: &AddVault) -> Result<AddedVault, Failure> {
        self.read(self.http.post(self.url(&["vaults", project.as_str()])?).json(request)).await
    }

    /// `POST /v1/vaults`.
    pub async fn adopt(&self, request: &AdoptVault) -> Result<Adopted, Failure> {
        self.read_late(self.patient.post(self.url(&["vaults"])?).json(request)).await
    }

    /// `POST /v1/catalogue/copies`; it takes as long as it takes.
    pub async fn copy_catalogue(&self, request: &CopyCatalogue) -> Result<CatalogueCopied, Failure> {
        self.read_late(self.patient.post(self.url(&["catalogue", "copies"])?).json(request)).await
    }

    /// `GET /v1/catalogue/kit`.
    pub async fn catalogue_kit(&self) -> Result<CatalogueKit, Failure> {
        self.get(&["catalogue", "kit"], &[]).await
    }

    /// `GET /v1/environments/{env}/confirmation`.
    pub async fn confirmation(&self, environment: &str) -> Result<Confirmation, Failure> {
        self.get(&["environments", &named(environment), "confirmation"], &[]).await
    }

    /// `POST /v1/environments/{env}/confirmation`.
    pub async fn confirm(&self, environment: &str) -> Result<EnvironmentView, Failure> {
        self.read(self.http.post(self.url(&["environments", &named(environment), "confirmation"])?)).await
    }

    /// `POST /v1/sign-in-links`.
    pub async fn sign_in_link(&self) -> Result<SignInLink, Failure> {
        self.read(self.http.post(self.url(&["sign-in-links"])?)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> Result<T, Failure> {
        self.read(self.http.get(self.url(path)?).query(query)).await
    }

    /// The address of `/v1/…`; every part is one segment, whatever characters it has.
    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        // An empty or dotted segment would name another address.
        if let Some(bad) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::Usage {
                message: format!("`{bad}` names nothing"),
                mend: "give a name or an id; `holdfast checkpoint list` and `holdfast env list` show them".into(),
            });
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        Ok(url)
    }
}

/// How requests to an address are sent: what it redirects to is never followed.
pub fn http(to: &Url) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(to) { builder.no_proxy() } else { builder }
}

/// `project/name` as one segment of a path.
fn named(environment: &str) -> String {
    environment.replacen('/', "~", 1)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
