//! The work tree of an exported repository: `git archive` reads it from the mirror, as its bytes stand in the commit.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use holdfast_model::manifest::{Facts, ManifestComponent};
use holdfast_vault::{Meter, Node};

use super::ExportWork;
use crate::{failure::Failure, git, tools::Tools};

/// Brings a repository into scratch space; gives where it is, and the commit that its work tree shows.
pub(super) fn bring(
    work: &ExportWork,
    component: &ManifestComponent,
    node: &Node,
    meter: &Meter,
) -> Result<(PathBuf, Option<String>), Failure> {
    let place = work.scratch.join(format!("mirror-{}", component.name));
    let tree = node.subtree.ok_or_else(|| Failure::Said(format!("`{}` is not a folder", component.place)))?;
    if let Some(fault) = git::bring(&work.vault, &tree, &place, &work.cancel, meter)? {
        return Err(Failure::Said(format!("the sealed repository `{}` cannot be read: {fault}", component.name)));
    }
    // Bytes are exported as they stand in the commit: nothing is left out, translated or filled in.
    let attributes = place.join("info/attributes");
    fs::create_dir_all(place.join("info")).map_err(|error| Failure::io(&attributes, &error))?;
    let plain = "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n";
    fs::write(&attributes, plain).map_err(|error| Failure::io(&attributes, &error))?;
    let commit = match &component.facts {
        Facts::Git { refs, head, .. } => refs.get(git::WORK_TREE).or(head.as_ref()).cloned(),
        _ => return Err(Failure::Said(format!("the manifest does not describe `{}` as a repository", component.name))),
    };
    Ok((place, commit))
}

/// Takes a header, a path, a link's target and the content.
type Each<'a> = dyn FnMut(&tar::Header, &[u8], Option<&[u8]>, &mut dyn Read) -> Result<(), Failure> + 'a;

/// Gives every entry of the work tree with its content.
pub(super) fn entries(
    work: &ExportWork,
    tools: &Tools,
    mirror: &Path,
    commit: &str,
    each: &mut Each<'_>,
) -> Result<(), Failure> {
    let odd = |error: io::Error| Failure::Said(format!("what git archive wrote cannot be read: {error}"));
    git::archive(tools.git(), mirror, commit, &work.cancel, |mut output| {
        let mut archive = tar::Archive::new(&mut output);
        for entry in archive.entries().map_err(odd)? {
            let mut entry = entry.map_err(odd)?;
            let kind = entry.header().entry_type();
            if kind.is_pax_global_extensions() {
                continue;
            }
            let (header, path) = (entry.header().clone(), entry.path_bytes().into_owned());
            let link = entry.link_name_bytes().map(|name| name.into_owned());
            each(&header, &path, link.as_deref(), &mut entry)?;
        }
        // git writes to the end of its last block; who leaves before makes it fail.
        io::copy(&mut output, &mut io::sink()).map(drop).map_err(odd)
    })
}
