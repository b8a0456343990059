//! Which projects a reader of the catalogue sees. Every query that can be asked for by somebody carries it as `$1`, so
//! that a project which is not theirs does not exist for them: not by id, by name, by prefix, in a list or in a sum.

use std::sync::Arc;

use holdfast_model::access::Access;

/// `*` for every project, else their names between slashes: `/blog/shop/`. Names have no slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight(Arc<str>);

impl Sight {
    /// Every project.
    pub(super) fn everything() -> Self {
        Self("*".into())
    }

    /// The projects in which there is any role.
    pub(super) fn of(access: &Access) -> Self {
        if access.everywhere.is_some() {
            return Self::everything();
        }
        let mut text = String::from("/");
        for project in access.projects.keys() {
            text.push_str(project.as_str());
            text.push('/');
        }
        Self(text.into())
    }

    /// As it is bound to [`seen!`].
    pub(super) fn bound(&self) -> String {
        self.0.to_string()
    }
}

/// The condition on a `project p` of a query whose `$1` is [`Sight::bound`].
macro_rules! seen {
    () => {
        "($1 = '*' or replace($1, '/' || p.name || '/', '') <> $1)"
    };
}
pub(crate) use seen;
