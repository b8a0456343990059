//! Ways in: a one-time link for a person.

use holdfast_model::access::Permission;
use url::Url;

use super::{ActionError, Actions};
use crate::auth::{AccessError, SignInLink, new_link};

/// Why no link is made.
const LINKS_OFF: &str = "people sign in with the identity provider here, so one-time links open nothing; for the day when it \
                         does not answer, set a password by `holdfast break-glass set`, or work with `holdfast admin …`";

impl Actions {
    /// A link by which one person can sign in once, under the address by which people reach the server; audited.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn sign_in_link(&self, base: &Url) -> Result<SignInLink, ActionError> {
        self.require(None, Permission::Keys)?;
        if !self.settings().identity.links_sign_in() {
            return Err(ActionError::Conflict(LINKS_OFF.into()));
        }
        new_link(self.store(), base, &self.caller.name).await.map_err(|error| match error {
            AccessError::Store(error) => error.into(),
            other => ActionError::internal(other),
        })
    }
}
