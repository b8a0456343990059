//! Which snapshots damage touches.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::Layout;
use crate::id::{IdMap, IdSet};
use crate::node::parse_tree;
use crate::pack::BlobKind;
use crate::vault::Opened;
use crate::{Cancel, Error, Id, Problem, SnapshotId, Tree, TreeId};

/// The problems, by what they are about.
#[derive(Default)]
struct About {
    packs: IdMap<Vec<usize>>,
    blobs: IdMap<Vec<usize>>,
}

/// For each problem, by its place in the list: the snapshots that need what is damaged.
pub(crate) fn touched(
    vault: &Opened,
    layout: &Layout,
    roots: &[(Option<SnapshotId>, TreeId)],
    problems: &[Problem],
    cancel: &Cancel,
) -> Result<BTreeMap<usize, Vec<SnapshotId>>, Error> {
    let mut touched: BTreeMap<usize, BTreeSet<SnapshotId>> = BTreeMap::new();
    let mut about = About::default();
    for (at, problem) in problems.iter().enumerate() {
        match (problem.blob.filter(|blob| *blob != Id::default()), problem.pack, problem.snapshot) {
            (Some(blob), ..) => about.blobs.entry(blob).or_default().push(at),
            (None, Some(pack), _) => about.packs.entry(pack).or_default().push(at),
            (None, None, Some(snapshot)) => {
                touched.entry(at).or_default().insert(snapshot);
            }
            (None, None, None) => {}
        }
    }
    if !about.blobs.is_empty() || !about.packs.is_empty() {
        let mut below: IdMap<Vec<usize>> = IdMap::default();
        let all: Vec<TreeId> = roots.iter().map(|(_, tree)| *tree).collect();
        children_first(
            &all,
            &mut |id| Ok(tree(vault, layout, id)?.nodes.into_iter().filter_map(|node| node.subtree).collect()),
            &mut |id| {
                cancel.check()?;
                let mut found: BTreeSet<usize> = about.of(layout, problems, BlobKind::Tree, id).collect();
                for node in tree(vault, layout, id)?.nodes {
                    found.extend(node.content.iter().flat_map(|id| about.of(layout, problems, BlobKind::Data, id)));
                    found.extend(node.subtree.iter().filter_map(|tree| below.get(tree)).flatten());
                }
                if !found.is_empty() {
                    below.insert(*id, found.into_iter().collect());
                }
                Ok(())
            },
        )?;
        for (snapshot, tree) in roots {
            for at in below.get(tree).into_iter().flatten() {
                touched.entry(*at).or_default().extend(*snapshot);
            }
        }
    }
    Ok(touched.into_iter().map(|(at, snapshots)| (at, snapshots.into_iter().collect())).collect())
}

impl About {
    /// The problems of the blob itself, where it is read from, and of the pack that it is read from.
    fn of<'a>(
        &'a self,
        layout: &Layout,
        problems: &'a [Problem],
        kind: BlobKind,
        id: &Id,
    ) -> impl Iterator<Item = usize> + 'a {
        let pack = layout.find(kind, id).map(|(pack, _)| pack);
        let here = move |at: &&usize| {
            let of = problems.get(**at).and_then(|problem| problem.pack);
            of.is_none() || of == pack
        };
        let of_pack = pack.and_then(|pack| self.packs.get(&pack));
        self.blobs.get(id).into_iter().flatten().filter(here).chain(of_pack.into_iter().flatten()).copied()
    }
}

/// A tree, or an empty one if it cannot be read: what is wrong with it is known already.
fn tree(vault: &Opened, layout: &Layout, id: &TreeId) -> Result<Tree, Error> {
    let Some((pack, blob)) = layout.find(BlobKind::Tree, id) else { return Ok(Tree::default()) };
    let read = || parse_tree(id, &vault.windows.tree(vault, &pack, &blob)?);
    match read() {
        Err(Error::Damaged { .. } | Error::Backend(_)) => Ok(Tree::default()),
        other => other,
    }
}

/// Visits every tree below the roots once, and after all that lie below it.
pub(crate) fn children_first(
    roots: &[TreeId],
    below: &mut dyn FnMut(&TreeId) -> Result<Vec<TreeId>, Error>,
    visit: &mut dyn FnMut(&TreeId) -> Result<(), Error>,
) -> Result<(), Error> {
    enum Step {
        Enter(TreeId),
        Leave(TreeId),
    }
    let mut entered = IdSet::default();
    let mut steps: Vec<Step> = roots.iter().rev().map(|tree| Step::Enter(*tree)).collect();
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(id) => {
                if entered.insert(id) {
                    steps.push(Step::Leave(id));
                    steps.extend(below(&id)?.into_iter().map(Step::Enter));
                }
            }
            Step::Leave(id) => visit(&id)?,
        }
    }
    Ok(())
}
