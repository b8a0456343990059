//! The kits: what is needed to read a vault without Holdfast, or to go back to a copy of the catalogue, and what to type.

use holdfast_model::{
    id::CheckpointId,
    view::{CatalogueKit, RecoveryKit},
};

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
        let kit = self.kit(project, &row, commands).await?;
        self.store.audit(by, "recovery_kit.read", row.id.as_str(), "").await?;
        Ok(kit)
    }

    /// What is needed to go back to a copy of the catalogue: the kit of the vault that the copies lie in, and the
    /// server key. It is secret, opens every project, and giving it is audited. None while there is no vault.
    ///
    /// # Errors
    /// When the vault cannot be opened.
    pub async fn catalogue_kit(&self, by: &str) -> Result<Option<CatalogueKit>, VaultsError> {
        let Some(row) = self.store.vault_of_copies().await? else { return Ok(None) };
        let project = self.store.project_of(&row).await?;
        let vault = self.kit(&project, &row, way_back).await?;
        self.store.audit(by, "catalogue_kit.read", row.id.as_str(), "").await?;
        Ok(Some(CatalogueKit { vault, server_key: self.key.expose().to_string() }))
    }

    async fn kit(
        &self,
        project: &ProjectRow,
        row: &VaultRow,
        commands: fn(&str, &str) -> Vec<String>,
    ) -> Result<RecoveryKit, VaultsError> {
        let open = self.get(&row.id).await?;
        let password = self.password(row)?;
        let (key_name, key_file) = blocking(open.vault, holdfast_vault::Vault::key_file).await?;
        let key_file = String::from_utf8(key_file).map_err(|_| VaultsError::NotText("key file"))?;
        Ok(RecoveryKit {
            project: project.name.clone(),
            commands: commands(&row.location, &key_name),
            repository: row.location.clone(),
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

/// How the shell gets into a bucket; nothing for a folder.
fn into_bucket(location: &str) -> Vec<String> {
    if !location.starts_with("s3:") {
        return Vec::new();
    }
    vec![
        "# The bucket's own access key is not part of this kit; its provider gives out another one:".into(),
        "export AWS_ACCESS_KEY_ID=replace_me".into(),
        "read -rs AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY".into(),
    ]
}

/// The way back from a copy of the catalogue, on a new host.
fn way_back(location: &str, _key_name: &str) -> Vec<String> {
    let repository = quoted(location);
    let mut commands = into_bucket(location);
    commands.extend([
        "# On a new host with an empty data directory; this kit is the file kit.json. If the vault lies elsewhere now,"
            .into(),
        "# name that place instead:".into(),
        format!("holdfast recover {repository} --kit kit.json"),
        "holdfast serve &".into(),
        "# Look at each environment's definition, and let it hold; then put the application back:".into(),
        "holdfast env confirm PROJECT/ENVIRONMENT".into(),
        "holdfast checkpoint restore ENVIRONMENT@latest --no-backup".into(),
        "# The copies seen by stock restic, and the newest one as a SQLite file (the server key is not in it):".into(),
        format!("export RESTIC_REPOSITORY={repository}"),
        "read -rs RESTIC_PASSWORD && export RESTIC_PASSWORD".into(),
        "restic snapshots --tag holdfast:catalogue".into(),
        "restic dump --tag holdfast:catalogue latest /catalogue/catalogue.db > catalogue.db".into(),
    ]);
    commands
}

fn commands(location: &str, key_name: &str) -> Vec<String> {
    let repository = quoted(location);
    // A checkpoint's id in a command that finds it by tag, in the form that is to be filled in.
    let id = format!("{}_…", CheckpointId::PREFIX);
    let mut commands = into_bucket(location);
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
