//! What vaults ask of people: one that is damaged, nearly full, or a mirror that is behind.

use holdfast_model::{
    size,
    state::VaultRole,
    view::{Attention, VaultView},
};

use super::{Store, StoreError, value::Columns as _};

/// With room for fewer further checkpoints than this a vault is nearly full.
const MORE: u64 = 10;
/// With less room than this it is so in any case: a gigabyte.
const LEAST: u64 = 1_000_000_000;
/// A mirror that lacks a checkpoint for longer than this is behind: an hour, in microseconds.
const LATE: i64 = 3_600_000_000;

impl Store {
    /// Every vault as it is shown, by project, the primary one first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vault_views(&self) -> Result<Vec<VaultView>, StoreError> {
        let projects = self.projects().await?;
        let coverage = self.coverage().await?;
        let view = |row: super::VaultRow| {
            let project = projects.iter().find(|project| project.id == row.project)?;
            Some(VaultView {
                project: project.name.clone(),
                checkpoints: coverage.get(&row.id).copied().unwrap_or_default(),
                location: row.location,
                role: row.role,
                stored: row.stored,
                free: row.free,
                checked_at: row.checked_at,
                damaged: row.damaged,
                recovery_kit_confirmed: row.kit_confirmed,
            })
        };
        let mut views: Vec<VaultView> = self.vaults().await?.into_iter().filter_map(view).collect();
        views.sort_by(|a, b| (&a.project, a.role, &a.location).cmp(&(&b.project, b.role, &b.location)));
        Ok(views)
    }

    /// What the overview asks for because of vaults.
    pub(super) async fn vaults_want(&self) -> Result<Vec<Attention>, StoreError> {
        let mut wants = Vec::new();
        for vault in self.vault_views().await?.into_iter().filter(|vault| vault.role != VaultRole::Former) {
            if vault.damaged > 0 {
                wants.push(damaged(&vault));
            }
            wants.extend(self.nearly_full(&vault).await?);
            if vault.role == VaultRole::Mirror && self.is_late(&vault).await? {
                wants.push(behind(&vault));
            }
            if vault.role == VaultRole::Mirror && !vault.recovery_kit_confirmed {
                wants.push(kit(&vault));
            }
        }
        Ok(wants)
    }

    async fn nearly_full(&self, vault: &VaultView) -> Result<Option<Attention>, StoreError> {
        let Some(free) = vault.free else { return Ok(None) };
        // The largest of the newest ones says what a checkpoint may take.
        let row = sqlx::query(
            "select cast(coalesce(max(n.stored), 0) as bigint) as largest from (select c.stored from checkpoint c \
             join environment e on e.id = c.environment join project p on p.id = e.project \
             where p.name = $1 and c.deleted_at is null order by c.created_at desc limit 10) n",
        )
        .bind(vault.project.as_str())
        .fetch_one(&self.pool)
        .await?;
        let largest = row.count("largest")?;
        Ok((free < LEAST.max(largest.saturating_mul(MORE))).then(|| Attention {
            message: format!("{} is nearly full: {} are free", called(vault), size::display(free)),
            action: "Free some space where it lies, or delete checkpoints that nobody needs".into(),
            href: format!("/projects/{}", vault.project),
            urgent: free < LEAST.max(largest),
        }))
    }

    async fn is_late(&self, vault: &VaultView) -> Result<bool, StoreError> {
        let before = self.now().await? - LATE;
        let late: Option<String> = sqlx::query_scalar(
            "select c.id from vault m join project p on p.id = m.project join environment e on e.project = p.id \
             join checkpoint c on c.environment = e.id and c.deleted_at is null and c.sealed_at < $1 \
             where m.location = $2 and p.name = $3 and m.created_at < $1 and not exists \
             (select 1 from checkpoint_copy o where o.checkpoint = c.id and o.vault = m.id) limit 1",
        )
        .bind(before)
        .bind(&vault.location)
        .bind(vault.project.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(late.is_some())
    }
}

fn called(vault: &VaultView) -> String {
    match vault.role {
        VaultRole::Mirror => format!("The mirror of {} at {}", vault.project, vault.location),
        _ => format!("The vault of {}", vault.project),
    }
}

fn damaged(vault: &VaultView) -> Attention {
    Attention {
        message: format!("{} is damaged: its newest check found {} places", called(vault), vault.damaged),
        action: "Read the check's log, look at the disk, back up now, then repair the vault".into(),
        href: "/activity".into(),
        urgent: true,
    }
}

/// The primary one's is asked for with its project.
fn kit(vault: &VaultView) -> Attention {
    Attention {
        message: format!("Nobody has confirmed to have the recovery kit of the mirror of {}", vault.project),
        action: "Print it on the server's host, store it elsewhere, confirm it".into(),
        href: format!("/projects/{}", vault.project),
        urgent: false,
    }
}

fn behind(vault: &VaultView) -> Attention {
    let (here, all) = vault.checkpoints;
    Attention {
        message: format!("{} is behind: it has {here} of {all} checkpoints", called(vault)),
        action: "Read why its last copy failed".into(),
        href: "/activity".into(),
        urgent: false,
    }
}
