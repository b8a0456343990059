//! What the table is now, what it refers to, and what refers to it.

use holdfast_model::table::{BrokenReference, TableName, TableReport};

use super::{
    super::{
        PgError,
        target::{Session, literal},
    },
    staging::Staging,
};

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) sort: String,
    /// Its value follows from others.
    pub(super) generated: bool,
    /// Its value is given by a sequence always.
    pub(super) always: bool,
}

/// The table as it is.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) oid: String,
    pub(super) owner: String,
    /// Whether we may alter it.
    pub(super) ours: bool,
    pub(super) rules: u32,
    /// Whether it is part of a partitioned or inheriting table.
    pub(super) related: bool,
    /// Whether other tables' foreign keys refer to it.
    pub(super) referred: bool,
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<String>,
    /// What would not let it go: views, other tables' policies, functions.
    pub(super) dependents: Vec<String>,
}

impl Live {
    /// None if there is no such table.
    pub(super) async fn read(session: &mut Session, schema: &str, table: &str) -> Result<Option<Self>, PgError> {
        let doing = "looking at the table as it is";
        let sql = format!(
            "select c.oid::text, c.relkind::text, pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'usage'),
                (select count(*) from pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN')::text,
                exists (select 1 from pg_inherits h where h.inhrelid = c.oid or h.inhparent = c.oid),
                exists (select 1 from pg_constraint f where f.contype = 'f' and f.confrelid = c.oid and f.conrelid <> c.oid)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = {} and c.relname = {}",
            literal(schema),
            literal(table)
        );
        let Some(row) = session.rows(sql, doing).await?.into_iter().next() else { return Ok(None) };
        if row.text(1) != "r" {
            return Err(PgError::Refused(format!(
                "{schema}.{table} is no ordinary table now; rename what has its name"
            )));
        }
        let oid = row.text(0);
        let columns = session
            .rows(
                format!(
                    "select attname, format_type(atttypid, atttypmod), attgenerated <> '', attidentity = 'a'
                    from pg_attribute where attrelid = {oid} and attnum > 0 and not attisdropped order by attnum"
                ),
                doing,
            )
            .await?;
        let columns = columns.iter().map(|row| Column {
            name: row.text(0),
            sort: row.text(1),
            generated: row.is(2),
            always: row.is(3),
        });
        let columns = columns.collect();
        let key = session
            .rows(
                format!(
                    "select a.attname from pg_index i cross join lateral unnest(i.indkey) with ordinality k(n, at)
                    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n
                    where i.indrelid = {oid} and i.indisprimary and k.at <= i.indnkeyatts order by k.at"
                ),
                doing,
            )
            .await?;
        let dependents = session
            .rows(
                format!(
                    "select distinct coalesce(pg_describe_object('pg_class'::regclass, r.ev_class, 0),
                        pg_describe_object(d.classid, d.objid, 0))
                    from pg_depend d join pg_class t on t.oid = {oid}
                    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
                    left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
                    left join pg_policy p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
                    left join pg_trigger g on d.classid = 'pg_trigger'::regclass and g.oid = d.objid
                    left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
                    where d.deptype = 'n' and (d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
                            or d.refclassid = 'pg_type'::regclass and d.refobjid = t.reltype)
                        and coalesce(r.ev_class, p.polrelid, g.tgrelid, a.adrelid, k.conrelid, 0) <> t.oid
                        and k.contype is distinct from 'f'
                    order by 1"
                ),
                doing,
            )
            .await?;
        Ok(Some(Self {
            oid,
            owner: row.text(2),
            ours: row.is(3),
            rules: row.number(4),
            related: row.is(5),
            referred: row.is(6),
            columns,
            key: key.iter().map(|row| row.text(0)).collect(),
            dependents: dependents.iter().map(|row| row.text(0)).collect(),
        }))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Counts what would refer to nothing, either way.
    pub(super) async fn references(
        &self,
        session: &mut Session,
        staging: &Staging,
        along: &[TableName],
        report: &mut TableReport,
    ) -> Result<(), PgError> {
        let here = format!("{}.{}", report.schema, report.name);
        for out in [true, false] {
            let (ours, theirs) = if out { ("conrelid", "confrelid") } else { ("confrelid", "conrelid") };
            let (our_key, their_key) = if out { ("conkey", "confkey") } else { ("confkey", "conkey") };
            let sql = format!(
                "select f.conname, f.{theirs}::regclass::text, string_agg(format('o.%I = s.%I', b.attname, a.attname), ' and '),
                    string_agg(format('%s.%I is not null', '{}', {}.attname), ' and '), string_agg(a.attname, e'\\x01'),
                    n.nspname, c.relname
                from pg_constraint f join pg_class c on c.oid = f.{theirs} join pg_namespace n on n.oid = c.relnamespace
                cross join lateral unnest(f.{our_key}, f.{their_key}) k(a, b)
                join pg_attribute a on a.attrelid = f.{ours} and a.attnum = k.a
                join pg_attribute b on b.attrelid = f.{theirs} and b.attnum = k.b
                where f.contype = 'f' and f.{ours} = {} and f.{theirs} <> f.{ours} and (f.conparentid = 0
                    or {out} and f.conrelid <> (select p.conrelid from pg_constraint p where p.oid = f.conparentid))
                group by f.oid, f.conname, f.{theirs}, n.nspname, c.relname order by f.conname",
                if out { "s" } else { "o" },
                if out { "a" } else { "b" },
                self.oid
            );
            for row in session.rows(sql, "looking at foreign keys").await? {
                let (constraint, other) = (row.text(0), row.text(1));
                if !row.text(4).split('\u{1}').all(|name| staging.columns.iter().any(|column| column.name == name)) {
                    continue;
                }
                let (same, not_null) = (row.text(2), row.text(3));
                let rows = &staging.place;
                let count = if out {
                    format!(
                        "select count(*)::text from {rows} s where {not_null} and not exists (select 1 from {other} o where {same})"
                    )
                } else {
                    format!(
                        "select count(*)::text from {other} o where {not_null} and not exists (select 1 from {rows} s where {same})"
                    )
                };
                let broken: u64 = session.row(count, &format!("counting what {constraint} refers to")).await?.number(0);
                if broken > 0 {
                    let there = TableName { schema: row.text(5), table: row.text(6) };
                    let comes_back = out && along.contains(&there);
                    let other = format!("{}.{}", there.schema, there.table);
                    let (from, to) = if out { (here.clone(), other) } else { (other, here.clone()) };
                    report.broken.push(BrokenReference { constraint, from, to, rows: broken, out, comes_back });
                }
            }
        }
        Ok(())
    }
}
