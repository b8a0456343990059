//! Ways in: a one-time link for a person.

use url::Url;

use super::{ActionError, Actions};
use crate::auth::{AccessError, Caller, SignInLink, new_link};

impl Actions {
    /// A link by which one person can sign in once, under the address by which people reach the server; audited.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn sign_in_link(&self, caller: &Caller, base: &Url) -> Result<SignInLink, ActionError> {
        new_link(self.store(), base, &caller.name).await.map_err(|error| match error {
            AccessError::Store(error) => error.into(),
            other => ActionError::internal(other),
        })
    }
}
