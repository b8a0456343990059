//! The life of the service: take the places, open the catalogue, start workers and listener, and end in good order.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use holdfast_engine::{ToolSettings, Tools};
use holdfast_vault::VaultOptions;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    actions::Actions,
    auth::{self, AccessError, Identity, SignInLink},
    config::{DataDirLock, PlaceError, Settings},
    http::{self, Route, Table, Web},
    jobs::{Desk, DeskSettings},
    keys::{KeyError, ServerKey},
    store::{Store, StoreError},
    vaults::Vaults,
};

mod log;

pub use log::start as start_log;

/// How long running work and open answers are waited for at the end; what is left then is taken up at the next start.
const GRACE: Duration = Duration::from_secs(20);

/// Why the service cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Without an identity provider and https nobody but this machine may reach it.
    #[error(
        "refusing to listen on {0}: beyond this machine Holdfast listens only where people sign in with an identity \
         provider ([[identity]] in holdfast.toml) and come by https (HOLDFAST_PUBLIC_URL); set HOLDFAST_LISTEN to \
         127.0.0.1:{port}, and put a proxy or an SSH tunnel before it",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; choose another address by HOLDFAST_LISTEN")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Data directory, vaults or scratch space.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The server key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `client.json`, or a sign-in link.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The public address.
    #[error("HOLDFAST_PUBLIC_URL cannot be used: {0}")]
    PublicUrl(String),
    /// No client for requests to identity providers can be made.
    #[error("identity providers cannot be asked: {0}")]
    Identity(#[from] reqwest::Error),
    /// The listener failed later on.
    #[error("the listener failed: {0}")]
    Io(#[from] io::Error),
}

/// A service that runs.
pub struct Launched {
    /// Where it listens, with the real port.
    pub address: SocketAddr,
    /// By what people reach it.
    pub url: Url,
    cancel: CancellationToken,
    served: JoinHandle<io::Result<()>>,
    workers: JoinHandle<()>,
    actions: Actions,
    routes: Vec<Route>,
    _lock: DataDirLock,
}

/// Runs the service until SIGTERM or SIGINT. `ready` is called once, when everything runs.
///
/// # Errors
/// [`ServeError`] says what to do.
pub async fn serve(settings: Settings, ready: impl FnOnce(&Launched, Option<&SignInLink>)) -> Result<(), ServeError> {
    let address = settings.listen;
    refuse_open_door(&settings, address)?;
    let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let launched = launch_with_listener(settings, listener).await?;
    // Where people sign in with a provider nobody needs one at every start.
    let by_link = launched.actions().settings().identity.providers.is_empty();
    let link = if by_link { Some(launched.sign_in_link().await?) } else { None };
    ready(&launched, link.as_ref());
    let asked = stop_asked()?;
    launched.run_until(asked).await
}

/// Starts everything on a listener that is already bound: how tests have a port of their own.
///
/// # Errors
/// As [`serve`].
pub async fn launch_with_listener(settings: Settings, listener: TcpListener) -> Result<Launched, ServeError> {
    let address = listener.local_addr()?;
    refuse_open_door(&settings, address)?;
    let lock = settings.take_places()?;
    let key = ServerKey::load_or_create(&settings.key_file)?;
    let store = Store::open(settings.catalogue_url().expose()).await?;
    store.check_key(&key).await?;
    let local = local_url(address)?;
    let url = settings.public_url.clone().unwrap_or_else(|| local.clone());
    let identity = Identity::new(&settings.identity, store.clone(), key.clone(), &url, &settings.data_dir)?;
    auth::host_credential(&store, &settings.client_file(), local.as_str().trim_end_matches('/')).await?;
    let tools = Arc::new(Tools::find(&tool_settings(&settings)).await);
    let desk = desk(&settings, &store, &key, &tools);
    let cancel = CancellationToken::new();
    let actions = Actions::new(desk.clone(), key, tools, settings.clone());
    let web = Web::new(actions.clone(), identity.clone(), url.clone(), http::leptos_options(address), cancel.clone());
    let table = Table::of(&web);
    let routes = table.routes();
    let router = http::router(web, table).map_err(|error| ServeError::PublicUrl(error.to_string()))?;
    let workers = if settings.workers == 0 { tokio::spawn(async {}) } else { desk.start(cancel.clone()) };
    let stopped = cancel.clone();
    let served = tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(async move { stopped.cancelled().await }).await
    });
    tokio::spawn(watch_glass(identity.clone(), cancel.clone()));
    tokio::spawn(async move { identity.warm().await });
    tracing::info!(%address, data_dir = %settings.data_dir.display(), "serving");
    Ok(Launched { address, url, cancel, served, workers, actions, routes, _lock: lock })
}

/// Beyond this machine only those may knock who prove who they are, and whose secrets nobody can read on the way.
fn refuse_open_door(settings: &Settings, address: SocketAddr) -> Result<(), ServeError> {
    let secure = settings.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let proven = !settings.identity.providers.is_empty();
    if address.ip().is_loopback() || (secure && proven) { Ok(()) } else { Err(ServeError::NotLoopback(address)) }
}

impl Launched {
    /// What may be asked of it, without the way through HTTP.
    #[must_use]
    pub fn actions(&self) -> &Actions {
        &self.actions
    }

    /// Every address that it answers, with its rule.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// A new one-time link.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn sign_in_link(&self) -> Result<SignInLink, ServeError> {
        Ok(auth::new_link(self.actions.store(), &self.url, &auth::owner()).await?)
    }

    /// Goes on until `asked` resolves or the listener fails, then ends in good order.
    ///
    /// # Errors
    /// When the listener failed.
    pub async fn run_until(mut self, asked: impl Future<Output = ()>) -> Result<(), ServeError> {
        let housekeeping = tokio::spawn(forget_old_sessions(self.actions.clone(), self.cancel.clone()));
        let early = tokio::select! {
            () = asked => None,
            ended = &mut self.served => Some(ended),
        };
        let ended = match early {
            Some(ended) => {
                self.cancel.cancel();
                let _ = tokio::time::timeout(GRACE, &mut self.workers).await;
                ended.map_err(io::Error::other)?.map_err(ServeError::from)
            }
            None => self.stop().await,
        };
        housekeeping.abort();
        ended
    }

    /// Takes no more work, ends open streams, waits for what runs, at most 20 s.
    ///
    /// # Errors
    /// When the listener failed.
    pub async fn stop(self) -> Result<(), ServeError> {
        tracing::info!("stopping");
        self.cancel.cancel();
        let served = tokio::time::timeout(GRACE, async { tokio::join!(self.served, self.workers) }).await;
        match served {
            Ok((served, _)) => served.map_err(io::Error::other)?.map_err(ServeError::from),
            Err(_) => {
                tracing::warn!("some work did not end within 20 s; it is taken up at the next start");
                Ok(())
            }
        }
    }
}

/// The address of this machine's own clients.
fn local_url(address: SocketAddr) -> Result<Url, ServeError> {
    Url::parse(&format!("http://{address}")).map_err(|error| ServeError::PublicUrl(error.to_string()))
}

pub(crate) fn tool_settings(settings: &Settings) -> ToolSettings {
    ToolSettings {
        postgres_dirs: settings.postgres_dirs.clone(),
        drill_user: settings.drill_user.clone(),
        templates: settings.scratch_dir.clone(),
        ..ToolSettings::default()
    }
}

pub(crate) fn vault_options(settings: &Settings) -> VaultOptions {
    VaultOptions { memory: settings.vault_memory, ..VaultOptions::default() }
}

pub(crate) fn desk(settings: &Settings, store: &Store, key: &ServerKey, tools: &Arc<Tools>) -> Desk {
    let vaults = Vaults::new(store.clone(), key.clone(), &settings.data_dir, vault_options(settings))
        .with_networks(&settings.allow_networks);
    let desk = DeskSettings {
        workers: settings.workers,
        data_dir: settings.data_dir.clone(),
        scratch: settings.scratch_dir.clone(),
        // A definition's commands are checked when it is applied.
        allow: holdfast_engine::Allow::all(),
    };
    Desk::new(store.clone(), vaults, key.clone(), tools.clone(), desk)
}

/// The break-glass password is set on the host without asking the server, so it looks.
async fn watch_glass(identity: Identity, cancel: CancellationToken) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = minute.tick() => {}
        }
        if let Err(error) = identity.notice_glass().await {
            tracing::warn!(%error, "whether a break-glass password was set could not be written down");
        }
    }
}

async fn forget_old_sessions(actions: Actions, cancel: CancellationToken) {
    let mut hour = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = hour.tick() => {}
        }
        if let Err(error) = actions.store().delete_expired_sessions().await {
            tracing::warn!(%error, "old sessions could not be removed");
        }
        if let Err(error) = actions.store().delete_old_pending().await {
            tracing::warn!(%error, "old pending actions could not be removed");
        }
    }
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_asked() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
