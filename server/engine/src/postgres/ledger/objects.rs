//! What is compared by its definition: everything in a database but rows and the positions of sequences.
//!
//! Members of extensions are left out, the extension itself is named elsewhere. Keys are what `pg_identify_object` gives, always with
//! the schema. Owners and grants have keys of their own, so that a restore by a role that may not give things away
//! can leave them out and say so.

use std::collections::BTreeMap;

use super::super::{PgError, target::Session};

/// `{class}` and `{oid}` stand for the catalogue and the object's number in it.
const MEMBER: &str = "exists (select 1 from pg_depend ext where ext.deptype = 'e' and ext.classid = '{class}'::regclass and ext.objid = {oid})";
const OURS: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// Columns in order; those of an inheriting table by name, for a restore may order them anew.
const COLUMNS: &str = "(select string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        case when a.attcollation <> 0 and a.attcollation <> t.typcollation
            then 'collate ' || (pg_identify_object('pg_collation'::regclass, a.attcollation, 0)).identity end,
        case when a.attnotnull then 'not null' end, nullif('identity ' || a.attidentity::text, 'identity '),
        case when d.oid is not null then case a.attgenerated when '' then 'default ' else 'generated ' end
            || pg_get_expr(d.adbin, d.adrelid) end), e',\\n'
        order by case when h.child then 0 else a.attnum end, a.attname collate \"C\")
    from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum,
        (select exists (select 1 from pg_inherits where inhrelid = c.oid) and not c.relispartition as child) h
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)";

/// Every object with its definition.
pub(in super::super) async fn objects(session: &mut Session) -> Result<BTreeMap<String, String>, PgError> {
    let mut found = BTreeMap::new();
    for (what, sql) in queries() {
        for row in session.rows(sql, &format!("reading the {what}")).await? {
            if let Some(key) = row.maybe(0) {
                found.insert(key, row.text(1));
            }
        }
    }
    Ok(found)
}

/// Things that are there and that no dump restores: invalid indexes.
pub(in super::super) async fn left_out(session: &mut Session) -> Result<Vec<String>, PgError> {
    let rows = session
        .rows(
            "select case c.relkind
                when 'f' then 'the rows of foreign table ' || i.identity || ': they live on another server; its definition is covered'
                when 'm' then 'the rows of materialized view ' || i.identity || ': a restore computes them anew; its definition is covered'
                else 'index ' || i.identity || ': it is invalid, and pg_dump leaves it out; rebuild it by reindex' end
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
                left join pg_index x on x.indexrelid = c.oid
                cross join lateral pg_identify_object('pg_class'::regclass, c.oid, 0) i
            where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and (c.relkind in ('f', 'm') or (c.relkind = 'i' and not x.indisvalid))
                and not exists (select 1 from pg_depend d where d.deptype = 'e' and d.classid = 'pg_class'::regclass and d.objid = c.oid)
            union all
            select 'the rows of table ' || c::regclass::text || ': it belongs to extension ' || e.extname
                || ', which says itself what is dumped of it'
            from pg_extension e cross join lateral unnest(e.extconfig) c
            union all
            select 'subscription ' || quote_ident(s.subname) || ': replication is not restored' from pg_subscription s
                where s.subdbid = (select oid from pg_database where datname = current_database())
            order by 1",
            "looking for what a dump leaves out",
        )
        .await?;
    Ok(rows.iter().map(|row| row.text(0)).collect())
}

/// `select key, text` over a catalogue, aliased `o`, with its namespace `n` where `from` joins it.
fn query(class: &str, from: &str, text: &str, condition: &str) -> String {
    let member = MEMBER.replace("{class}", class).replace("{oid}", "o.oid");
    format!(
        "select i.type || ' ' || i.identity, {text} from pg_catalog.{class} o {from}
        cross join lateral pg_identify_object('pg_catalog.{class}'::regclass, o.oid, 0) i
        where not {member} and {condition}"
    )
}

/// Owner and grants of a catalogue's objects; grants only where they differ from what every such object has.
fn rights(class: &str, from: &str, owner: &str, acl: &str, kind: &str, condition: &str) -> String {
    let member = MEMBER.replace("{class}", class).replace("{oid}", "o.oid");
    let listed = |acl: &str| {
        format!(
            "(select string_agg(concat_ws(' ', case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
                g.privilege_type, case when g.is_grantable then 'with grant option' end,
                'by', quote_ident(pg_get_userbyid(g.grantor))), ', '
                order by pg_get_userbyid(g.grantee) collate \"C\", g.privilege_type, pg_get_userbyid(g.grantor) collate \"C\")
            from aclexplode({acl}) g)"
        )
    };
    let (given, usual) = (listed(acl), listed(&format!("acldefault({kind}, {owner})")));
    let base = format!(
        "from pg_catalog.{class} o {from} cross join lateral pg_identify_object('pg_catalog.{class}'::regclass, o.oid, 0) i
        where not {member} and {condition}"
    );
    format!(
        "select 'owner of ' || i.type || ' ' || i.identity, quote_ident(pg_get_userbyid({owner})) {base}
        union all
        select 'grants on ' || i.type || ' ' || i.identity, coalesce({given}, 'nobody') {base}
            and {acl} is not null and {given} is distinct from {usual}"
    )
}

fn queries() -> Vec<(&'static str, String)> {
    let named = |column: &str| format!("join pg_catalog.pg_namespace n on n.oid = o.{column}");
    let class = named("relnamespace");
    let mut all = vec![
        (
            "tables",
            query(
                "pg_class",
                &format!("join pg_catalog.pg_class c on c.oid = o.oid {class}"),
                &format!(
                    "concat_ws(e'\\n', nullif('persistence ' || c.relpersistence::text, 'persistence p'), {COLUMNS},
                    'inherits ' || (select string_agg(h.inhparent::regclass::text, ', ' order by h.inhseqno) from pg_inherits h where h.inhrelid = c.oid),
                    'partition ' || pg_get_expr(c.relpartbound, c.oid), 'partition by ' || pg_get_partkeydef(c.oid),
                    'row security ' || nullif(c.relrowsecurity::text || ' ' || c.relforcerowsecurity::text, 'false false'),
                    nullif('replica identity ' || c.relreplident::text, 'replica identity d'), 'options ' || c.reloptions::text,
                    'foreign server ' || (select quote_ident(s.srvname) from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid))"
                ),
                &format!("c.relkind in ('r', 'p', 'f', 'c') and c.relpersistence <> 't' and {OURS}"),
            ),
        ),
        (
            "views",
            query(
                "pg_class",
                &class,
                "concat_ws(e'\\n', pg_get_viewdef(o.oid), 'options ' || o.reloptions::text)",
                &format!("o.relkind in ('v', 'm') and o.relpersistence <> 't' and {OURS}"),
            ),
        ),
        (
            "sequences",
            query(
                "pg_class",
                &format!("{class} join pg_catalog.pg_sequence s on s.seqrelid = o.oid"),
                "concat_ws(' ', format_type(s.seqtypid, null), 'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin,
                    'max', s.seqmax, 'cache', s.seqcache, case when s.seqcycle then 'cycle' end,
                    (select 'owned by ' || d.refobjid::regclass::text || '.' || quote_ident(a.attname) from pg_depend d
                        join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                        where d.classid = 'pg_class'::regclass and d.objid = o.oid and d.refclassid = 'pg_class'::regclass
                            and d.refobjsubid > 0 and d.deptype in ('a', 'i') limit 1))",
                &format!("o.relpersistence <> 't' and {OURS}"),
            ),
        ),
        (
            "indexes",
            query(
                "pg_class",
                &format!("{class} join pg_catalog.pg_index x on x.indexrelid = o.oid"),
                "concat_ws(' ', pg_get_indexdef(o.oid), case when x.indisclustered then 'clustered' end, case when x.indisreplident then 'replica identity' end,
                    'part of ' || (select h.inhparent::regclass::text from pg_inherits h where h.inhrelid = o.oid))",
                // What pg_dump itself leaves out: an index that never became valid.
                &format!("(x.indisvalid or o.relkind = 'I') and o.relpersistence <> 't' and {OURS} and not {}", of_member("x.indrelid")),
            ),
        ),
        (
            "constraints",
            query(
                "pg_constraint",
                &named("connamespace"),
                "pg_get_constraintdef(o.oid)",
                // A partition's copy of a foreign key follows from its parent's, under a name of the server's choice.
                &format!("{OURS} and not (o.contype = 'f' and o.conparentid <> 0) and not {} and o.contype <> 't'", of_member("o.conrelid")),
            ),
        ),
        (
            "triggers",
            query(
                "pg_trigger",
                "join pg_catalog.pg_class c on c.oid = o.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace",
                "pg_get_triggerdef(o.oid) || ' enabled ' || o.tgenabled::text",
                &format!("not o.tgisinternal and o.tgparentid = 0 and {OURS}"),
            ),
        ),
        (
            "rules",
            query(
                "pg_rewrite",
                "join pg_catalog.pg_class c on c.oid = o.ev_class join pg_catalog.pg_namespace n on n.oid = c.relnamespace",
                "pg_get_ruledef(o.oid) || ' enabled ' || o.ev_enabled::text",
                &format!("o.rulename <> '_RETURN' and {OURS} and not {}", of_member("o.ev_class")),
            ),
        ),
        (
            "policies",
            query(
                "pg_policy",
                "",
                "concat_ws(' ', o.polcmd, case when o.polpermissive then 'permissive' else 'restrictive' end,
                    'to ' || (select string_agg(case when r = 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ' order by pg_get_userbyid(r) collate \"C\") from unnest(o.polroles) r),
                    'using ' || pg_get_expr(o.polqual, o.polrelid), 'check ' || pg_get_expr(o.polwithcheck, o.polrelid))",
                "true",
            ),
        ),
        (
            "functions",
            query("pg_proc", &named("pronamespace"), "pg_get_functiondef(o.oid)", &format!("o.prokind <> 'a' and {OURS}")),
        ),
        (
            "aggregates",
            query(
                "pg_proc",
                &format!("{} join pg_catalog.pg_aggregate a on a.aggfnoid = o.oid", named("pronamespace")),
                "concat_ws(' ', pg_get_function_arguments(o.oid), pg_get_function_result(o.oid), a.aggtransfn::text, a.aggfinalfn::text, a.agginitval)",
                OURS,
            ),
        ),
        (
            "types",
            query(
                "pg_type",
                &named("typnamespace"),
                "concat_ws(' ', o.typtype, case when o.typtype = 'd' then format_type(o.typbasetype, o.typtypmod) end,
                    case when o.typnotnull then 'not null' end, 'default ' || o.typdefault,
                    (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = o.oid),
                    (select format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = o.oid))",
                // Array types and row types of tables come with what they belong to.
                &format!("o.typtype in ('b', 'd', 'e', 'r') and {OURS} and not exists (select 1 from pg_type e where e.typarray = o.oid)"),
            ),
        ),
        (
            "schemas",
            query("pg_namespace", "", "''", "o.nspname !~ '^pg_' and o.nspname <> 'information_schema'"),
        ),
        (
            "statistics objects",
            query("pg_statistic_ext", &named("stxnamespace"), "pg_get_statisticsobjdef(o.oid)", OURS),
        ),
        (
            "event triggers",
            query("pg_event_trigger", "", "concat_ws(' ', o.evtevent, o.evtfoid::regproc::text, o.evtenabled, o.evttags::text)", "true"),
        ),
        (
            "publications",
            query(
                "pg_publication",
                "",
                "concat_ws(' ', o.puballtables, o.pubinsert, o.pubupdate, o.pubdelete, o.pubtruncate,
                    (select string_agg(t.prrelid::regclass::text, ', ' order by t.prrelid::regclass::text collate \"C\") from pg_publication_rel t where t.prpubid = o.oid))",
                "true",
            ),
        ),
        (
            "comments",
            format!(
                "select 'comment on ' || i.type || ' ' || i.identity, o.description from pg_catalog.pg_description o
                cross join lateral pg_identify_object(o.classoid, o.objoid, o.objsubid) i
                where o.objoid >= 16384 and o.classoid <> 'pg_extension'::regclass and i.schema is distinct from 'pg_toast'
                    and coalesce(i.schema, '') !~ '^pg_temp' and not {}",
                MEMBER.replace("'{class}'::regclass", "o.classoid").replace("{oid}", "o.objoid")
            ),
        ),
        (
            "grants on columns",
            "select 'grants on ' || i.type || ' ' || i.identity, (select string_agg(concat_ws(' ',
                    case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end, g.privilege_type, g.is_grantable), ', '
                    order by pg_get_userbyid(g.grantee) collate \"C\", g.privilege_type) from aclexplode(o.attacl) g)
            from pg_catalog.pg_attribute o join pg_catalog.pg_class c on c.oid = o.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            cross join lateral pg_identify_object('pg_catalog.pg_class'::regclass, o.attrelid, o.attnum) i
            where o.attacl is not null and not o.attisdropped and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and exists (select 1 from aclexplode(o.attacl))"
                .into(),
        ),
        (
            "default grants",
            query(
                "pg_default_acl",
                "",
                "(select string_agg(concat_ws(' ', case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end, g.privilege_type, g.is_grantable), ', '
                    order by pg_get_userbyid(g.grantee) collate \"C\", g.privilege_type) from aclexplode(o.defaclacl) g)",
                "true",
            ),
        ),
        ("rights to tables", rights("pg_class", &class, "o.relowner", "o.relacl", "case o.relkind when 'S' then 's'::\"char\" else 'r'::\"char\" end",
            &format!("o.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and o.relpersistence <> 't' and {OURS}"))),
        ("rights to functions", rights("pg_proc", &named("pronamespace"), "o.proowner", "o.proacl", "'f'", OURS)),
        ("rights to schemas", rights("pg_namespace", "", "o.nspowner", "o.nspacl", "'n'", "o.nspname !~ '^pg_' and o.nspname <> 'information_schema'")),
        ("rights to types", rights("pg_type", &named("typnamespace"), "o.typowner", "o.typacl", "'T'",
            &format!("o.typtype in ('b', 'd', 'e', 'r', 'c') and {OURS} and not exists (select 1 from pg_type e where e.typarray = o.oid)
                and not exists (select 1 from pg_class c where c.oid = o.typrelid and c.relkind <> 'c')"))),
    ];
    // Compared by their being there; oids from 16384 on are not PostgreSQL's own.
    for (what, class) in [
        ("casts", "pg_cast"),
        ("operators", "pg_operator"),
        ("operator classes", "pg_opclass"),
        ("operator families", "pg_opfamily"),
        ("collations", "pg_collation"),
        ("conversions", "pg_conversion"),
        ("languages", "pg_language"),
        ("text search configurations", "pg_ts_config"),
        ("text search dictionaries", "pg_ts_dict"),
        ("foreign-data wrappers", "pg_foreign_data_wrapper"),
        ("foreign servers", "pg_foreign_server"),
        ("transforms", "pg_transform"),
        ("access methods", "pg_am"),
    ] {
        all.push((what, query(class, "", "''", "o.oid >= 16384")));
    }
    all
}

/// Whether a table belongs to an extension, and so all that hangs on it.
fn of_member(oid: &str) -> String {
    MEMBER.replace("{class}", "pg_class").replace("{oid}", oid)
}
