//! The recovery kit: what is needed to read a vault without Holdfast, and what to type.

use holdfast_model::{id::CheckpointId, view::RecoveryKit};

use super::{Vaults, VaultsError, blocking};
use crate::store::{ProjectRow, VaultRow};

impl Vaults {
    /// What is needed to read the project's primary vault without Holdfast. It is secret, and giving it is audited.
    ///
    /// # Errors
    /// [`VaultsError::None`] when the project has no vault yet; when it cannot be opened.
    pub async fn recovery_kit(&self, project: &ProjectRow, by: &str) -> Result<RecoveryKit, VaultsError> {
        let row = self.store.primary_vault(&project.id).await?;
        let row = row.filter(|row| row.ready).ok_or_else(|| VaultsError::None(project.name.clone()))?;
        self.recovery_kit_of(project, row, by).await
    }

    /// The same for any vault of the project: each has a password of its own.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn recovery_kit_of(
        &self,
        project: &ProjectRow,
        row: VaultRow,
        by: &str,
    ) -> Result<RecoveryKit, VaultsError> {
        let open = self.get(&row.id).await?;
        let password = self.password(&row)?;
        let (key_name, key_file) = blocking(open.vault, holdfast_vault::Vault::key_file).await?;
        let key_file = String::from_utf8(key_file).map_err(|_| VaultsError::NotText("key file"))?;
        self.store.audit(by, "recovery_kit.read", row.id.as_str(), "").await?;
        Ok(RecoveryKit {
            project: project.name.clone(),
            commands: commands(&row.location, &key_name),
            repository: row.location,
            password: password.expose().to_owned(),
            key_name,
            key_file,
        })
    }
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn commands(location: &str, key_name: &str) -> Vec<String> {
    let repository = quoted(location);
    // A checkpoint's id in a command that finds it by tag, in the form that is to be filled in.
    let id = format!("{}_…", CheckpointId::PREFIX);
    let bucket = location.starts_with("s3:");
    let mut commands: Vec<String> = if bucket {
        vec![
            "# The bucket's own access key is not part of this kit; its provider gives out another one:".into(),
            "export AWS_ACCESS_KEY_ID=replace_me".into(),
            "read -rs AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY".into(),
        ]
    } else {
        Vec::new()
    };
    commands.extend([
        "# Password and repository for every command below; restic asks for the password:".into(),
        format!("export RESTIC_REPOSITORY={repository}"),
        "read -rs RESTIC_PASSWORD && export RESTIC_PASSWORD".into(),
        format!("# If keys/{key_name} is lost, put the key file of this kit back there first."),
        "# All checkpoints; the tag holdfast:chk_… is the checkpoint's id:".into(),
        "restic snapshots --tag holdfast".into(),
        "# Is everything there and whole?".into(),
        "restic check --read-data".into(),
        format!("# One checkpoint into an empty folder (replace {id} by its id):"),
        "CHECKPOINT=chk_replace_me".into(),
        "restic restore latest --tag \"holdfast:$CHECKPOINT\" --target ./restored".into(),
        "# One file of it:".into(),
        "restic dump --tag \"holdfast:$CHECKPOINT\" latest /manifest.json".into(),
        "# A whole PostgreSQL database (COMPONENT is its name in manifest.json) into a new database:".into(),
        "COMPONENT=postgres".into(),
        "restic dump --tag \"holdfast:$CHECKPOINT\" latest \"/databases/$COMPONENT/dump.pgc\" > dump.pgc".into(),
        "createdb restored && pg_restore --exit-on-error --no-owner --no-acl --dbname=restored dump.pgc".into(),
        "# One table of it: its data into a table of the same shape, here in the database `restored`:".into(),
        "pg_restore --list dump.pgc | grep ' TABLE DATA public orders ' > one-table.list".into(),
        "pg_restore --use-list=one-table.list --file=orders.sql dump.pgc".into(),
        "pg_restore --use-list=one-table.list --data-only --dbname=restored dump.pgc".into(),
    ]);
    commands
}
