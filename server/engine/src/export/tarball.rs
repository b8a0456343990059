//! `source.tar.gz` and `data.tar.gz`: trees of the vault as archives, a folder for each component, the same bytes each
//! time.
//!
//! A repository is a folder with its work tree and a `.git`, which is the mirror of the checkpoint told that it has a
//! work tree, with the index that it was captured with.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use holdfast_model::manifest::{ManifestComponent, Skipped};
use holdfast_vault::{Meter, Node};
use tar::Header;

use super::{
    ExportWork, LEVEL, copied,
    entries::{Entries, Instead, sockets},
    member::Folder,
    work_tree,
};
use crate::{failure::Failure, place::shown, tools::Tools};

/// What a mirror's settings say, and what they say in an export, where it has a work tree.
pub(crate) const BARE: &str = "\tbare = true\n";
/// See [`BARE`].
pub(crate) const HEADED: &str = "\tbare = false\n";

/// Writes the archive.
pub(super) fn produce(
    work: &ExportWork,
    tools: &Tools,
    folders: &[Folder],
    meter: &Meter,
    output: impl Write,
) -> Result<(), Failure> {
    // Neither a time nor a system: nothing that differs from one export to the next.
    let gzip = GzBuilder::new().operating_system(255).write(output, Compression::new(LEVEL));
    let mut entries = Entries::new(&work.vault, &work.cancel, meter, gzip);
    for folder in folders {
        entries.forget_links();
        match &folder.repository {
            None => entries.tree(&folder.node, Path::new(folder.name.as_str()), None)?,
            Some((mirror, commit)) => {
                repository(&mut entries, folder, (work, tools), mirror, commit.as_deref())?;
            }
        }
    }
    entries.end()?.finish().map(drop).map_err(|error| copied(&error))
}

/// Notes what of a component no archive can hold.
pub(super) fn left_out(
    work: &ExportWork,
    component: &ManifestComponent,
    node: &Node,
    list: &mut Vec<Skipped>,
) -> Result<(), Failure> {
    sockets(&work.vault, node, &work.cancel, &mut |path| {
        list.push(Skipped {
            component: component.name.to_string(),
            name: shown(path),
            reason: "not_exported".to_owned(),
            message: "a socket has no place in an archive".to_owned(),
        });
    })
}

fn repository(
    entries: &mut Entries<'_, impl Write>,
    folder: &Folder,
    (work, tools): (&ExportWork, &Tools),
    mirror: &Path,
    commit: Option<&str>,
) -> Result<(), Failure> {
    let root = PathBuf::from(folder.name.as_str());
    let time = folder.node.mtime;
    let mut dir = folder.node.clone();
    dir.mode = 0o755;
    entries.entry(&dir, &root, &mut io::empty())?;
    let settings = root.join(".git/config");
    let headed: Instead<'_> = (&settings, |text| text.replacen(BARE, HEADED, 1));
    entries.tree(&folder.node, &root.join(".git"), Some(headed))?;
    // With the index of its capture, git tells staged from unstaged work as it did there.
    let index = folder.node.subtree.map(|tree| work.vault.find(&tree, Path::new("original/index")));
    if let Some(Ok(index)) = index.filter(|found| found.as_ref().is_ok_and(Node::is_file)) {
        entries.file(&Node { links: 1, ..index }, &root.join(".git/index"))?;
    }
    let Some(commit) = commit else { return Ok(()) };
    let cancel = &work.cancel;
    work_tree::entries(work, tools, mirror, commit, &mut |header, path, link, content| {
        cancel.check()?;
        let odd = |error: io::Error| Failure::Said(format!("an entry of git archive: {error}"));
        let path = root.join(OsStr::from_bytes(path));
        let mut again = Header::new_gnu();
        again.set_mode(header.mode().map_err(odd)? & 0o777);
        again.set_mtime(u64::try_from(time.unix_timestamp()).unwrap_or(0));
        let size = header.entry_size().map_err(odd)?;
        entries.write(again, header.entry_type(), &path, link.map(OsStr::from_bytes), size, content)
    })
}
