//! `database.json`: what belongs to the database itself and stands in no table of it: owner, locale, settings, grants.
//!
//! The archive has the same in its DATABASE entries, as SQL under the old name; a restore needs it under a new one.

use serde::{Deserialize, Serialize};

use super::{
    PgError,
    target::{Session, identifier, literal},
};

/// The database itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Database {
    /// Its name at the source.
    pub(super) name: String,
    /// Its owner.
    pub(super) owner: String,
    /// Its encoding.
    pub(super) encoding: String,
    /// `lc_collate`.
    pub(super) collate: String,
    /// `lc_ctype`.
    pub(super) ctype: String,
    /// `c` for the C library, `i` for ICU, `b` for PostgreSQL's own.
    pub(super) provider: String,
    /// The ICU or built-in locale.
    pub(super) locale: Option<String>,
    /// -1 for none.
    pub(super) connection_limit: i64,
    /// Its comment.
    pub(super) comment: Option<String>,
    /// `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
    pub(super) settings: Vec<Setting>,
    /// Grants; none where nobody ever changed them.
    pub(super) grants: Option<Vec<Grant>>,
    /// The superuser that the cluster was made with: owner of what nobody else owns.
    pub(super) superuser: String,
    /// Its size on disk in bytes.
    pub(super) size: u64,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setting {
    /// For one role only.
    pub(super) role: Option<String>,
    /// The setting.
    pub(super) name: String,
    /// Its value as the catalogue has it.
    pub(super) value: String,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    /// Who has it; none is everybody.
    pub(super) to: Option<String>,
    /// `CONNECT`, `CREATE`, `TEMPORARY`.
    pub(super) privilege: String,
    /// Whether it may be handed on.
    pub(super) grantable: bool,
}

const HERE: &str = "(select oid from pg_database where datname = current_database())";

impl Database {
    /// Reads it from the database that the session is in.
    pub(super) async fn read(session: &mut Session) -> Result<Self, PgError> {
        let doing = "reading the database's own settings";
        let row = session
            .row(
                "select d.datname, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
                    coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
                    coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', to_jsonb(d)->>'datcollate'),
                    d.datconnlimit::text, shobj_description(d.oid, 'pg_database'), d.datacl is not null,
                    pg_get_userbyid(10), pg_database_size(d.oid)::text
                from pg_database d where d.datname = current_database()",
                doing,
            )
            .await?;
        let settings = session
            .rows(
                format!(
                    "select case when s.setrole <> 0 then pg_get_userbyid(s.setrole) end, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
                    from pg_db_role_setting s cross join lateral unnest(s.setconfig) c where s.setdatabase = {HERE} order by 1, 2"
                ),
                doing,
            )
            .await?;
        let grants = session
            .rows(
                "select case when g.grantee <> 0 then pg_get_userbyid(g.grantee) end, g.privilege_type, g.is_grantable
                from pg_database d cross join lateral aclexplode(d.datacl) g where d.datname = current_database() order by 1, 2",
                doing,
            )
            .await?;
        let grants = grants.iter().map(|row| Grant { to: row.maybe(0), privilege: row.text(1), grantable: row.is(2) });
        let settings = settings.iter().map(|row| Setting { role: row.maybe(0), name: row.text(1), value: row.text(2) });
        Ok(Self {
            name: row.text(0),
            owner: row.text(1),
            encoding: row.text(2),
            collate: row.text(3),
            ctype: row.text(4),
            provider: row.text(5),
            locale: row.maybe(6),
            connection_limit: row.number(7),
            comment: row.maybe(8),
            settings: settings.collect(),
            grants: row.is(9).then(|| grants.collect()),
            superuser: row.text(10),
            size: row.number(11),
        })
    }

    /// Creates an empty database like it under another name.
    pub(super) fn create(&self, name: &str, owner: Option<&str>) -> String {
        let owner = owner.map(|owner| format!(" owner {}", identifier(owner))).unwrap_or_default();
        let provider = match (self.provider.as_str(), &self.locale) {
            ("i", Some(locale)) => format!(" locale_provider icu icu_locale {}", literal(locale)),
            ("b", Some(locale)) => format!(" locale_provider builtin builtin_locale {}", literal(locale)),
            _ => String::new(),
        };
        format!(
            "create database {}{owner} template template0 encoding {} lc_collate {} lc_ctype {}{provider}",
            identifier(name),
            literal(&self.encoding),
            literal(&self.collate),
            literal(&self.ctype)
        )
    }

    /// One like it whose locale every host has; for a host that lacks the real one.
    pub(super) fn create_plain(&self, name: &str) -> String {
        format!(
            "create database {} template template0 encoding {} lc_collate 'C' lc_ctype 'C'",
            identifier(name),
            literal(&self.encoding)
        )
    }

    /// The statements that give another database its settings, comment and limit: each on its own, for a role may
    /// be allowed one and not the next.
    pub(super) fn settings_for(&self, name: &str) -> Vec<String> {
        let database = identifier(name);
        let mut all: Vec<String> = self
            .settings
            .iter()
            .map(|setting| {
                let to = format!("set {} to {}", identifier(&setting.name), value(setting));
                match &setting.role {
                    None => format!("alter database {database} {to}"),
                    Some(role) => format!("alter role {} in database {database} {to}", identifier(role)),
                }
            })
            .collect();
        if let Some(comment) = &self.comment {
            all.push(format!("comment on database {database} is {}", literal(comment)));
        }
        if self.connection_limit >= 0 {
            all.push(format!("alter database {database} connection limit {}", self.connection_limit));
        }
        all
    }

    /// The statements that give another database its grants.
    pub(super) fn grants_for(&self, name: &str) -> Vec<String> {
        let Some(grants) = &self.grants else { return Vec::new() };
        let database = identifier(name);
        let mut all = vec![format!("revoke all on database {database} from public")];
        if !grants.iter().any(|grant| grant.to.as_deref() == Some(self.owner.as_str())) {
            all.push(format!("revoke all on database {database} from {}", identifier(&self.owner)));
        }
        all.extend(grants.iter().map(|grant| {
            let to = grant.to.as_deref().map_or_else(|| "public".to_owned(), identifier);
            let more = if grant.grantable && grant.to.is_some() { " with grant option" } else { "" };
            format!("grant {} on database {database} to {to}{more}", grant.privilege)
        }));
        all
    }

    /// Every role that it names.
    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        let grants = self.grants.iter().flatten().filter_map(|grant| grant.to.as_deref());
        let settings = self.settings.iter().filter_map(|setting| setting.role.as_deref());
        std::iter::once(self.owner.as_str()).chain(grants).chain(settings)
    }
}

/// Settings that hold a list of names are kept already quoted, item by item (`variable_is_guc_list_quote`).
fn value(setting: &Setting) -> String {
    const LISTS: [&str; 6] = [
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    ];
    if !LISTS.contains(&setting.name.to_lowercase().as_str()) {
        return literal(&setting.value);
    }
    let (mut items, mut item, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = setting.value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                item.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            ' ' if !quoted => {}
            other => item.push(other),
        }
    }
    items.push(item);
    items.iter().map(|item| literal(item)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_taken_apart() {
        let setting = |name: &str, value: &str| Setting { role: None, name: name.into(), value: value.into() };
        assert_eq!(
            value(&setting("search_path", "\"$user\", app, \"Odd, \"\"Name\"")),
            "'$user', 'app', 'Odd, \"Name'"
        );
        assert_eq!(value(&setting("work_mem", "64MB")), "'64MB'");
        assert_eq!(value(&setting("app.name", "it's, here")), "'it''s, here'");
    }
}
