//! An `[[identity]]` table as it is written, and what it must say.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_model::{
    access::{Access, Role},
    name::Name,
    secret::Secret,
};
use serde::Deserialize;
use url::Url;

use super::{ClaimIs, ConfigError, ProviderSettings, RoleRule, WorkflowSettings, grant, is_private, refused};

/// Where GitHub Actions' own tokens come from.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// A session ends when nothing was asked for so long.
pub(super) const IDLE: Duration = Duration::from_hours(12);
/// A session ends in any case after so long.
const ABSOLUTE: Duration = Duration::from_hours(7 * 24);
/// For so long a sign-in is new.
const FRESH: Duration = Duration::from_mins(10);

/// An `[[identity]]` table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    #[serde(default)]
    kind: Kind,
    name: Name,
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    device_client_id: Option<String>,
    audience: Option<String>,
    role_claim: Option<String>,
    roles: Option<Vec<RoleRule>>,
    name_claim: Option<String>,
    scopes: Option<Vec<String>>,
    idle: Option<String>,
    absolute: Option<String>,
    fresh: Option<String>,
    service_account: Option<ClaimIs>,
    repository_id: Option<Number>,
    repository_owner_id: Option<Number>,
    role: Option<Role>,
    projects: Option<Vec<String>>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    #[default]
    Oidc,
    Github,
}

/// A number, with or without quotation marks.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Text(String),
}

impl Number {
    fn digits(self) -> Option<String> {
        match self {
            Self::Whole(number) => Some(number.to_string()),
            Self::Text(text) => Some(text).filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit())),
        }
    }
}

impl Written {
    /// As it stands above its own settings.
    pub(super) const fn name(&self) -> &Name {
        &self.name
    }

    /// What it speaks of.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// A provider that people sign in with.
    pub(super) fn provider(self) -> Result<ProviderSettings, ConfigError> {
        let name = self.name;
        let needs = |key: &str, value: Option<String>| {
            value
                .filter(|value| !value.trim().is_empty())
                .ok_or_else(|| refused(&name, &format!("`{key}` is missing; give it")))
        };
        if self.repository_id.is_some()
            || self.repository_owner_id.is_some()
            || self.role.is_some()
            || self.projects.is_some()
        {
            return Err(refused(
                &name,
                "repository_id, repository_owner_id, role and projects belong to kind = \"github\"; here `roles` says \
                 who may do what",
            ));
        }
        let issuer = needs("issuer", self.issuer)?;
        check_issuer(&name, &issuer)?;
        let client_id = needs("client_id", self.client_id)?;
        let audience = self.audience.filter(|audience| !audience.trim().is_empty()).ok_or_else(|| {
            refused(
                &name,
                "`audience` is missing: without it a token that was made for another service would be taken; name the \
                 API, such as holdfast-api, and have your provider put it into `aud` of access tokens (Keycloak: an \
                 audience mapper)",
            )
        })?;
        if audience == client_id {
            return Err(refused(
                &name,
                "`audience` is the same as `client_id`: then an ID token, which any page may hold, could not be told \
                 from an access token; choose another audience, such as holdfast-api",
            ));
        }
        let device_client_id = self.device_client_id.filter(|client| !client.trim().is_empty());
        if device_client_id.as_ref() == Some(&audience) {
            return Err(refused(
                &name,
                "`device_client_id` is the same as `audience`: then an ID token of it could not be told from an access \
                 token; give it the name of a client of its own, such as holdfast-cli",
            ));
        }
        let roles = self.roles.unwrap_or_default();
        if roles.is_empty() {
            return Err(refused(
                &name,
                "`roles` is missing: nobody could come in; give at least one, such as roles = [{ claim = \
                 \"holdfast-admins\", role = \"admin\", projects = [\"*\"] }]",
            ));
        }
        for rule in &roles {
            check_projects(&name, &rule.projects)?;
        }
        let (idle, absolute) =
            (length(&name, "idle", self.idle, IDLE)?, length(&name, "absolute", self.absolute, ABSOLUTE)?);
        let fresh = fresh(&name, self.fresh)?;
        let client_secret =
            self.client_secret_file.map(|path| secret_of(&path).map_err(|why| refused(&name, &why))).transpose()?;
        Ok(ProviderSettings {
            issuer,
            client_id,
            client_secret,
            device_client_id,
            audience,
            role_claim: self.role_claim.unwrap_or_else(|| "groups".into()),
            roles,
            name_claim: self.name_claim,
            scopes: self.scopes.unwrap_or_else(|| vec!["profile".into()]),
            idle,
            absolute,
            fresh,
            service_account: self.service_account,
            name,
        })
    }

    /// A repository whose workflows are let in.
    pub(super) fn workflow(self) -> Result<WorkflowSettings, ConfigError> {
        let name = self.name;
        let number = |key: &str, value: Option<Number>| {
            value.and_then(Number::digits).ok_or_else(|| {
                refused(
                    &name,
                    &format!(
                        "`{key}` is missing or no number; GitHub tells it: curl https://api.github.com/repos/OWNER/NAME \
                         (names can be taken over by others, numbers cannot)"
                    ),
                )
            })
        };
        if self.client_id.is_some()
            || self.client_secret_file.is_some()
            || self.device_client_id.is_some()
            || self.role_claim.is_some()
            || self.roles.is_some()
            || self.name_claim.is_some()
            || self.scopes.is_some()
            || self.idle.is_some()
            || self.absolute.is_some()
            || self.fresh.is_some()
            || self.service_account.is_some()
        {
            return Err(refused(
                &name,
                "a table of kind = \"github\" takes name, issuer, audience, repository_id, repository_owner_id, role \
                 and projects only",
            ));
        }
        let issuer = self.issuer.unwrap_or_else(|| GITHUB.into());
        check_issuer(&name, &issuer)?;
        let audience = self.audience.filter(|audience| !audience.trim().is_empty()).ok_or_else(|| {
            refused(&name, "`audience` is missing; name what the workflow asks for, such as your Holdfast's address")
        })?;
        let role = self.role.ok_or_else(|| refused(&name, "`role` is missing; give operator, for example"))?;
        let projects = self.projects.unwrap_or_default();
        check_projects(&name, &projects)?;
        let mut access = Access::default();
        grant(&mut access, role, &projects);
        Ok(WorkflowSettings {
            issuer,
            audience,
            repository_id: number("repository_id", self.repository_id)?,
            repository_owner_id: number("repository_owner_id", self.repository_owner_id)?,
            access,
            name,
        })
    }
}

fn check_issuer(name: &Name, issuer: &str) -> Result<(), ConfigError> {
    let plain = |url: &Url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match Url::parse(issuer) {
        Ok(url) if is_private(&url) && plain(&url) => Ok(()),
        Ok(url) if url.scheme() == "http" => Err(refused(
            name,
            "its issuer is plain http on another machine, where anybody on the way could sign in as anybody; use https",
        )),
        _ => Err(refused(name, "`issuer` is no address; copy it from `iss` of your provider's tokens")),
    }
}

fn check_projects(name: &Name, projects: &[String]) -> Result<(), ConfigError> {
    if projects.is_empty() {
        return Err(refused(name, "a role has no `projects`; name some, or give [\"*\"] for all"));
    }
    match projects.iter().find(|project| *project != "*" && project.parse::<Name>().is_err()) {
        Some(wrong) => Err(refused(name, &format!("`{wrong}` cannot be a project; give its name, or \"*\" for all"))),
        None => Ok(()),
    }
}

fn length(name: &Name, key: &str, text: Option<String>, otherwise: Duration) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(otherwise) };
    match humantime::parse_duration(&text) {
        Ok(length) if length >= Duration::from_mins(1) && length <= Duration::from_hours(365 * 24) => Ok(length),
        _ => Err(refused(name, &format!("`{key}`: give a time from 1m to 365d, such as 12h"))),
    }
}

fn fresh(name: &Name, text: Option<String>) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(FRESH) };
    match humantime::parse_duration(&text) {
        Ok(length) if length >= Duration::from_secs(10) && length <= Duration::from_hours(24) => Ok(length),
        _ => Err(refused(name, "`fresh`: give a time from 10s to 24h, such as 10m")),
    }
}

fn secret_of(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("client_secret_file {shown} cannot be read: {error}");
    if std::fs::metadata(path).map_err(cannot)?.mode() & 0o007 != 0 {
        return Err(format!(
            "client_secret_file {shown} can be read by everybody on this machine; run: chmod 600 {shown}"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    match text.trim() {
        "" => Err(format!("client_secret_file {shown} is empty")),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}
