//! Which fence this host offers, found by trying.

use holdfast_vault::Cancel;

use super::{DrillUser, SandboxLevel};
use crate::command::Program;

impl SandboxLevel {
    /// Tries each way, best first. `drill_user` counts only when we are root; `nobody` where nothing is said.
    pub async fn best(drill_user: Option<&str>) -> SandboxLevel {
        if rustix::process::geteuid().is_root() {
            let name = drill_user.unwrap_or("nobody");
            let user = match (number("-u", name).await, number("-g", name).await) {
                (Some(uid @ 1..), Some(gid)) => DrillUser { name: name.into(), uid, gid },
                _ => {
                    return Self::None {
                        why: format!(
                            "PostgreSQL does not run as root, and there is no ordinary user `{name}` to run it as; \
                             create it, or name another one"
                        ),
                    };
                }
            };
            let (both, only) = (Self::UserAndNetwork(user.clone()), Self::UserOnly(user));
            if both.works().await {
                both
            } else if only.works().await {
                only
            } else {
                Self::None {
                    why: format!(
                        "PostgreSQL does not run as root, and this host does not let us become the user `{name}`"
                    ),
                }
            }
        } else if Self::Namespaces.works().await {
            Self::Namespaces
        } else {
            Self::OwnUser
        }
    }

    async fn works(&self) -> bool {
        let tried = Program::new("true").fenced(self).output(&Cancel::new()).await;
        tried.is_ok_and(|output| output.ended.ok)
    }
}

async fn number(flag: &str, name: &str) -> Option<u32> {
    let output = Program::new("id").args([flag, "--", name]).output(&Cancel::new()).await.ok()?;
    if !output.ended.ok {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
