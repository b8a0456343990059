//! The export's files: which there are, and where the bytes of each come from.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use holdfast_model::{
    export::ExportedFile,
    manifest::{Facts, ManifestComponent, Skipped},
    name::Name,
    state::Kind,
};
use holdfast_vault::{Meter, Node};
use zeroize::Zeroizing;

use super::{
    ExportWork, copied,
    outer::{Stopping, Tap},
    sql, tarball, work_tree,
};
use crate::{config, failure::Failure, postgres::PgInstall, sqlite, tools::Tools};

/// One file of the export.
pub(super) struct Member {
    /// Its path within the export.
    pub(super) name: String,
    components: Vec<String>,
    source: Source,
    /// Known once it was measured.
    pub(super) bytes: u64,
    /// In hexadecimal, likewise.
    pub(super) sha256: String,
}

/// Where a file's bytes come from.
enum Source {
    /// From memory.
    Bytes(Zeroizing<Vec<u8>>),
    /// A file of the vault as it is.
    File(Box<Node>),
    /// A dump as SQL.
    Sql { dump: Box<Node>, install: PgInstall },
    /// An archive of folders.
    Tarball(Vec<Folder>),
}

/// A component within an archive.
pub(super) struct Folder {
    pub(super) name: Name,
    /// The component's own entry.
    pub(super) node: Node,
    /// For a repository: its mirror in scratch space, and the commit that its work tree shows.
    pub(super) repository: Option<(PathBuf, Option<String>)>,
}

impl Member {
    fn new(name: impl Into<String>, components: Vec<String>, source: Source) -> Self {
        Self { name: name.into(), components, source, bytes: 0, sha256: String::new() }
    }

    /// A file whose content is known.
    pub(super) fn of_bytes(name: &str, content: Vec<u8>) -> Self {
        let mut tap = Tap::new(io::sink(), u64::MAX);
        let _ = tap.write_all(&content);
        let mut member = Self::new(name, Vec::new(), Source::Bytes(Zeroizing::new(content)));
        (member.bytes, member.sha256) = tap.end();
        member
    }

    /// Its line in `metadata.json`.
    pub(super) fn listed(&self) -> ExportedFile {
        ExportedFile {
            name: self.name.clone(),
            bytes: self.bytes,
            sha256: self.sha256.clone(),
            components: self.components.clone(),
        }
    }

    /// Reads all of it.
    pub(super) fn measure(&mut self, work: &ExportWork, tools: &Tools, meter: &Meter) -> Result<(), Failure> {
        let mut tap = Tap::new(io::sink(), u64::MAX);
        self.produce(work, tools, meter, &mut tap)?;
        (self.bytes, self.sha256) = tap.end();
        Ok(())
    }

    /// Writes its bytes.
    pub(super) fn produce(
        &self,
        work: &ExportWork,
        tools: &Tools,
        meter: &Meter,
        output: &mut dyn Write,
    ) -> Result<(), Failure> {
        work.cancel.check()?;
        let mut output = Stopping(output, work.cancel.clone());
        let done = match &self.source {
            Source::Bytes(bytes) => output.write_all(bytes).map_err(|error| copied(&error)),
            Source::File(node) => {
                let mut reader = work.vault.read(node)?;
                io::copy(&mut reader, &mut output).map(drop).map_err(|error| copied(&error))
            }
            Source::Sql { dump, install } => {
                sql::produce(work, dump, install, tools.sandbox(), work.manifest.checkpoint.as_str(), &mut output)
            }
            Source::Tarball(folders) => tarball::produce(work, tools, folders, meter, output),
        };
        work.cancel.check()?;
        done
    }
}

/// Every file but the first two, and what of the checkpoint has no place in any. A repository comes into scratch space.
pub(super) fn members(work: &ExportWork, tools: &Tools, meter: &Meter) -> Result<(Vec<Member>, Vec<Skipped>), Failure> {
    let (mut settings, mut services, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sources, mut data) = (Vec::new(), Vec::new());
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut of_variables = Vec::new();
    for component in &work.manifest.components {
        let name = component.name.to_string();
        let node = work.vault.find(&work.root, Path::new(&component.place))?;
        match component.kind {
            Kind::Config => {
                for entry in config::read(&work.vault, &node)?.entries {
                    variables.insert(entry.name, entry.value.expose().to_owned());
                }
                settings.push(Member::new(format!("config/{name}.json"), vec![name.clone()], file(node)));
                of_variables.push(name);
            }
            Kind::Postgres => services.extend(postgres(work, tools, component, &node)?),
            Kind::Sqlite => {
                let image = below(work, &node, sqlite::IMAGE)?;
                services.push(Member::new(format!("services/sqlite_{name}.sqlite"), vec![name], file(image)));
            }
            Kind::Git => {
                let repository = Some(work_tree::bring(work, component, &node, meter)?);
                sources.push(Folder { name: component.name.clone(), node, repository });
            }
            Kind::Files => {
                tarball::left_out(work, component, &node, &mut left_out)?;
                data.push(Folder { name: component.name.clone(), node, repository: None });
            }
            kind => left_out.push(Skipped {
                component: name.clone(),
                name,
                reason: "not_exported".to_owned(),
                message: format!("this version has no file for kind `{kind}` in an export"),
            }),
        }
    }
    let mut all = Vec::new();
    if !of_variables.is_empty() {
        let text = serde_json::to_vec_pretty(&variables)
            .map_err(|_| Failure::Said("the variables cannot be written as JSON".to_owned()))?;
        let mut member = Member::of_bytes("env.json", text);
        member.components = of_variables;
        all.push(member);
    }
    all.append(&mut settings);
    all.append(&mut services);
    for (name, folders) in [("source.tar.gz", sources), ("data.tar.gz", data)] {
        if !folders.is_empty() {
            let components = folders.iter().map(|folder| folder.name.to_string()).collect();
            all.push(Member::new(name, components, Source::Tarball(folders)));
        }
    }
    Ok((all, left_out))
}

fn file(node: Node) -> Source {
    Source::File(Box::new(node))
}

fn below(work: &ExportWork, node: &Node, name: &str) -> Result<Node, Failure> {
    let tree = node.subtree.ok_or_else(|| Failure::Said(format!("no `{name}` in the checkpoint")))?;
    Ok(work.vault.find(&tree, Path::new(name))?)
}

fn postgres(
    work: &ExportWork,
    tools: &Tools,
    component: &ManifestComponent,
    node: &Node,
) -> Result<Vec<Member>, Failure> {
    let (name, own) = (&component.name, vec![component.name.to_string()]);
    let member = |suffix: &str, source| Member::new(format!("services/postgres_{name}.{suffix}"), own.clone(), source);
    let mut all = vec![member("database.json", file(below(work, node, "database.json")?))];
    // Who is no superuser has none.
    match below(work, node, "globals.sql") {
        Ok(globals) => all.push(member("globals.sql", file(globals))),
        Err(Failure::Said(_)) => {}
        Err(failure) => return Err(failure),
    }
    let dump = below(work, node, "dump.pgc")?;
    all.push(member("dump", file(dump.clone())));
    if work.plain_sql {
        let Facts::Postgres { major, .. } = &component.facts else {
            return Err(Failure::Said(format!("the manifest does not describe `{name}` as a PostgreSQL database")));
        };
        let install = tools.postgres(*major).ok_or_else(|| {
            Failure::Said(format!(
                "`{name}` is of PostgreSQL {major}, and the server's host has no pg_restore of that version to make SQL \
                 of it; on Debian: apt install postgresql-client-{major}"
            ))
        })?;
        all.push(member("sql", Source::Sql { dump: Box::new(dump), install: install.clone() }));
    }
    Ok(all)
}
