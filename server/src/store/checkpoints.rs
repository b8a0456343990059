//! Checkpoints that exist: how one is found, and lists of them.

use holdfast_model::{
    id::{CheckpointId, EnvironmentId},
    manifest::Manifest,
    request::LIVE,
    state::{Proof, Protection, Trigger},
    view::{CheckpointList, CheckpointSummary, EnvironmentRef},
};
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::{
    CheckpointFilter, CheckpointRow, Store, StoreError,
    sight::seen,
    value::{Columns as _, from_json, micros},
};

/// A checkpoint that exists, with its names and its first copy.
macro_rules! select_checkpoint {
    ($($rest:tt)*) => {
        concat!(
            "select c.id, c.environment, c.run, c.name, c.description, c.cause, c.created_by, c.created_at, c.total, \
             c.stored, c.commit_id, c.proof, c.protection, c.locked_until, y.vault, y.snapshot, y.tree, y.integrity, y.checked_at, \
             e.name as environment_name, p.name as project_name \
             from checkpoint c join environment e on e.id = c.environment join project p on p.id = e.project \
             join checkpoint_copy y on y.checkpoint = c.id join vault v on v.id = y.vault and v.role = 'primary' \
             where c.deleted_at is null and ",
            seen!(),
            $($rest)*
        )
    };
}

/// What a filter matches, apart from its page; `$1` to `$3`.
macro_rules! matching {
    () => {
        " and ($2 is null or c.environment = $2) and ($3 is null or exists (select 1 from tag t \
         where t.checkpoint = c.id and t.name = $3)) and ($4 is null or c.created_at >= $4) "
    };
}

/// How many a list gives when nobody says.
const PAGE: u32 = 20;
/// How many candidates an ambiguous text lists.
const CANDIDATES: i64 = 11;

fn checkpoint_row(row: &AnyRow) -> Result<CheckpointRow, StoreError> {
    // A bucket's lock ends by itself.
    let locked_until = row.maybe_at("locked_until")?;
    let over = locked_until.is_some_and(|until| until <= OffsetDateTime::now_utc());
    Ok(CheckpointRow {
        id: row.word("id")?,
        environment: EnvironmentRef {
            id: row.word("environment")?,
            name: row.word("environment_name")?,
            project: row.word("project_name")?,
        },
        run: row.word("run")?,
        name: row.maybe_text("name")?,
        description: row.maybe_text("description")?,
        trigger: row.word("cause")?,
        created_by: row.text("created_by")?,
        created_at: row.at("created_at")?,
        total: row.count("total")?,
        stored: row.count("stored")?,
        commit: row.maybe_text("commit_id")?,
        proof: row.word("proof")?,
        integrity: row.word("integrity")?,
        integrity_at: row.maybe_at("checked_at")?,
        protection: if over { Protection::None } else { row.word("protection")? },
        locked_until: locked_until.filter(|_| !over),
        vault: row.word("vault")?,
        snapshot: row.text("snapshot")?,
        tree: row.text("tree")?,
        tags: Vec::new(),
    })
}

impl CheckpointRow {
    /// One row of a list.
    #[must_use]
    pub fn summary(self) -> CheckpointSummary {
        CheckpointSummary {
            id: self.id,
            name: self.name,
            environment: self.environment,
            created_at: self.created_at,
            created_by: self.created_by,
            trigger: self.trigger,
            tags: self.tags,
            commit: self.commit,
            total: self.total,
            stored: self.stored,
            proof: self.proof,
            integrity: self.integrity,
        }
    }
}

impl Store {
    /// One checkpoint that exists.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also for a deleted one.
    pub async fn checkpoint(&self, id: &CheckpointId) -> Result<CheckpointRow, StoreError> {
        let row = sqlx::query(select_checkpoint!(" and c.id = $2"))
            .bind(self.sight.bound())
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let row = row.ok_or_else(|| StoreError::not_found("checkpoint", id.as_str()))?;
        self.with_tags(checkpoint_row(&row)?).await
    }

    async fn with_tags(&self, mut checkpoint: CheckpointRow) -> Result<CheckpointRow, StoreError> {
        checkpoint.tags = sqlx::query_scalar("select name from tag where checkpoint = $1 order by name")
            .bind(checkpoint.id.as_str())
            .fetch_all(&self.pool)
            .await?;
        Ok(checkpoint)
    }

    /// A checkpoint by its id, a unique prefix of it (with or without `chk_`), `ENV@latest`, `latest` where there is
    /// one environment, its exact name, or, where it was imported, the id that it had where it was made.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Ambiguous`] with the ids that match.
    pub async fn find_checkpoint(&self, text: &str) -> Result<CheckpointRow, StoreError> {
        if let Ok(id) = text.parse() {
            return match self.checkpoint(&id).await {
                Err(error @ StoreError::NotFound { .. }) => self.imported_as(text).await?.ok_or(error),
                found => found,
            };
        }
        if let Some(environment) = text.strip_suffix("@latest") {
            let environment = self.find_environment(environment).await?;
            return self.latest(&environment.id).await?.ok_or_else(|| StoreError::not_found("checkpoint", text));
        }
        if text == "latest" {
            return self.latest_of_the_only_environment().await;
        }
        let named = sqlx::query(select_checkpoint!(" and c.name = $2 order by c.created_at desc, c.id desc limit $3"))
            .bind(self.sight.bound())
            .bind(text)
            .bind(CANDIDATES)
            .fetch_all(&self.pool)
            .await?;
        let prefix = format!("chk_{}", text.strip_prefix("chk_").unwrap_or(text));
        let rows = if named.is_empty() {
            sqlx::query(select_checkpoint!(
                " and substr(c.id, 1, cast($2 as integer)) = $3 order by c.created_at desc, c.id desc limit $4"
            ))
            .bind(self.sight.bound())
            .bind(i64::try_from(prefix.len()).unwrap_or(i64::MAX))
            .bind(&prefix)
            .bind(CANDIDATES)
            .fetch_all(&self.pool)
            .await?
        } else {
            named
        };
        match self.the_only(rows, text).await? {
            Some(row) => Ok(row),
            None => self.imported_as(text).await?.ok_or_else(|| StoreError::not_found("checkpoint", text)),
        }
    }

    /// The checkpoint that was imported and had this id where it was made.
    async fn imported_as(&self, origin: &str) -> Result<Option<CheckpointRow>, StoreError> {
        let rows = sqlx::query(select_checkpoint!(" and c.origin = $2 order by c.created_at desc, c.id desc limit $3"))
            .bind(self.sight.bound())
            .bind(origin)
            .bind(CANDIDATES)
            .fetch_all(&self.pool)
            .await?;
        self.the_only(rows, origin).await
    }

    async fn the_only(&self, rows: Vec<AnyRow>, text: &str) -> Result<Option<CheckpointRow>, StoreError> {
        match rows.as_slice() {
            [] => Ok(None),
            [row] => Ok(Some(self.with_tags(checkpoint_row(row)?).await?)),
            many => Err(StoreError::Ambiguous {
                what: "checkpoint",
                text: text.to_owned(),
                candidates: many.iter().map(|row| row.text("id")).collect::<Result<_, _>>()?,
            }),
        }
    }

    async fn latest_of_the_only_environment(&self) -> Result<CheckpointRow, StoreError> {
        let environments = self.environments().await?;
        match environments.as_slice() {
            [only] => self.latest(&only.id).await?.ok_or_else(|| StoreError::not_found("checkpoint", "latest")),
            [] => Err(StoreError::not_found("checkpoint", "latest")),
            many => Err(StoreError::Ambiguous {
                what: "environment",
                text: "latest".into(),
                candidates: many.iter().map(|e| format!("{}/{}@latest", e.project, e.name)).collect(),
            }),
        }
    }

    /// The newest sealed checkpoint of an environment that is not a safety checkpoint, nor one that was taken only to
    /// compare another one with how things are (tagged [`LIVE`], never drilled): whoever asks for the newest wants a
    /// state to go back to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest(&self, environment: &EnvironmentId) -> Result<Option<CheckpointRow>, StoreError> {
        let row = sqlx::query(select_checkpoint!(
            " and c.environment = $2 and c.cause <> $3 and not (c.proof = $4 and exists (select 1 from tag t \
             where t.checkpoint = c.id and t.name = $5)) order by c.created_at desc, c.id desc limit 1"
        ))
        .bind(self.sight.bound())
        .bind(environment.as_str())
        .bind(Trigger::PreRestore.as_str())
        .bind(Proof::Unproven.as_str())
        .bind(LIVE)
        .fetch_optional(&self.pool)
        .await?;
        match row {
            Some(row) => Ok(Some(self.with_tags(checkpoint_row(&row)?).await?)),
            None => Ok(None),
        }
    }

    /// The newest proven checkpoint of an environment of which a copy is not known to be damaged.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_proven(&self, environment: &EnvironmentId) -> Result<Option<CheckpointRow>, StoreError> {
        let row = sqlx::query(select_checkpoint!(
            " and c.environment = $2 and c.proof = 'proven' and exists (select 1 from checkpoint_copy s \
             where s.checkpoint = c.id and s.integrity <> 'damaged') order by c.created_at desc, c.id desc limit 1"
        ))
        .bind(self.sight.bound())
        .bind(environment.as_str())
        .fetch_optional(&self.pool)
        .await?;
        match row {
            Some(row) => Ok(Some(self.with_tags(checkpoint_row(&row)?).await?)),
            None => Ok(None),
        }
    }

    /// The newest sealed checkpoint of an environment, safety checkpoints included: what the next one builds upon.
    /// Gives it with the text of its manifest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_with_manifest(
        &self,
        environment: &EnvironmentId,
    ) -> Result<Option<(CheckpointRow, String)>, StoreError> {
        let row =
            sqlx::query(select_checkpoint!(" and c.environment = $2 order by c.created_at desc, c.id desc limit 1"))
                .bind(self.sight.bound())
                .bind(environment.as_str())
                .fetch_optional(&self.pool)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let checkpoint = checkpoint_row(&row)?;
        let text = self.manifest_text(&checkpoint.id).await?;
        Ok(Some((checkpoint, text)))
    }

    /// One page, newest first, with totals over all that match.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn checkpoints(&self, filter: &CheckpointFilter) -> Result<CheckpointList, StoreError> {
        let environment = filter.environment.as_ref().map(ToString::to_string);
        let since = filter.since.map(micros);
        let limit = filter.limit.unwrap_or(PAGE);
        let sums = sqlx::query(concat!(
            "select count(*) as many, cast(coalesce(sum(c.total), 0) as bigint) as total, \
             cast(coalesce(sum(c.stored), 0) as bigint) as stored from checkpoint c \
             join environment e on e.id = c.environment join project p on p.id = e.project \
             where c.deleted_at is null and ",
            seen!(),
            matching!()
        ))
        .bind(self.sight.bound())
        .bind(environment.clone())
        .bind(filter.tag.clone())
        .bind(since)
        .fetch_one(&self.pool)
        .await?;
        let before = match &filter.before {
            Some(id) => Some(micros(self.checkpoint(id).await?.created_at)),
            None => None,
        };
        let rows = sqlx::query(select_checkpoint!(
            matching!(),
            "and ($5 is null or c.created_at < $5 or (c.created_at = $5 and c.id < $6)) \
             order by c.created_at desc, c.id desc limit $7"
        ))
        .bind(self.sight.bound())
        .bind(environment)
        .bind(filter.tag.clone())
        .bind(since)
        .bind(before)
        .bind(filter.before.as_ref().map(ToString::to_string))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        // One more than is shown, to know whether there are more.
        let shown = &rows[..rows.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
        let mut items: Vec<CheckpointSummary> = Vec::with_capacity(shown.len());
        for row in shown {
            items.push(self.with_tags(checkpoint_row(row)?).await?.summary());
        }
        let next = (rows.len() > shown.len()).then(|| items.last().map(|last| last.id.clone())).flatten();
        Ok(CheckpointList {
            items,
            next,
            count: sums.count("many")?,
            total: sums.count("total")?,
            stored: sums.count("stored")?,
        })
    }

    /// The exact text of a checkpoint's `manifest.json`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn manifest_text(&self, id: &CheckpointId) -> Result<String, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("select manifest from checkpoint where id = $1 and deleted_at is null")
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await?;
        text.ok_or_else(|| StoreError::not_found("checkpoint", id.as_str()))
    }

    /// A checkpoint's manifest.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] when it cannot be read.
    pub async fn manifest(&self, id: &CheckpointId) -> Result<Manifest, StoreError> {
        from_json("manifest", &self.manifest_text(id).await?)
    }
}
