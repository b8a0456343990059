//! How a sealed checkpoint becomes visible: all of it at once, under the fence of its run.

use holdfast_model::{
    export::keys,
    id::{EnvironmentId, RunId},
    state::{Integrity, Proof, Protection, Trigger},
};
use sha2::{Digest as _, Sha256};

use super::{
    Claim, Publication, Store, StoreError,
    queue::hold,
    value::{column, micros},
    write::Write,
};

impl Store {
    /// Makes a sealed checkpoint visible: the only place that does. The second time for the same run it changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held: nothing was made visible.
    pub async fn publish_checkpoint(&self, claim: &Claim, sealed: &Publication) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let manifest = &sealed.manifest;
        let now = write.now();
        let environment = claim.run.view.subject.environment();
        let environment = environment.ok_or_else(|| StoreError::corrupt("run", "a create of no environment"))?;
        if insert_checkpoint(&mut write, &environment.id, claim.id(), sealed, now).await? {
            sqlx::query("update run set sealed = 1 where id = $1")
                .bind(claim.id().as_str())
                .execute(write.on())
                .await?;
            write
                .audit(&manifest.created_by, "checkpoint.seal", manifest.checkpoint.as_str(), &sealed.snapshot)
                .await?;
        }
        write.commit().await
    }
}

/// A sealed checkpoint with its copy, components and tags; whether it was new.
pub(super) async fn insert_checkpoint(
    write: &mut Write,
    environment: &EnvironmentId,
    run: &RunId,
    sealed: &Publication,
    sealed_at: i64,
) -> Result<bool, StoreError> {
    let manifest = &sealed.manifest;
    let done = sqlx::query(
        "insert into checkpoint (id, environment, run, name, description, cause, created_by, created_at, sealed_at, \
         total, stored, commit_id, manifest, manifest_hash, proof, protection, origin) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) on conflict (id) do nothing",
    )
    .bind(manifest.checkpoint.as_str())
    .bind(environment.as_str())
    .bind(run.as_str())
    .bind(manifest.name.clone())
    .bind(manifest.description.clone())
    .bind(manifest.trigger.as_str())
    .bind(&manifest.created_by)
    .bind(micros(manifest.created_at))
    .bind(sealed_at)
    .bind(column(manifest.total))
    .bind(column(manifest.stored))
    .bind(manifest.metadata.get("git_commit").cloned())
    .bind(&sealed.text)
    .bind(hex::encode(Sha256::digest(sealed.text.as_bytes())))
    .bind(Proof::Unproven.as_str())
    .bind(Protection::None.as_str())
    // Whoever else writes such a word into the open map names no origin by it.
    .bind(manifest.metadata.get(keys::ID).filter(|_| manifest.trigger == Trigger::Import).cloned())
    .execute(write.on())
    .await?;
    let new = done.rows_affected() == 1;
    if new {
        insert_parts(write, sealed).await?;
    }
    Ok(new)
}

async fn insert_parts(write: &mut Write, sealed: &Publication) -> Result<(), StoreError> {
    let manifest = &sealed.manifest;
    let now = write.now();
    sqlx::query(
        "insert into checkpoint_copy (checkpoint, vault, snapshot, tree, integrity) values ($1, $2, $3, $4, $5)",
    )
    .bind(manifest.checkpoint.as_str())
    .bind(sealed.vault.as_str())
    .bind(&sealed.snapshot)
    .bind(&sealed.tree)
    .bind(Integrity::Unchecked.as_str())
    .execute(write.on())
    .await?;
    for (position, component) in (0_i64..).zip(&manifest.components) {
        sqlx::query(
            "insert into checkpoint_component (checkpoint, position, name, kind, size, stored, items) \
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(manifest.checkpoint.as_str())
        .bind(position)
        .bind(component.name.as_str())
        .bind(component.kind.as_str())
        .bind(column(component.size))
        .bind(column(component.stored))
        .bind(column(component.items))
        .execute(write.on())
        .await?;
    }
    for tag in &manifest.tags {
        sqlx::query(
            "insert into tag (checkpoint, name, created_at, created_by) values ($1, $2, $3, $4) \
             on conflict (checkpoint, name) do nothing",
        )
        .bind(manifest.checkpoint.as_str())
        .bind(tag)
        .bind(now)
        .bind(&manifest.created_by)
        .execute(write.on())
        .await?;
    }
    Ok(())
}
