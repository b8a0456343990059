//! Keys of programs: for programs of admins, and the forms of the dashboard, whose answer is a page that shows the token
//! once and stands in no history or address.

use axum::{
    Form,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use holdfast_model::{
    access::Permission,
    key::{CreateKey, CreatedKey, KeyView, RotateKey},
};
use leptos::prelude::*;
use serde::Deserialize;

use super::{
    ApiError,
    card::{document, refusal},
    extract::{Json, Path},
};
use crate::actions::{ActionError, Actions};

type Answer<T> = Result<axum::Json<T>, ApiError>;

/// The page that lists them.
const PAGE: &str = "/settings/keys";

/// `GET /v1/keys`
pub(super) async fn list(actions: Actions) -> Answer<Vec<KeyView>> {
    Ok(axum::Json(actions.list_keys().await?))
}

/// `POST /v1/keys`
pub(super) async fn create(
    actions: Actions,
    Json(request): Json<CreateKey>,
) -> Result<(StatusCode, axum::Json<CreatedKey>), ApiError> {
    Ok((StatusCode::CREATED, axum::Json(actions.create_key(request).await?)))
}

/// `POST /v1/keys/{id}/rotate`
pub(super) async fn rotate(
    actions: Actions,
    Path(id): Path<String>,
    Json(request): Json<RotateKey>,
) -> Result<(StatusCode, axum::Json<CreatedKey>), ApiError> {
    Ok((StatusCode::CREATED, axum::Json(actions.rotate_key(&id, request).await?)))
}

/// `DELETE /v1/keys/{id}`
pub(super) async fn revoke(actions: Actions, Path(id): Path<String>) -> Answer<KeyView> {
    Ok(axum::Json(actions.revoke_key(&id).await?))
}

/// The form for a new key. A box that is not ticked is not sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyForm {
    name: String,
    /// A project, or `*` for every one.
    project: String,
    #[serde(default)]
    drill: Option<String>,
    #[serde(default)]
    cancel: Option<String>,
    #[serde(default)]
    create: Option<String>,
    #[serde(default)]
    expires_in: Option<String>,
    /// One a line, or between commas.
    #[serde(default)]
    networks: String,
}

impl NewKeyForm {
    fn request(self) -> Result<CreateKey, ActionError> {
        let everywhere = self.project == "*";
        let project = (!everywhere).then(|| self.project.parse()).transpose();
        let project =
            project.map_err(|_| ActionError::invalid("project", "Choose the project that the key is for."))?;
        let ticked =
            [(self.create, Permission::Create), (self.drill, Permission::Drill), (self.cancel, Permission::Cancel)];
        let mut scopes: std::collections::BTreeSet<Permission> =
            ticked.into_iter().filter_map(|(ticked, scope)| ticked.map(|_| scope)).collect();
        scopes.insert(Permission::View);
        let networks = self.networks.split([',', '\n', ' ', '\r']).map(str::trim).filter(|text| !text.is_empty());
        Ok(CreateKey {
            name: self.name,
            projects: project.into_iter().collect(),
            everywhere,
            scopes,
            expires_in: self.expires_in,
            networks: networks.map(ToOwned::to_owned).collect(),
        })
    }
}

/// `POST /ui/keys`
pub(super) async fn form(actions: Actions, Form(form): Form<NewKeyForm>) -> Response {
    let made = async { actions.create_key(form.request()?).await };
    shown(made.await)
}

/// `POST /ui/keys/{id}/rotate`
pub(super) async fn rotate_form(actions: Actions, Path(id): Path<String>) -> Response {
    shown(actions.rotate_key(&id, RotateKey::default()).await)
}

/// `POST /ui/keys/{id}/revoke`
pub(super) async fn revoke_form(actions: Actions, Path(id): Path<String>) -> Response {
    match actions.revoke_key(&id).await {
        Ok(_) => Redirect::to(PAGE).into_response(),
        Err(error) => refused(error),
    }
}

fn refused(error: ActionError) -> Response {
    match error {
        ActionError::SignInAgain => Redirect::to("/sign-in/again?next=%2Fsettings%2Fkeys").into_response(),
        other => refusal(other.into(), "Nothing was changed", PAGE.to_owned()),
    }
}

fn shown(made: Result<CreatedKey, ActionError>) -> Response {
    let made = match made {
        Ok(made) => made,
        Err(error) => return refused(error),
    };
    let until = made.key.expires_at.date().to_string();
    let replaced = made.key.replaces.is_some().then(|| {
        view! { <p>"The key before it goes on working for 24 hours at most."</p> }
    });
    let body = view! {
        <p>"This is the only time that it is shown: put it where "<strong>{made.key.name}</strong>" reads it, now."</p>
        <pre class="token"><code>{made.token.expose().to_owned()}</code></pre>
        <p>{format!("It works until {until}. A program sends it as ")}<code>"authorization: Bearer …"</code>"."</p>
        {replaced}
        <p><a class="button primary" href=PAGE>"I have stored it"</a></p>
    };
    document(StatusCode::OK, "The new key", body.into_any())
}
