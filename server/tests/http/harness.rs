//! One server per test, and what it said to its log.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
};

use holdfast::{
    auth::ClientFile,
    config::Settings,
    serve::{Launched, launch_with_listener},
};
use holdfast_model::access::Permission;
use reqwest::{Client, Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What all servers of this test process have logged, at the finest level of ours.
pub static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter("info,holdfast=trace,holdfast_engine=trace,tower_http=trace,sqlx=debug")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    log
});

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub struct Server {
    pub launched: Launched,
    pub token: String,
    pub folder: TempDir,
    client: Client,
}

impl Server {
    /// Without workers: what the catalogue says is what the test did.
    pub async fn start() -> Self {
        Self::with("workers = 0\n").await
    }

    pub async fn with(config: &str) -> Self {
        LazyLock::force(&LOG);
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let launched = launch_with_listener(settings(folder.path(), config), listener).await.unwrap();
        let token = ClientFile::read(&folder.path().join("data/client.json")).unwrap().token.expose().to_owned();
        Self::of(launched, folder, token)
    }

    /// One that was started over an earlier one's folder.
    pub fn of(launched: Launched, folder: TempDir, token: String) -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .unwrap();
        Self { launched, token, folder, client }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A request without any credential.
    pub fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.launched.address);
        self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url)
    }

    /// With the host's own credential.
    pub fn host(&self, method: &str, path: &str) -> RequestBuilder {
        self.ask(method, path).bearer_auth(&self.token)
    }

    pub async fn json(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
    }

    /// Signs in by a link; gives the cookie as a browser would send it.
    pub async fn sign_in(&self) -> String {
        let link = self.launched.sign_in_link().await.unwrap();
        let token = link.url.split_once("token=").unwrap().1.to_owned();
        let answer = self.ask("POST", "/sign-in").form(&[("token", token)]).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        cookie(&answer).expect("a session cookie")
    }

    /// The token of a new key for these projects, or for all where there is none.
    pub async fn key(&self, projects: &[&str], scopes: &[Permission]) -> String {
        let request =
            json!({ "name": "a pipeline", "projects": projects, "everywhere": projects.is_empty(), "scopes": scopes });
        let (status, made) = self.json(self.host("POST", "/v1/keys").json(&request)).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    /// Asks for a checkpoint that no worker takes; gives its run's id.
    pub async fn queue(&self, environment: &str) -> String {
        let request = self.host("POST", "/v1/checkpoints").json(&json!({ "environment": environment }));
        let (status, run) = self.json(request).await;
        assert_eq!(status, 202, "{run}");
        run["id"].as_str().unwrap().to_owned()
    }

    /// Applies an environment of one folder; gives its id.
    pub async fn environment(&self) -> String {
        self.environment_of("shop").await
    }

    /// The same in a project of this name.
    pub async fn environment_of(&self, project: &str) -> String {
        let folder = self.folder.path().join("app/uploads");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.txt"), "hello").unwrap();
        let definition = json!({
            "project": project, "environment": "staging",
            "components": [{ "name": "uploads", "kind": "files", "path": folder }],
        });
        let request = self.host("POST", "/v1/environments").json(&json!({ "definition": definition }));
        let (status, view) = self.json(request).await;
        assert_eq!(status, 200, "{view}");
        view["id"].as_str().unwrap().to_owned()
    }
}

pub fn settings(folder: &Path, config: &str) -> Settings {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("holdfast.toml"), config).unwrap();
    let scratch = folder.join("scratch");
    Settings::from_sources(None, &|name| match name {
        "HOLDFAST_DATA_DIR" => Some(data.to_string_lossy().into_owned()),
        "HOLDFAST_SCRATCH_DIR" => Some(scratch.to_string_lossy().into_owned()),
        _ => None,
    })
    .unwrap()
}

/// `name=value` of the cookie that an answer sets.
pub fn cookie(answer: &Response) -> Option<String> {
    let set = answer.headers().get(header::SET_COOKIE)?.to_str().unwrap();
    Some(set.split(';').next().unwrap().to_owned())
}
