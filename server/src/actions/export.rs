//! A checkpoint on its way out of Holdfast.

use holdfast_engine::Form;
use holdfast_model::access::Permission;
use holdfast_vault::Cancel;
use serde::Deserialize;

use super::{ActionError, Actions};
use crate::jobs::Outgoing;

/// The query of an export.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// How its files are put together.
    #[serde(default)]
    pub format: ExportFormat,
    /// Whether each dump comes as SQL too.
    #[serde(default)]
    pub plain_sql: bool,
}

/// How an export's files are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
pub enum ExportFormat {
    /// A tar archive, whose length is told beforehand.
    #[serde(rename = "tar")]
    Tar,
    /// The same through gzip.
    #[default]
    #[serde(rename = "tar.gz")]
    TarGz,
    /// The same through zstd.
    #[serde(rename = "tar.zst")]
    TarZst,
}

impl Actions {
    /// Reads a checkpoint whole and makes it ready to go out; audited. `cancel` ends it at any time.
    ///
    /// # Errors
    /// When there is no such checkpoint; [`ActionError::Unprocessable`] when it cannot be read, or a program is
    /// missing that reads it.
    pub async fn export(&self, text: &str, query: &ExportQuery, cancel: Cancel) -> Result<Outgoing, ActionError> {
        let row = self.checkpoint_to(Permission::Read, text).await?;
        let form = match query.format {
            ExportFormat::Tar => Form::Tar,
            ExportFormat::TarGz => Form::TarGz,
            ExportFormat::TarZst => Form::TarZst,
        };
        Ok(self.parts.desk.export(&row.id, form, query.plain_sql, cancel, &self.caller.name).await?)
    }
}
