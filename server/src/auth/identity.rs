//! Who somebody is, by the word of a provider that the settings name: signing in (OpenID Connect), sessions of people,
//! and access tokens of programs. Somebody is known by issuer and subject, never by a name or an e-mail address.
//!
//! | room | what it holds |
//! |---|---|
//! | `issuer` | what an issuer says of itself; its keys, fetched at most once a minute |
//! | `token` | whether a signed token holds |
//! | `claims` | from claims to access |
//! | `person` | whom a provider speaks of |
//! | `flow` | authorization code with PKCE, step-up |
//! | `refresh` | the same person once more, with the roles of now |
//! | `sessions` | who is signed in by a browser's session, and for how long |
//! | `enter` | the beginning of such a session |
//! | `glass` | the way in when no provider answers |
//! | `logout` | the end of a session, from either side |
//! | `bearer` | access tokens, of programs and of people at a terminal |

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Semaphore;
use url::Url;

use crate::{
    config::{IdentitySettings, ProviderSettings, WorkflowSettings},
    keys::ServerKey,
    store::Store,
};

mod bearer;
mod claims;
mod enter;
mod flow;
mod glass;
mod issuer;
mod logout;
mod person;
mod refresh;
mod sessions;
mod token;

pub use bearer::BearerError;
pub use flow::{Answer, Grant, Pending, SignInError};
pub use glass::{GLASS, GlassTried};
pub use logout::LogoutError;
pub use sessions::{Again, SessionError, refusal};

/// How long a provider may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who signs people in and whose tokens are taken. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    providers: Vec<Arc<Provider>>,
    workflows: Vec<Workflow>,
    links_sign_in: bool,
    store: Store,
    key: ServerKey,
    /// Holds the break-glass password, where one is set.
    data_dir: PathBuf,
    /// One password is hashed at a time.
    hashing: Semaphore,
}

/// A provider that people sign in with.
pub struct Provider {
    /// As it was set.
    pub settings: ProviderSettings,
    issuer: issuer::Issuer,
    http: reqwest::Client,
    base: Url,
}

/// A repository whose workflows are let in.
struct Workflow {
    settings: WorkflowSettings,
    issuer: Arc<issuer::Issuer>,
}

impl Identity {
    /// Nobody is asked yet. `base` is the address by which people reach this server, `data_dir` where a break-glass
    /// password would be.
    ///
    /// # Errors
    /// When no client for requests can be made.
    pub fn new(
        settings: &IdentitySettings,
        store: Store,
        key: ServerKey,
        base: &Url,
        data_dir: &Path,
    ) -> Result<Self, reqwest::Error> {
        // Where a provider sends its answers is never for us to follow.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE / 2)
            .build()?;
        let provider = |settings: &ProviderSettings| {
            Arc::new(Provider {
                settings: settings.clone(),
                issuer: issuer::Issuer::new(settings.issuer.clone(), http.clone()),
                http: http.clone(),
                base: base.clone(),
            })
        };
        let mut workflows: Vec<Workflow> = Vec::new();
        for settings in &settings.workflows {
            let known = workflows.iter().find(|known| known.settings.issuer == settings.issuer);
            let issuer = known.map_or_else(
                || Arc::new(issuer::Issuer::new(settings.issuer.clone(), http.clone())),
                |known| Arc::clone(&known.issuer),
            );
            workflows.push(Workflow { settings: settings.clone(), issuer });
        }
        Ok(Self(Arc::new(Parts {
            providers: settings.providers.iter().map(provider).collect(),
            workflows,
            links_sign_in: settings.links_sign_in(),
            store,
            key,
            data_dir: data_dir.to_owned(),
            hashing: Semaphore::new(1),
        })))
    }

    /// Whom people can sign in with.
    #[must_use]
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.0.providers
    }

    /// One of them by its name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.0.providers.iter().find(|provider| provider.settings.name.as_str() == name)
    }

    fn by_issuer(&self, issuer: &str) -> Option<&Arc<Provider>> {
        self.0.providers.iter().find(|provider| provider.settings.issuer == issuer)
    }

    fn workflows(&self) -> &[Workflow] {
        &self.0.workflows
    }

    /// Whether a one-time link signs people in.
    #[must_use]
    pub fn links_sign_in(&self) -> bool {
        self.0.links_sign_in
    }

    /// The key by which sessions are wrapped.
    #[must_use]
    pub fn key(&self) -> &ServerKey {
        &self.0.key
    }

    /// Origins that a form of ours may lead to, as far as they are known now.
    #[must_use]
    pub fn form_origins(&self) -> Vec<String> {
        self.0.providers.iter().flat_map(|provider| provider.form_origins()).collect()
    }

    /// Asks every provider once for its addresses, so that the first person need not wait.
    pub async fn warm(&self) {
        for provider in &self.0.providers {
            // Its failure is logged where it happens.
            let _ = provider.issuer.known().await;
        }
    }
}

impl Provider {
    /// One of its addresses on this server.
    fn address(&self, what: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/sign-in/{}/{what}", self.settings.name));
        url
    }

    /// Origins that signing in and out may lead a browser to.
    #[must_use]
    pub fn form_origins(&self) -> Vec<String> {
        self.issuer.current().map_or_else(
            || Url::parse(&self.settings.issuer).map(|url| url.origin().ascii_serialization()).into_iter().collect(),
            |known| known.origins.clone(),
        )
    }

    /// The same once it has been asked, if it can be.
    pub async fn form_origins_asked(&self) -> Vec<String> {
        let _ = self.issuer.known().await;
        self.form_origins()
    }
}
