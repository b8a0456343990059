//! Only a part of a directory: what patterns match of a sealed tree. They are read as `exclude` reads them.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use holdfast_model::plan::Listed;
use holdfast_vault::{Cancel, TreeId, Vault, Wanted};
use ignore::{Match, gitignore::Gitignore};

use crate::{failure::Failure, files::matcher, place};

/// What the patterns of a request mean for one component.
pub(super) struct Choice {
    matcher: Gitignore,
    /// Folders that do not match and hold something that does.
    through: HashSet<PathBuf>,
    /// What matches and is no folder.
    pub matched: Listed,
    /// Bytes of it.
    pub bytes: u64,
    /// Patterns that match nothing here.
    pub unmet: Vec<String>,
}

impl Choice {
    /// Walks the sealed tree. `bases` are the paths that the component had and has: a pattern that begins with one of
    /// them means what it says.
    ///
    /// # Errors
    /// A pattern that is not one, or the vault.
    pub(super) fn find(
        vault: &Vault,
        tree: TreeId,
        bases: &[&Path],
        patterns: &[String],
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let matcher_of = |patterns: &[String]| matcher(bases, patterns).map_err(Failure::Said);
        let wanted: Vec<&String> = patterns.iter().filter(|pattern| !pattern.starts_with('!')).collect();
        let each =
            wanted.iter().map(|pattern| matcher_of(std::slice::from_ref(*pattern))).collect::<Result<Vec<_>, _>>()?;
        let mut met = vec![false; each.len()];
        let mut choice = Self {
            matcher: matcher_of(patterns)?,
            through: HashSet::new(),
            matched: Listed::default(),
            bytes: 0,
            unmet: Vec::new(),
        };
        let mut open = vec![(tree, PathBuf::new())];
        while let Some((tree, relative)) = open.pop() {
            cancel.check()?;
            let mut below = Vec::new();
            for node in vault.tree(&tree)?.nodes {
                let path = relative.join(&node.name);
                // A name that leads elsewhere is never put back; the restore says so.
                if path.parent() != Some(&relative) || path.file_name() != Some(&node.name) {
                    continue;
                }
                if choice.takes(&path, node.is_dir()) {
                    choice.through.extend(path.ancestors().skip(1).map(Path::to_path_buf));
                    for (met, own) in met.iter_mut().zip(&each).filter(|(met, _)| !**met) {
                        *met = own.matched_path_or_any_parents(&path, node.is_dir()).is_ignore();
                    }
                    if !node.is_dir() {
                        choice.matched.add(|| place::shown(&path));
                        choice.bytes = choice.bytes.saturating_add(node.size);
                    }
                }
                below.extend(node.subtree.map(|subtree| (subtree, path)));
            }
            open.extend(below.into_iter().rev());
        }
        let unmet = wanted.into_iter().zip(met).filter(|(_, met)| !met).map(|(pattern, _)| pattern.clone());
        choice.unmet = unmet.collect();
        Ok(choice)
    }

    fn takes(&self, relative: &Path, is_dir: bool) -> bool {
        matches!(self.matcher.matched_path_or_any_parents(relative, is_dir), Match::Ignore(_))
    }

    /// What a restore does with an entry of the tree.
    pub(super) fn wants(&self, relative: &Path, is_dir: bool) -> Wanted {
        if self.takes(relative, is_dir) {
            Wanted::Yes
        } else if is_dir && self.through.contains(relative) {
            Wanted::Through
        } else {
            Wanted::No
        }
    }
}
