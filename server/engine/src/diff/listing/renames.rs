//! Renames: what is gone in one place and new in another with the same content, one to one in the order of the paths.

use std::collections::{HashMap, VecDeque};

use super::{Became, Entry, Identity};

/// Of each added entry that was renamed, the deleted one that it was; both as places in the list.
pub(super) fn find<T>(entries: &[Entry<T>]) -> HashMap<usize, usize> {
    let with = |wanted: Became| {
        let all = entries.iter().enumerate().filter(move |(_, entry)| entry.became == wanted);
        all.filter_map(|(place, entry)| Some((place, entry.content?)))
    };
    let mut gone: HashMap<Identity, VecDeque<usize>> = HashMap::new();
    for (place, content) in with(Became::Deleted) {
        gone.entry(content).or_default().push_back(place);
    }
    let taken = with(Became::Added).filter_map(|(place, content)| Some((place, gone.get_mut(&content)?.pop_front()?)));
    taken.collect()
}
