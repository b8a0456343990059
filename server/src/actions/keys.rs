//! Keys of programs: made, listed, turned over, revoked.

use std::collections::BTreeSet;

use holdfast_model::{
    access::{Access, Permission, Role},
    key::{CreateKey, CreatedKey, KeyState, KeyView, RotateKey},
    secret::Sent,
};
use ipnet::IpNet;
use time::Duration;

use super::{ActionError, Actions};
use crate::{
    auth::{key::new_key, token_hash},
    store::{KeyRow, NewKey},
};

/// How long a key works when nobody says.
const LASTS: Duration = Duration::days(90);
/// How long one may work.
const LONGEST: Duration = Duration::days(400);
/// How long the old key goes on working when nobody says.
const OVERLAP: Duration = Duration::hours(24);
/// How long it may.
const LONGEST_OVERLAP: Duration = Duration::days(30);
/// Letters of a name.
const NAME: usize = 80;

impl Actions {
    /// The keys of the projects that the caller decides for, newest first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn list_keys(&self) -> Result<Vec<KeyView>, ActionError> {
        let keys = self.store().keys().await?.into_iter();
        Ok(keys.filter(|key| self.decides_for(&key.access)).map(|key| key.view).collect())
    }

    /// Makes a key. The answer is the only place where its token ever stands; audited.
    ///
    /// # Errors
    /// [`ActionError::Invalid`] names what is wrong with the request.
    pub async fn create_key(&self, request: CreateKey) -> Result<CreatedKey, ActionError> {
        let access = access(&request)?;
        if request.everywhere {
            self.require(None, Permission::Keys)?;
        }
        for project in access.projects.keys() {
            self.project_to(Permission::Keys, project.as_str()).await?;
        }
        let name = name(&request.name)?;
        let networks = networks(&request.networks)?;
        let lasts = span("expires_in", request.expires_in.as_deref(), LASTS, LONGEST)?;
        if lasts < Duration::MINUTE {
            return Err(ActionError::invalid("expires_in", "expires_in: give a minute at least"));
        }
        self.keep(name, access, networks, lasts, None).await
    }

    /// Makes a key that takes the place of another one, which goes on working for a while; audited.
    ///
    /// # Errors
    /// When there is no such key, or it does not work any more.
    pub async fn rotate_key(&self, id: &str, request: RotateKey) -> Result<CreatedKey, ActionError> {
        let old = self.key_to_change(id).await?;
        if old.view.state != KeyState::Active {
            return Err(ActionError::Conflict("this key does not work any more; make a new one".into()));
        }
        let made_for = (old.view.expires_at - old.view.created_at).clamp(Duration::MINUTE, LONGEST);
        let lasts = span("expires_in", request.expires_in.as_deref(), made_for, LONGEST)?;
        let overlap = span("overlap", request.overlap.as_deref(), OVERLAP, LONGEST_OVERLAP)?;
        let KeyView { id, name, networks, .. } = old.view;
        self.keep(name, old.access, networks, lasts, Some((&id, overlap))).await
    }

    /// Revokes a key: it works no more from now on; audited.
    ///
    /// # Errors
    /// When there is no such key.
    pub async fn revoke_key(&self, id: &str) -> Result<KeyView, ActionError> {
        let key = self.key_to_change(id).await?;
        self.store().revoke_key(&self.caller.name, &key.view.id).await?;
        Ok(self.store().key(id).await?.view)
    }

    async fn keep(
        &self,
        name: String,
        access: Access,
        networks: Vec<String>,
        lasts: Duration,
        replaces: Option<(&holdfast_model::id::KeyId, Duration)>,
    ) -> Result<CreatedKey, ActionError> {
        let id = self.store().new_key_id().await?;
        let token = new_key(&id).map_err(ActionError::internal)?;
        let hash = token_hash(token.expose());
        let new = NewKey { id: id.clone(), name, hash, access, networks, lasts };
        self.store().put_key(&self.caller.name, &new, replaces).await?;
        Ok(CreatedKey { key: self.store().key(id.as_str()).await?.view, token: Sent::from(token.expose()) })
    }

    /// A key of projects that the caller decides for; another one does not exist for them.
    async fn key_to_change(&self, id: &str) -> Result<KeyRow, ActionError> {
        let key = self.store().key(id).await?;
        if !self.decides_for(&key.access) {
            return Err(ActionError::NotFound(format!("there is no key `{id}`")));
        }
        // In each of its projects it is allowed; this asks whether they have signed in anew.
        match key.access.projects.keys().next() {
            Some(project) => self.require(Some(project), Permission::Keys)?,
            None => self.require(None, Permission::Keys)?,
        }
        Ok(key)
    }

    /// Whether all that a key may touch is theirs to decide.
    fn decides_for(&self, access: &Access) -> bool {
        let may = |project| self.caller.access.may(project, Permission::Keys);
        if access.everywhere.is_some() { may(None) } else { access.projects.keys().all(|project| may(Some(project))) }
    }
}

/// What a key may do, from what was asked for.
fn access(request: &CreateKey) -> Result<Access, ActionError> {
    if request.everywhere != request.projects.is_empty() {
        let message = if request.everywhere {
            "projects: name projects, or say `everywhere`, not both"
        } else {
            "projects: name the projects that the key is for, or say `everywhere`"
        };
        return Err(ActionError::invalid("projects", message));
    }
    if let Some(scope) = request.scopes.iter().find(|scope| !scope.for_programs()) {
        let message = format!(
            "scopes: no key may `{scope}`: that takes a person who has signed in; a key may view, create, drill, cancel"
        );
        return Err(ActionError::invalid("scopes", message));
    }
    let mut scopes: BTreeSet<Permission> = request.scopes.clone();
    if scopes.is_empty() {
        scopes.insert(Permission::Create);
    }
    scopes.insert(Permission::View);
    let role = if scopes.len() == 1 { Role::Viewer } else { Role::Operator };
    Ok(Access {
        everywhere: request.everywhere.then_some(role),
        projects: request.projects.iter().map(|project| (project.clone(), role)).collect(),
        only: Some(scopes),
    })
}

fn name(text: &str) -> Result<String, ActionError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NAME || text.chars().any(char::is_control) {
        let message = format!("name: say in 1 to {NAME} letters what holds the key, such as `deploys of the shop`");
        return Err(ActionError::invalid("name", message));
    }
    Ok(text.to_owned())
}

/// `10.0.0.0/8`, or one address.
fn networks(given: &[String]) -> Result<Vec<String>, ActionError> {
    let parse = |text: &String| {
        let text = text.trim();
        let network = text
            .parse::<IpNet>()
            .or_else(|error| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)).map_err(|_| error));
        network.map(|network| network.trunc().to_string()).map_err(|_| {
            let message = format!("networks: `{text}` is neither a network such as 10.0.0.0/8 nor an address");
            ActionError::invalid("networks", message)
        })
    };
    given.iter().map(parse).collect()
}

fn span(at: &str, text: Option<&str>, otherwise: Duration, longest: Duration) -> Result<Duration, ActionError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(otherwise) };
    let wrong = || {
        let message = format!("{at}: `{text}` is no time of at most {} days; write 90d or 12h", longest.whole_days());
        ActionError::invalid(at, message)
    };
    let span = humantime::parse_duration(text).ok().and_then(|span| Duration::try_from(span).ok()).ok_or_else(wrong)?;
    if span > longest { Err(wrong()) } else { Ok(span) }
}

/// Whether a caller at `from` may use a key of these networks.
pub(crate) fn comes_from(networks: &[String], from: Option<std::net::IpAddr>) -> bool {
    networks.is_empty()
        || from.is_some_and(|from| {
            networks.iter().filter_map(|text| text.parse::<IpNet>().ok()).any(|network| network.contains(&from))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_key_may_destroy() {
        let ask = |scopes: &[Permission]| {
            access(&CreateKey { everywhere: true, scopes: scopes.iter().copied().collect(), ..CreateKey::default() })
        };
        for permission in Permission::ALL {
            assert_eq!(ask(&[*permission]).is_ok(), permission.for_programs(), "{permission}");
        }
        assert_eq!(ask(&[]).unwrap().only, Some([Permission::View, Permission::Create].into()));
        assert!(access(&CreateKey::default()).is_err(), "a key for nothing");
    }

    #[test]
    fn a_key_is_bound_to_its_networks() {
        let networks = networks(&["10.1.2.3/8".into(), "192.0.2.7".into(), "2001:db8::/32".into()]).unwrap();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        let from = |text: &str| comes_from(&networks, Some(text.parse().unwrap()));
        assert!(from("10.9.9.9") && from("192.0.2.7") && from("2001:db8::1"));
        assert!(!from("192.0.2.8") && !from("127.0.0.1") && !comes_from(&networks, None));
        assert!(comes_from(&[], None));
        assert!(super::networks(&["everywhere".into()]).is_err());
    }
}
