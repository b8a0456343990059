//! The table's rows as they were, in a schema of their own in the live database.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::table::{TableName, TableReport};
use holdfast_vault::Cancel;
use tokio::sync::mpsc;

use super::{
    super::{
        PgError,
        archive::Entry,
        target::{Session, identifier, literal},
    },
    TableWork,
    live::Live,
    place,
};
use crate::{
    context::Context,
    diff::database::{copy_text, dump::Dump, schema, window::Stop},
};

/// What a staging schema says of itself, by which one that was left behind is known.
const MARK: &str = "Holdfast compares a table here. It goes when that is done.";
/// The first half of the advisory locks by which a staging schema is held; the second is the hash of its name.
const LOCK: i32 = 0x484f_4c44;
/// Bytes that go over at once.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait.
const QUEUE: usize = 4;

/// A column as the checkpoint has it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) sort: String,
    pub(super) collation: Option<String>,
    pub(super) default: Option<String>,
    pub(super) not_null: bool,
}

/// The staging schema.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    pub(super) schema: String,
    /// Its one table, as SQL.
    pub(super) place: String,
    /// In the order of the dump.
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<String>,
    pub(super) rows: u64,
}

impl Staging {
    /// Nothing is there yet.
    pub(super) fn named(work: &TableWork) -> Self {
        let run = work.run.to_string();
        let own = TableName { schema: work.schema.clone(), table: work.table.clone() };
        let number = work.along.iter().position(|name| *name == own).unwrap_or_default();
        let schema = format!("holdfast_{}_{number}", run.trim_start_matches("run_").to_lowercase());
        let place = place(&schema, "rows");
        Self { schema, place, columns: Vec::new(), key: Vec::new(), rows: 0 }
    }

    pub(super) fn removal(&self) -> String {
        format!("drop schema if exists {} cascade", identifier(&self.schema))
    }

    /// Makes the schema and reads the rows into it.
    pub(super) async fn fill(
        &self,
        session: &mut Session,
        dump: Dump,
        entries: &[Entry],
        (schema, table): (&str, &str),
        ctx: &Context,
    ) -> Result<Self, PgError> {
        let of = dump.tables.get(&(schema.to_owned(), table.to_owned()));
        let missing = || PgError::Refused(format!("the rows of {schema}.{table} are not in the dump"));
        let of = of.ok_or_else(missing)?;
        let names = of.columns.clone().ok_or_else(missing)?;
        let (data, _) = dump.data(of).ok_or_else(missing)?;
        let sql = entries.iter().find(|entry| entry.tag == "TABLE").map_or("", |entry| entry.sql.as_str());
        let defined = schema::columns_of(sql)
            .ok_or_else(|| PgError::Refused(format!("the definition of {schema}.{table} cannot be read")))?;
        let typed = match schema::type_of(sql) {
            Some((schema, name)) => attributes(session, &place(&schema, &name)).await?,
            None => BTreeMap::new(),
        };
        let column = |name: &String| {
            let part = |key: &str| defined.iter().find(|(other, _)| other == name)?.1.get(key).cloned();
            Some(Column {
                name: name.clone(),
                sort: typed.get(name).cloned().or_else(|| part("type"))?,
                collation: part("collate"),
                default: part("default"),
                not_null: part("not null").is_some(),
            })
        };
        let columns: Option<Vec<Column>> = names.iter().map(column).collect();
        let columns =
            columns.ok_or_else(|| PgError::Refused(format!("a column of {schema}.{table} has no definition")))?;
        let staged = Self { columns, key: of.key.clone(), ..self.clone() };

        let each: Vec<String> =
            staged.columns.iter().map(|column| format!("{} {}", identifier(&column.name), column.sort)).collect();
        let (name, text) = (identifier(&self.schema), literal(&self.schema));
        let make = format!(
            "select pg_advisory_lock({LOCK}, hashtext({text})); {}; create schema {name}; comment on schema {name} is {}; \
             create unlogged table {} ({})",
            self.removal(),
            literal(MARK),
            self.place,
            each.join(", ")
        );
        session.run(make, "making the staging schema").await?;
        let rows = load(session, &staged, dump, data, ctx.cancel.clone()).await?;
        if !staged.key.is_empty() {
            let index = format!("alter table {} add primary key ({})", self.place, list(&staged.key, ""));
            session.run(index, "indexing the rows").await?;
        }
        session.run(format!("analyze {}", self.place), "looking at the rows").await?;
        Ok(Self { rows, ..staged })
    }

    /// Names of the columns that both have and that can be written.
    pub(super) fn common(&self, live: &Live) -> Vec<String> {
        let writable = |name: &&String| live.columns.iter().any(|column| column.name == **name && !column.generated);
        self.columns.iter().map(|column| &column.name).filter(writable).cloned().collect()
    }

    /// The key that both have.
    pub(super) fn shared_key(&self, live: &Live) -> Vec<String> {
        let set = |key: &[String]| key.iter().cloned().collect::<BTreeSet<_>>();
        if set(&self.key) == set(&live.key) { self.key.clone() } else { Vec::new() }
    }

    /// `l` and `s` are the same row.
    pub(super) fn same_key(&self, live: &Live, key: &[String]) -> String {
        let sort = |name: &String| {
            let then = self.columns.iter().find(|column| column.name == *name).map(|column| column.sort.as_str());
            let now = live.columns.iter().find(|column| column.name == *name).map(|column| column.sort.as_str());
            then == now
        };
        let each = key.iter().map(|name| {
            let (column, cast) = (identifier(name), if sort(name) { "" } else { "::text" });
            format!("l.{column}{cast} = s.{column}{cast}")
        });
        each.collect::<Vec<_>>().join(" and ")
    }

    /// Counts rows only then, only now, and changed.
    pub(super) async fn compare(
        &self,
        session: &mut Session,
        live: &Live,
        report: &mut TableReport,
    ) -> Result<(), PgError> {
        let doing = "comparing the rows";
        let (here, rows) = (place(&report.schema, &report.name), &self.place);
        let (key, common) = (self.shared_key(live), self.common(live));
        let counts = if key.is_empty() {
            let (then, now) = (texts(&common, "s"), texts(&common, "l"));
            format!(
                "(select count(*) from (select {then} from {rows} s except all select {now} from only {here} l) x)::text,
                (select count(*) from (select {now} from only {here} l except all select {then} from {rows} s) x)::text, '0'"
            )
        } else {
            let same = self.same_key(live, &key);
            format!(
                "(select count(*) from {rows} s where not exists (select 1 from only {here} l where {same}))::text,
                (select count(*) from only {here} l where not exists (select 1 from {rows} s where {same}))::text,
                (select count(*) from {rows} s join only {here} l on {same} where {} is distinct from {})::text",
                texts(&common, "s"),
                texts(&common, "l")
            )
        };
        let row = session.row(format!("select {counts}, (select count(*) from only {here})::text"), doing).await?;
        (report.only_then, report.only_now, report.changed) = (row.number(0), row.number(1), row.number(2));
        (report.then, report.now, report.key) = (self.rows, row.number(3), key);
        Ok(())
    }
}

/// Removes staging schemas that nobody holds: whoever made them is gone.
pub(super) async fn sweep(session: &mut Session) -> Result<(), PgError> {
    let doing = "looking for staging schemas that were left behind";
    let left = format!(
        "select nspname from pg_namespace where nspname like 'holdfast\\_%' \
         and obj_description(oid, 'pg_namespace') = {}",
        literal(MARK)
    );
    for row in session.rows(left, doing).await? {
        let (name, text) = (identifier(&row.text(0)), literal(&row.text(0)));
        let free = session.row(format!("select pg_try_advisory_lock({LOCK}, hashtext({text}))"), doing).await?;
        if free.is(0) {
            // Another role's may stay; it harms nothing.
            let _ = session.try_run(format!("drop schema if exists {name} cascade")).await;
            session.rows(format!("select pg_advisory_unlock({LOCK}, hashtext({text}))"), doing).await?;
        }
    }
    Ok(())
}

/// The attributes of a composite type that is there, each with its type.
async fn attributes(session: &mut Session, composite: &str) -> Result<BTreeMap<String, String>, PgError> {
    let sql = format!(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute
        where attrelid = (select typrelid from pg_type where oid = to_regtype({})) and attnum > 0 and not attisdropped",
        literal(composite)
    );
    let rows = session.rows(sql, "looking at the type that the table is of").await?;
    Ok(rows.iter().map(|row| (row.text(0), row.text(1))).collect())
}

/// Columns as SQL, of `of` if it is named.
pub(super) fn list(names: &[String], of: &str) -> String {
    let dot = if of.is_empty() { "" } else { "." };
    names.iter().map(|name| format!("{of}{dot}{}", identifier(name))).collect::<Vec<_>>().join(", ")
}

/// A row of texts: not every type can be compared, and none says more than its text.
pub(super) fn texts(names: &[String], of: &str) -> String {
    let each: Vec<String> = names.iter().map(|name| format!("{of}.{}::text", identifier(name))).collect();
    format!("row({})", each.join(", "))
}

/// Streams the lines of the dump into the table.
async fn load(
    session: &mut Session,
    staged: &Staging,
    mut dump: Dump,
    data: copy_text::Data,
    cancel: Cancel,
) -> Result<u64, PgError> {
    let (pieces, taken) = mpsc::channel::<Result<Vec<u8>, String>>(QUEUE);
    let reading = tokio::task::spawn_blocking(move || {
        let mut piece = Vec::with_capacity(PIECE + 4096);
        let read = copy_text::lines(&mut dump.reader, &data, &cancel, &mut |line, _| {
            piece.extend_from_slice(line);
            piece.push(b'\n');
            if piece.len() < PIECE {
                return Ok(());
            }
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE + 4096));
            pieces.blocking_send(Ok(full)).map_err(|_| Stop::Unreadable("nobody takes its rows".to_owned()))
        });
        let last = match read {
            Ok(()) => Ok(piece),
            Err(Stop::Unreadable(why)) => Err(why),
            Err(Stop::Failed(failure)) => Err(failure.to_string()),
        };
        let _ = pieces.blocking_send(last);
    });
    let names: Vec<String> = staged.columns.iter().map(|column| column.name.clone()).collect();
    let columns = if names.is_empty() { String::new() } else { format!("({})", list(&names, "")) };
    let copied =
        session.copy_in(&format!("copy {} {columns} from stdin", staged.place), taken, "reading its rows").await;
    let _ = reading.await;
    copied
}
