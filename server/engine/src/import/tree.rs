//! A tree of entries that come in any order and from anybody: each name is a name, each parent a folder, nothing is
//! replaced, and no entry is what an import has no business to bring (a device, a set-uid program).

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    io::Read,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use holdfast_model::manifest::Skipped;
use holdfast_vault::{Chunking, Meter, Node, NodeKind, TreeId, Writer, Xattr};
use time::OffsetDateTime;

use super::{
    ImportError,
    entries::{Entry, names, odd},
};

/// Entries of one component; each costs memory until the component is whole.
const MOST_ENTRIES: u64 = 5_000_000;
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;

/// A component's entries.
pub(super) struct Growing {
    component: String,
    root: Folder,
    /// Names of each file that has several, by the inode that it was given.
    links: HashMap<u64, u64>,
    next_inode: u64,
    entries: u64,
    pub(super) found: Found,
}

/// What came of it so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: u64,
    pub(super) dirs: u64,
    pub(super) others: u64,
    pub(super) bytes: u64,
    pub(super) stored: u64,
    /// Devices that were not taken.
    pub(super) devices: u64,
    pub(super) skipped: Vec<Skipped>,
}

struct Folder {
    node: Node,
    items: BTreeMap<OsString, Item>,
}

enum Item {
    Leaf(Box<Node>),
    Folder(Box<Folder>),
}

impl Folder {
    fn new(time: OffsetDateTime) -> Self {
        let mut node = Node::dir("", TreeId::default(), time);
        node.mode = 0o755;
        Self { node, items: BTreeMap::new() }
    }
}

impl Growing {
    pub(super) fn new(component: &str, time: OffsetDateTime) -> Self {
        Self {
            component: component.to_owned(),
            root: Folder::new(time),
            links: HashMap::new(),
            next_inode: 1,
            entries: 0,
            found: Found { dirs: 1, ..Found::default() },
        }
    }

    /// Takes an entry at `path`, the names below the component's root; `link` is where a hard link points to, below the
    /// same root. `most` bounds the bytes of all files.
    #[allow(clippy::too_many_arguments, reason = "each is a different thing that the caller has at hand")]
    pub(super) fn take(
        &mut self,
        entry: &Entry,
        path: &[&[u8]],
        link: Option<&[&[u8]]>,
        content: &mut dyn Read,
        most: u64,
        writer: &Writer,
        meter: &Meter,
    ) -> Result<(), ImportError> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(ImportError::Refused(format!("`{}` has more than {MOST_ENTRIES} entries", self.component)));
        }
        let refuse = |why: &str| Err(ImportError::Refused(format!("the entry `{}` {why}", entry.shown())));
        let mut facts = facts(entry)?;
        let Some((name, parents)) = path.split_last() else {
            if entry.is_dir() {
                (facts.kind, facts.subtree) = (NodeKind::Dir, Some(TreeId::default()));
                self.root.node = facts;
                return Ok(());
            }
            return refuse("is not a folder, as a component's is");
        };
        if facts.mode & SET_UID != 0 || (facts.mode & SET_GID != 0 && !entry.is_dir()) {
            facts.mode &= !(SET_UID | SET_GID);
            self.skip(entry, "set_uid", "its set-uid or set-gid bit was taken away: an import brings no such programs");
        }
        let kind = entry.kind();
        if kind.is_block_special() || kind.is_character_special() {
            self.found.devices += 1;
            self.skip(entry, "device", "a device is not taken from an import");
            return Ok(());
        }
        let name = OsStr::from_bytes(name);
        facts.name = name.to_owned();
        if entry.is_dir() {
            (facts.kind, facts.subtree) = (NodeKind::Dir, Some(TreeId::default()));
            let time = facts.mtime;
            let folder = self.folder(parents, entry)?;
            match folder.items.get_mut(name) {
                // Its entries may have come before it.
                Some(Item::Folder(there)) => there.node = facts,
                Some(Item::Leaf(_)) => return refuse("comes twice"),
                None => {
                    let made = Folder { node: facts, ..Folder::new(time) };
                    folder.items.insert(name.to_owned(), Item::Folder(Box::new(made)));
                    self.found.dirs += 1;
                }
            }
            return Ok(());
        }
        if let Some(target) = link.filter(|_| kind.is_hard_link()) {
            facts = self.another_name(target, entry)?;
            facts.name = name.to_owned();
            self.found.files += 1;
            self.found.bytes = self.found.bytes.saturating_add(facts.size);
        } else if entry.is_file() {
            if self.found.bytes.saturating_add(entry.size) > most {
                return Err(ImportError::Refused(format!(
                    "`{}` holds more bytes than metadata.json says; a small archive that grows without end is refused",
                    self.component
                )));
            }
            let mut stream = writer.stream(Chunking::Files, meter);
            std::io::copy(content, &mut stream).map_err(|error| odd(&error))?;
            let streamed = stream.finish()?;
            facts.kind = NodeKind::File;
            (facts.content, facts.size, facts.links) = (streamed.content, streamed.bytes, 1);
            self.found.files += 1;
            self.found.bytes += streamed.bytes;
            self.found.stored += streamed.stored;
            meter.add_files(1);
        } else if kind.is_symlink() {
            (facts.kind, facts.links) = (NodeKind::Symlink, 1);
            facts.linktarget = OsStr::from_bytes(&entry.link).to_owned();
            self.found.others += 1;
        } else if kind.is_fifo() {
            (facts.kind, facts.links) = (NodeKind::Fifo, 1);
            self.found.others += 1;
        } else {
            return refuse("is of a kind that is not known");
        }
        let folder = self.folder(parents, entry)?;
        if folder.items.contains_key(name) {
            return refuse("comes twice");
        }
        folder.items.insert(name.to_owned(), Item::Leaf(Box::new(facts)));
        Ok(())
    }

    fn skip(&mut self, entry: &Entry, reason: &str, message: &str) {
        self.found.skipped.push(Skipped {
            component: self.component.clone(),
            name: entry.shown(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }

    /// The folder of these names, made where it is not there; never one that is a link.
    fn folder(&mut self, parents: &[&[u8]], entry: &Entry) -> Result<&mut Folder, ImportError> {
        let time = self.root.node.mtime;
        let mut folder = &mut self.root;
        for name in parents {
            let name = OsStr::from_bytes(name);
            if !folder.items.contains_key(name) {
                let mut made = Folder::new(time);
                made.node.name = name.to_owned();
                folder.items.insert(name.to_owned(), Item::Folder(Box::new(made)));
                self.found.dirs += 1;
                self.entries += 1;
            }
            folder = match folder.items.get_mut(name) {
                Some(Item::Folder(inner)) => inner,
                _ => {
                    return Err(ImportError::Refused(format!(
                        "the entry `{}` lies below `{}`, which is no folder",
                        entry.shown(),
                        Path::new(name).display()
                    )));
                }
            };
        }
        Ok(folder)
    }

    /// A file that is there already, for another name of it.
    fn another_name(&mut self, target: &[&[u8]], entry: &Entry) -> Result<Node, ImportError> {
        let missing = || {
            ImportError::Refused(format!(
                "the entry `{}` is a link to a file that did not come before it in the same component",
                entry.shown()
            ))
        };
        let (name, parents) = target.split_last().ok_or_else(missing)?;
        let mut folder = &mut self.root;
        for parent in parents {
            folder = match folder.items.get_mut(OsStr::from_bytes(parent)) {
                Some(Item::Folder(inner)) => inner,
                _ => return Err(missing()),
            };
        }
        let first = match folder.items.get_mut(OsStr::from_bytes(name)) {
            Some(Item::Leaf(node)) if node.is_file() => node,
            _ => return Err(missing()),
        };
        if first.inode == 0 {
            (first.inode, first.device_id) = (self.next_inode, 1);
            self.next_inode += 1;
        }
        *self.links.entry(first.inode).or_insert(1) += 1;
        Ok(Node::clone(first))
    }

    /// Where everything lies in one folder of this name, makes that folder the root.
    pub(super) fn unwrap_folder(&mut self, expected: &[&str]) {
        if self.root.items.len() != 1 {
            return;
        }
        let only = self.root.items.first_key_value();
        let fits = matches!(only, Some((name, Item::Folder(_))) if expected.iter().any(|word| name == word));
        if fits && let Some((_, Item::Folder(inner))) = self.root.items.pop_first() {
            self.root = *inner;
            self.found.dirs = self.found.dirs.saturating_sub(1);
        }
    }

    /// Writes all folders; gives the root's entry under `name`, and what was found.
    pub(super) fn finish(self, name: &str, writer: &Writer) -> Result<(Node, Found), ImportError> {
        let node = write(self.root, &self.links, writer)?;
        Ok((node.with_name(name), self.found))
    }
}

fn write(folder: Folder, links: &HashMap<u64, u64>, writer: &Writer) -> Result<Node, ImportError> {
    let mut nodes = Vec::with_capacity(folder.items.len());
    for item in folder.items.into_values() {
        nodes.push(match item {
            Item::Folder(inner) => write(*inner, links, writer)?,
            Item::Leaf(mut node) => {
                node.links = links.get(&node.inode).copied().unwrap_or(1);
                *node
            }
        });
    }
    let mut node = folder.node;
    node.subtree = Some(writer.put_tree(nodes)?);
    Ok(node)
}

/// Metadata of an entry; kind, name and content are for the caller to set.
fn facts(entry: &Entry) -> Result<Node, ImportError> {
    let header = &entry.header;
    let time = match entry.record("mtime").and_then(moment) {
        Some(time) => time,
        None => {
            let seconds = i64::try_from(header.mtime().map_err(|error| odd(&error))?).unwrap_or(0);
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        }
    };
    let number = |key: &str, own: std::io::Result<u64>| {
        let given = entry.record(key).and_then(|text| text.parse::<u64>().ok());
        u32::try_from(given.or_else(|| own.ok()).unwrap_or(0)).unwrap_or(0)
    };
    let text = |key: &str, own: Result<Option<&str>, std::str::Utf8Error>| {
        entry.record(key).map(str::to_owned).or_else(|| own.ok().flatten().map(str::to_owned)).unwrap_or_default()
    };
    let mut node = Node::file("", Vec::new(), 0, time);
    node.mode = header.mode().map_err(|error| odd(&error))? & 0o7777;
    (node.uid, node.gid) = (number("uid", header.uid()), number("gid", header.gid()));
    (node.user, node.group) = (text("uname", header.username()), text("gname", header.groupname()));
    for (key, value) in &entry.more {
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            node.xattrs.push(Xattr { name: name.to_owned(), value: value.clone() });
        }
    }
    Ok(node)
}

/// Seconds since 1970 with a fraction.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos = seconds.parse::<i128>().ok()?.checked_mul(1_000_000_000)? + fraction.parse::<i128>().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(sign * nanos).ok()
}

/// The names of a hard link's target.
pub(super) fn target(entry: &Entry) -> Result<Vec<&[u8]>, ImportError> {
    names(&entry.link)
}
