//! Looking through the tables of a checkpoint.

use holdfast_engine::tables::{REACH, TablesError};
use holdfast_model::{
    access::Permission,
    name::Name,
    view::{TablePage, TablesView},
};
use serde::Deserialize;

use super::{ActionError, Actions};
use crate::tables::LookError;

/// Tables that are listed at most.
const TABLES: usize = 5_000;

/// The query for the tables of a component.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TablesQuery {
    /// The component's name.
    pub component: String,
}

/// The query for rows of a table.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsQuery {
    /// The component's name.
    pub component: String,
    /// The table's schema; where it is not given, `table` has it before its first dot.
    #[serde(default)]
    pub schema: String,
    /// The table's name.
    pub table: String,
    /// Rows before the first that is asked for: `next` of the answer before.
    #[serde(default)]
    pub from: u64,
}

impl Actions {
    /// The tables of a database component.
    ///
    /// # Errors
    /// When there is no such checkpoint or component, or it cannot be read.
    pub async fn tables(&self, text: &str, query: &TablesQuery) -> Result<TablesView, ActionError> {
        let row = self.checkpoint_to(Permission::Read, text).await?;
        let component = component(&query.component)?;
        let mut tables = self.parts.looks.tables(&self.parts.desk, &row.id, &component).await?;
        let more = u64::try_from(tables.len().saturating_sub(TABLES)).unwrap_or(0);
        tables.truncate(TABLES);
        Ok(TablesView { checkpoint: row.id, component, tables, more })
    }

    /// Some rows of a table; audited.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or table, or it cannot be read.
    pub async fn table(&self, text: &str, query: &RowsQuery) -> Result<TablePage, ActionError> {
        let row = self.checkpoint_to(Permission::Read, text).await?;
        let component = component(&query.component)?;
        let (schema, table) = match query.table.split_once('.') {
            Some(both) if query.schema.is_empty() => both,
            _ => (query.schema.as_str(), query.table.as_str()),
        };
        let from = query.from;
        if from >= REACH {
            let message =
                format!("only the first {REACH} rows of a table can be looked at here; restore it to see all");
            return Err(ActionError::invalid("from", message));
        }
        let what = format!("{component}: rows of {schema}.{table} from {from}");
        self.store().audit(&self.caller.name, "checkpoint.read", row.id.as_str(), &what).await?;
        let found = self.parts.looks.rows(&self.parts.desk, &row.id, &component, (schema, table), from).await?;
        let behind = from.saturating_add(u64::try_from(found.rows.len()).unwrap_or(u64::MAX));
        Ok(TablePage {
            checkpoint: row.id,
            component,
            total: found.total,
            schema: schema.to_owned(),
            name: table.to_owned(),
            columns: found.columns,
            key: found.key,
            masked: found.masked,
            rows: found.rows,
            from,
            next: (found.more && behind < REACH).then_some(behind),
            reach: REACH,
            ended: found.ended,
        })
    }
}

fn component(text: &str) -> Result<Name, ActionError> {
    text.parse().map_err(|_| ActionError::NotFound(format!("the checkpoint has no component `{text}`")))
}

impl From<LookError> for ActionError {
    fn from(error: LookError) -> Self {
        let text = error.to_string();
        match error {
            LookError::Desk(error) => error.into(),
            LookError::Tables(TablesError::NoSuchComponent(_) | TablesError::NoSuchTable { .. }) => {
                Self::NotFound(text)
            }
            LookError::Tables(TablesError::Said(_)) => Self::Unprocessable { message: text, errors: Vec::new() },
            LookError::Tables(_) | LookError::Scratch { .. } => Self::Unavailable(text),
        }
    }
}
