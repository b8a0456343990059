//! Who signs people in, and whose tokens are taken from programs: the `[[identity]]` tables of `holdfast.toml`, read
//! strictly. What could let the wrong one in refuses to start, in words that say why.

use std::{collections::BTreeSet, time::Duration};

use holdfast_model::{
    access::{Access, Role},
    name::Name,
    secret::Secret,
};
use serde::Deserialize;
use url::{Host, Url};

use super::ConfigError;

mod written;

use written::Kind;
pub(super) use written::Written;

/// Words that stand in addresses below `/sign-in` already.
const TAKEN: [&str; 3] = ["again", "devices", "break-glass"];

/// All that is trusted to say who somebody is.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// Providers that people sign in with. While there is none, a one-time link signs people in.
    pub providers: Vec<ProviderSettings>,
    /// Repositories whose workflows may come with GitHub's own token.
    pub workflows: Vec<WorkflowSettings>,
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
    /// For so long after somebody has proven who they are they may do what cannot be undone.
    pub fresh: Duration,
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

impl IdentitySettings {
    /// Whether a one-time link signs anybody in.
    #[must_use]
    pub fn links_sign_in(&self) -> bool {
        self.providers.is_empty()
    }

    /// `secret` is the variable `HOLDFAST_IDENTITY_SECRET`, for the one provider.
    pub(super) fn read(tables: Vec<Written>, secret: Option<String>) -> Result<Self, ConfigError> {
        let mut read = Self::default();
        let (mut names, mut issuers) = (BTreeSet::new(), BTreeSet::new());
        for table in tables {
            let name = table.name().clone();
            if !names.insert(name.clone()) || TAKEN.contains(&name.as_str()) {
                return Err(refused(&name, "this name is taken; give each [[identity]] its own"));
            }
            match table.kind() {
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

fn refused(name: &Name, why: &str) -> ConfigError {
    ConfigError::Refused(format!("[[identity]] `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::{written::IDLE, *};

    const GOOD: &str = "name = 'sso'\nissuer = 'https://id.example.org/realms/a'\nclient_id = 'holdfast'\naudience = \
                        'holdfast-api'\nroles = [{ claim = 'admins', role = 'admin', projects = ['*'] }]\n";

    fn read(table: &str) -> Result<IdentitySettings, String> {
        let table: Written = toml::from_str(table).map_err(|error| error.message().to_owned())?;
        IdentitySettings::read(vec![table], None).map_err(|error| error.to_string())
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
        assert_eq!(read.providers[0].fresh.as_secs(), 600);
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
        assert!(wrong(&format!("{GOOD}fresh = '9s'")).contains("10s to 24h"));
        assert!(wrong(&GOOD.replace("'sso'", "'break-glass'")).contains("taken"));
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
