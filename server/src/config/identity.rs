//! Who signs people in, and whose tokens are taken from programs: the `[[identity]]` tables of `holdfast.toml`, read
//! strictly. What could let the wrong one in refuses to start, in words that say why.

use std::{
    collections::BTreeSet,
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
use url::{Host, Url};

use super::ConfigError;

/// Where GitHub Actions' own tokens come from.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// A session ends when nothing was asked for so long.
const IDLE: Duration = Duration::from_hours(12);
/// A session ends in any case after so long.
const ABSOLUTE: Duration = Duration::from_hours(7 * 24);
/// Words that stand in addresses below `/sign-in` already.
const TAKEN: [&str; 2] = ["again", "devices"];

/// All that is trusted to say who somebody is.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// Providers that people sign in with. While there is none, a one-time link signs people in.
    pub providers: Vec<ProviderSettings>,
    /// Repositories whose workflows may come with GitHub's own token.
    pub workflows: Vec<WorkflowSettings>,
    /// Whether one-time links sign people in although there is a provider.
    pub break_glass: bool,
}

/// One OpenID Connect provider.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Shown on the button; stands in addresses.
    pub name: Name,
    /// Exactly as the provider writes itself in `iss`.
    pub issuer: String,
    /// The client that people sign in by.
    pub client_id: String,
    /// Its secret; a public client has none.
    pub client_secret: Option<Secret>,
    /// The public client by which people sign in at a terminal; without one nobody does.
    pub device_client_id: Option<String>,
    /// What access tokens for the REST API carry in `aud`.
    pub audience: String,
    /// Where the roles stand: a claim, or a path such as `realm_access.roles`.
    pub role_claim: String,
    /// Which value of it brings what.
    pub roles: Vec<RoleRule>,
    /// The claim that people are called by; by default the first of `preferred_username`, `name`, `email`, `sub`.
    pub name_claim: Option<String>,
    /// Asked for beside `openid`.
    pub scopes: Vec<String>,
    /// A session ends when nothing was asked for so long.
    pub idle: Duration,
    /// A session ends in any case after so long.
    pub absolute: Duration,
    /// What marks an access token as a program's, beside what is known without being said.
    pub service_account: Option<ClaimIs>,
}

/// What a value of the role claim brings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// The value.
    pub claim: String,
    /// The role.
    pub role: Role,
    /// Names of projects, or `*` for all of them.
    pub projects: Vec<String>,
}

/// A claim and the value that it must have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimIs {
    /// The claim.
    pub claim: String,
    /// Its value.
    pub value: String,
}

/// A repository on GitHub, by the numbers that never change hands.
#[derive(Debug, Clone)]
pub struct WorkflowSettings {
    /// For the audit log.
    pub name: Name,
    /// GitHub's own issuer, or that of an enterprise.
    pub issuer: String,
    /// What workflows ask for as `audience`.
    pub audience: String,
    /// The repository's number.
    pub repository_id: String,
    /// Its owner's number.
    pub repository_owner_id: String,
    /// What its workflows may do.
    pub access: Access,
}

/// An `[[identity]]` table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
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
    service_account: Option<ClaimIs>,
    repository_id: Option<Number>,
    repository_owner_id: Option<Number>,
    role: Option<Role>,
    projects: Option<Vec<String>>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
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

impl IdentitySettings {
    /// Whether a one-time link signs anybody in.
    #[must_use]
    pub fn links_sign_in(&self) -> bool {
        self.providers.is_empty() || self.break_glass
    }

    /// `secret` is the variable `HOLDFAST_IDENTITY_SECRET`, for the one provider.
    pub(super) fn read(tables: Vec<Written>, break_glass: bool, secret: Option<String>) -> Result<Self, ConfigError> {
        let mut read = Self { break_glass, ..Self::default() };
        let (mut names, mut issuers) = (BTreeSet::new(), BTreeSet::new());
        for table in tables {
            let name = table.name.clone();
            if !names.insert(name.clone()) || TAKEN.contains(&name.as_str()) {
                return Err(refused(&name, "this name is taken; give each [[identity]] its own"));
            }
            match table.kind {
                Kind::Oidc => {
                    let provider = table.provider()?;
                    if !issuers.insert(provider.issuer.clone()) {
                        return Err(refused(&name, "two tables name the same issuer; join them, with all their roles"));
                    }
                    read.providers.push(provider);
                }
                Kind::Github => read.workflows.push(table.workflow()?),
            }
        }
        if let Some(workflow) = read.workflows.iter().find(|workflow| issuers.contains(&workflow.issuer)) {
            return Err(refused(&workflow.name, "its issuer signs people in by another table; one issuer, one use"));
        }
        if let Some(secret) = secret {
            let [provider] = read.providers.as_mut_slice() else {
                return Err(ConfigError::Variable {
                    name: "HOLDFAST_IDENTITY_SECRET".into(),
                    reason: "it is the secret of the one provider, and there is not exactly one; use \
                             client_secret_file in each table"
                        .into(),
                });
            };
            provider.client_secret = Some(Secret::new(secret));
        }
        Ok(read)
    }
}

impl Written {
    fn provider(self) -> Result<ProviderSettings, ConfigError> {
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
            service_account: self.service_account,
            name,
        })
    }

    fn workflow(self) -> Result<WorkflowSettings, ConfigError> {
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

/// Adds a role in projects to an access; the higher one counts.
pub(crate) fn grant(access: &mut Access, role: Role, projects: &[String]) {
    for project in projects {
        if project == "*" {
            access.everywhere = access.everywhere.max(Some(role));
        } else if let Ok(project) = project.parse::<Name>() {
            let had = access.projects.entry(project).or_insert(role);
            *had = (*had).max(role);
        }
    }
}

/// Whether what is sent there can be read on its way by nobody: https, or this machine itself.
pub(crate) fn is_private(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
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

fn refused(name: &Name, why: &str) -> ConfigError {
    ConfigError::Refused(format!("[[identity]] `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const GOOD: &str = "name = 'sso'\nissuer = 'https://id.example.org/realms/a'\nclient_id = 'holdfast'\naudience = \
                        'holdfast-api'\nroles = [{ claim = 'admins', role = 'admin', projects = ['*'] }]\n";

    fn read(table: &str) -> Result<IdentitySettings, String> {
        let table: Written = toml::from_str(table).map_err(|error| error.message().to_owned())?;
        IdentitySettings::read(vec![table], false, None).map_err(|error| error.to_string())
    }

    fn wrong(table: &str) -> String {
        match read(table) {
            Ok(_) => panic!("taken: {table}"),
            Err(why) => why,
        }
    }

    #[test]
    fn a_table_is_read_with_its_defaults() {
        let read = read(GOOD).unwrap();
        assert_eq!(read.providers[0].role_claim, "groups");
        assert_eq!(read.providers[0].idle, IDLE);
        assert!(!read.links_sign_in());
    }

    #[test]
    fn what_could_let_the_wrong_one_in_refuses_to_start() {
        let same = wrong(&GOOD.replace("holdfast-api", "holdfast"));
        assert!(same.contains("ID token"), "{same}");
        let device = |client: &str| format!("{GOOD}device_client_id = '{client}'");
        assert!(wrong(&device("holdfast-api")).contains("ID token"));
        assert_eq!(read(&device("cli")).unwrap().providers[0].device_client_id.as_deref(), Some("cli"));
        assert!(wrong(&GOOD.replace("'sso'", "'devices'")).contains("taken"));
        assert!(wrong(&GOOD.replace("audience = 'holdfast-api'\n", "")).contains("audience mapper"));
        assert!(wrong(&GOOD.replace("https://id", "http://id")).contains("use https"));
        assert!(wrong(&GOOD.replace("['*']", "[]")).contains("projects"));
        assert!(wrong(&format!("{GOOD}role_clame = 'x'")).contains("role_clame"));
        assert!(read(&GOOD.replace("https://id.example.org", "http://127.0.0.1:8080")).is_ok());
    }

    #[test]
    fn a_repository_is_known_by_its_numbers_only() {
        let table = "kind = 'github'\nname = 'shop-ci'\naudience = 'https://holdfast.example.org'\nrepository_id = \
                     123\nrepository_owner_id = '45'\nrole = 'operator'\nprojects = ['shop']\n";
        let read = read(table).unwrap();
        assert_eq!(read.workflows[0].repository_id, "123");
        assert!(read.links_sign_in(), "nobody can sign in by it, so the link stays");
        assert!(wrong(&table.replace("repository_owner_id = '45'\n", "")).contains("repository_owner_id"));
        assert!(wrong(&table.replace("'45'", "'acme'")).contains("number"));
    }
}
