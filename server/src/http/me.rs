//! Who asks, and where people sign in at a terminal.

use axum::extract::State;
use holdfast_model::me::{CallerWord, DeviceLogin, Me};

use super::Web;
use crate::auth::{Caller, CallerKind};

/// `GET /v1/me`
pub(super) async fn me(caller: Caller) -> axum::Json<Me> {
    let kind = match caller.kind {
        CallerKind::Host => CallerWord::Host,
        CallerKind::Program => CallerWord::Program,
        CallerKind::Person => CallerWord::Person,
    };
    let access = caller.access;
    axum::Json(Me {
        name: caller.name,
        kind,
        everywhere: access.everywhere,
        projects: access.projects,
        only: access.only,
    })
}

/// `GET /sign-in/devices`: providers that sign people in by device code; none where nobody has set it up.
pub(super) async fn devices(State(web): State<Web>) -> axum::Json<Vec<DeviceLogin>> {
    let providers = web.identity().providers().iter().filter_map(|provider| {
        let settings = &provider.settings;
        Some(DeviceLogin {
            name: settings.name.clone(),
            issuer: settings.issuer.clone(),
            client_id: settings.device_client_id.clone()?,
            scopes: settings.scopes.clone(),
        })
    });
    axum::Json(providers.collect())
}
