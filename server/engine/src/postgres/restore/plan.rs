//! What a restore of a database would do, for people.

use holdfast_model::{
    plan::{Listed, PlanItem},
    size,
};

use super::{PgRestore, Rights};

impl PgRestore {
    /// Bytes of the archive, which is written out before it is restored.
    #[must_use]
    pub fn archive_size(&self) -> u64 {
        self.sealed.dump.size
    }

    /// The size of the database that stands there, if one does.
    #[must_use]
    pub fn existing_size(&self) -> Option<u64> {
        self.existing.as_ref().map(|existing| existing.size)
    }

    /// Things to know beforehand.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Fills in where it goes and what is done there.
    pub(crate) fn plan(&self, item: &mut PlanItem) {
        let name = &self.names.database;
        item.place = self.target.address();
        item.unit = "databases".to_owned();
        item.bytes = self.sealed.dump.size;
        let tables = Listed::of(self.ledger.tables.keys().cloned());
        let rows: u64 = self.ledger.tables.values().map(|table| table.rows).sum();
        item.does.push(format!(
            "{} tables with {rows} rows are restored into a new database beside it ({}), and compared with what was sealed",
            tables.count,
            tables.first.join(", ") + if tables.count > tables.first.len() as u64 { ", …" } else { "" }
        ));
        match &self.existing {
            Some(existing) => {
                item.changed.add(|| name.clone());
                item.keeps = Some(format!("the database {}", self.names.before));
                item.does.push(format!(
                    "then the sessions in {name} are ended and the new one takes its name; the old one ({}) stays as {}",
                    size::display(existing.size),
                    self.names.before
                ));
            }
            None => {
                item.made.add(|| name.clone());
                item.does.push(format!("then the new one takes the name {name}"));
            }
        }
        let (here, sealed) = &self.server;
        item.versions.push(format!("the server is PostgreSQL {here}, the checkpoint is of {sealed}"));
        item.versions.push(format!("restored by pg_restore {}", self.install.shown()));
        let user = self.target.user();
        item.permissions.push(match (self.superuser, self.rights) {
            (true, _) => format!("{user} is a superuser: owners and grants are put back"),
            (false, Rights::All) => format!("{user} may create databases, and put back owners and grants"),
            (false, _) => format!("{user} may create databases; what belonged to others will belong to {user}"),
        });
    }
}
