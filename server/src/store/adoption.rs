//! Adoption: rows for what a vault already holds. Doing it again adds what is missing and changes nothing else.

use holdfast_model::{
    fact::{Fact, FactBody},
    id::{CheckpointId, EnvironmentId, RunId, VaultId},
    state::{RunKind, Trigger},
};

use super::{
    AppliedDefinition, Publication, Store, StoreError,
    environments::{environment_id, project, write_definition},
    publish::insert_checkpoint,
    recovery::had_ended,
    value::{fresh, micros},
    write::Write,
};
use crate::keys::ServerKey;

/// Checkpoints that one transaction makes visible.
const BATCH: usize = 100;

/// A sealed checkpoint that was found in a vault.
pub struct FoundCheckpoint {
    /// What makes it visible.
    pub publication: Publication,
    /// The environment that it becomes one of.
    pub environment: EnvironmentId,
}

/// What an adoption added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Checkpoints that the catalogue did not know.
    pub checkpoints: u64,
    /// Drills that it did not know.
    pub drills: u64,
}

impl Store {
    /// An environment whose definition was found in a vault; where there is one of that name, its own definition
    /// stays. The id is the one that it had, unless that is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn adopt_environment(
        &self,
        key: &ServerKey,
        by: &str,
        wanted: &EnvironmentId,
        definition: &AppliedDefinition,
    ) -> Result<EnvironmentId, StoreError> {
        let mut write = self.write().await?;
        let project = project(&mut write, &definition.project).await?;
        if let Some(id) = environment_id(&mut write, &project, &definition.environment).await? {
            return Ok(id);
        }
        let taken: Option<String> = sqlx::query_scalar("select id from environment where id = $1")
            .bind(wanted.as_str())
            .fetch_optional(write.on())
            .await?;
        let now = write.now();
        let id = if taken.is_none() { wanted.clone() } else { fresh(now, EnvironmentId::from_parts)? };
        write_definition(&mut write, key, by, &project, &id, definition, true).await?;
        write.audit(by, "environment.adopt", id.as_str(), definition.environment.as_str()).await?;
        write.commit().await?;
        Ok(id)
    }

    /// Makes the checkpoints visible, and true what became true of them; `facts` are in the order in which they did,
    /// each with the snapshot in which it stands.
    ///
    /// # Errors
    /// When the database fails; what was added until then stays, and the rest is added the next time.
    pub async fn adopt_checkpoints(
        &self,
        vault: &VaultId,
        checkpoints: &[FoundCheckpoint],
        facts: &[(Fact, String)],
    ) -> Result<Added, StoreError> {
        let mut added = Added::default();
        for batch in checkpoints.chunks(BATCH) {
            let mut write = self.write().await?;
            for found in batch {
                let manifest = &found.publication.manifest;
                let at = micros(manifest.created_at);
                let run = AdoptedRun {
                    kind: RunKind::Create,
                    id: &manifest.run,
                    environment: &found.environment,
                    checkpoint: &manifest.checkpoint,
                    by: &manifest.created_by,
                    at,
                };
                insert_run(&mut write, &run).await?;
                let new =
                    insert_checkpoint(&mut write, &found.environment, &manifest.run, &found.publication, at).await?;
                if new {
                    sqlx::query("update run set sealed = 1 where id = $1")
                        .bind(manifest.run.as_str())
                        .execute(write.on())
                        .await?;
                }
                added.checkpoints += u64::from(new);
            }
            write.commit().await?;
        }
        for batch in facts.chunks(BATCH) {
            let mut write = self.write().await?;
            for (fact, snapshot) in batch {
                added.drills += u64::from(adopt_fact(&mut write, vault, fact, snapshot).await?);
            }
            write.commit().await?;
        }
        Ok(added)
    }
}

struct AdoptedRun<'a> {
    kind: RunKind,
    id: &'a RunId,
    environment: &'a EnvironmentId,
    checkpoint: &'a CheckpointId,
    by: &'a str,
    at: i64,
}

/// How a run ends that only its result is known of.
const ADOPTED: &str = "adopted with its vault; its events are not known here";

/// A run of the past; one that the catalogue knows stays as it is, unless it was given up for lost.
async fn insert_run(write: &mut Write, run: &AdoptedRun<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "insert into run (id, kind, environment, checkpoint, state, exclusive, request, cause, created_by, \
         created_at, started_at, ended_at, message, sealed) \
         values ($1, $2, $3, $4, 'succeeded', 0, '{}', $5, $6, $7, $7, $7, $8, $9) on conflict (id) do nothing",
    )
    .bind(run.id.as_str())
    .bind(run.kind.as_str())
    .bind(run.environment.as_str())
    .bind(run.checkpoint.as_str())
    .bind(Trigger::Import.as_str())
    .bind(run.by)
    .bind(run.at)
    .bind(ADOPTED)
    .bind(i64::from(run.kind == RunKind::Create))
    .execute(write.on())
    .await?;
    had_ended(write, run.id, ADOPTED).await
}

/// Makes a fact true here; whether it was a drill that was not known. A fact of a checkpoint that is in no vault any
/// more says nothing.
async fn adopt_fact(write: &mut Write, vault: &VaultId, fact: &Fact, snapshot: &str) -> Result<bool, StoreError> {
    let environment: Option<String> = sqlx::query_scalar("select environment from checkpoint where id = $1")
        .bind(fact.checkpoint.as_str())
        .fetch_optional(write.on())
        .await?;
    let Some(environment) = environment else { return Ok(false) };
    let environment = environment.parse().map_err(|error| StoreError::corrupt("environment id", error))?;
    let known: Option<String> = sqlx::query_scalar("select id from fact where id = $1 and vault = $2")
        .bind(fact.id.as_str())
        .bind(vault.as_str())
        .fetch_optional(write.on())
        .await?;
    if known.is_some() {
        return Ok(false);
    }
    let (kind, drill) = match &fact.fact {
        FactBody::Drill { run, report } => {
            let at = micros(fact.at);
            let run_row = AdoptedRun {
                kind: RunKind::Drill,
                id: run,
                environment: &environment,
                checkpoint: &fact.checkpoint,
                by: &fact.by,
                at,
            };
            insert_run(write, &run_row).await?;
            // The drill's own id was not sealed; the fact's is as good, and the same at every adoption.
            let id = format!("drl_{}", fact.id.as_str().trim_start_matches("fct_"));
            write.drill(&id, &fact.checkpoint, run, report).await?;
            write.speak(&fact.checkpoint, report).await?;
            ("drill", Some(id))
        }
        FactBody::Deleted => {
            sqlx::query("update checkpoint set deleted_at = $1, deleted_by = $2 where id = $3 and deleted_at is null")
                .bind(micros(fact.at))
                .bind(&fact.by)
                .bind(fact.checkpoint.as_str())
                .execute(write.on())
                .await?;
            ("deleted", None)
        }
    };
    let is_drill = drill.is_some();
    sqlx::query(
        "insert into fact (id, vault, checkpoint, at, made_by, kind, drill, snapshot) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(fact.id.as_str())
    .bind(vault.as_str())
    .bind(fact.checkpoint.as_str())
    .bind(micros(fact.at))
    .bind(&fact.by)
    .bind(kind)
    .bind(drill)
    .bind(snapshot)
    .execute(write.on())
    .await?;
    Ok(is_drill)
}
