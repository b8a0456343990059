//! One entry of a directory, as restic's trees have it.

mod json;
mod quote;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use time::OffsetDateTime;

use crate::{Id, TreeId};

pub(crate) use json::{parse_tree, write_tree};

/// What kind of entry a [`Node`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A regular file, with `content`.
    File,
    /// A directory, with `subtree`.
    Dir,
    /// A symbolic link, with `linktarget`.
    Symlink,
    /// A block device, with `device`.
    Device,
    /// A character device, with `device`.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl NodeKind {
    /// restic's word for it.
    pub fn word(self) -> &'static str {
        match self {
            NodeKind::File => "file",
            NodeKind::Dir => "dir",
            NodeKind::Symlink => "symlink",
            NodeKind::Device => "dev",
            NodeKind::CharDevice => "chardev",
            NodeKind::Fifo => "fifo",
            NodeKind::Socket => "socket",
        }
    }
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// With its namespace: `user.comment`.
    pub name: String,
    /// Any bytes.
    pub value: Vec<u8>,
}

/// One entry of a directory with all its metadata.
///
/// Names and link targets are bytes, as on disk. `mode` holds the 12 permission bits (0o7777); the kind is in `kind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name within its directory, never a path.
    pub name: OsString,
    /// File, directory, …
    pub kind: NodeKind,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Last change of the content.
    pub mtime: OffsetDateTime,
    /// As restic does by default, the same as `mtime`, so that reading a file does not change its tree.
    pub atime: OffsetDateTime,
    /// Last change of the metadata.
    pub ctime: OffsetDateTime,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The owner's name, or empty.
    pub user: String,
    /// The group's name, or empty.
    pub group: String,
    /// Inode number, or 0.
    pub inode: u64,
    /// The device that the inode lies on; set where `links` is above 1.
    pub device_id: u64,
    /// Bytes of a file.
    pub size: u64,
    /// Number of hard links.
    pub links: u64,
    /// Where a symbolic link points to, else empty.
    pub linktarget: OsString,
    /// Extended attributes.
    pub xattrs: Vec<Xattr>,
    /// Device number of a device.
    pub device: u64,
    /// A file's data blobs in order.
    pub content: Vec<Id>,
    /// A directory's tree.
    pub subtree: Option<TreeId>,
}

impl Node {
    pub(crate) fn new(name: OsString, kind: NodeKind, mode: u32, time: OffsetDateTime) -> Node {
        Node {
            name,
            kind,
            mode,
            mtime: time,
            atime: time,
            ctime: time,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            linktarget: OsString::new(),
            xattrs: Vec::new(),
            device: 0,
            content: Vec::new(),
            subtree: None,
        }
    }

    /// A directory (0700) of our own making.
    pub fn dir(name: &str, subtree: TreeId, time: OffsetDateTime) -> Node {
        let mut node = Node::new(name.into(), NodeKind::Dir, 0o700, time);
        node.subtree = Some(subtree);
        node
    }

    /// A file (0600) of our own making, with `size` bytes in `content`.
    pub fn file(name: &str, content: Vec<Id>, size: u64, time: OffsetDateTime) -> Node {
        let mut node = Node::new(name.into(), NodeKind::File, 0o600, time);
        node.content = content;
        node.size = size;
        node.links = 1;
        node
    }

    /// The same node under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<OsString>) -> Node {
        self.name = name.into();
        self
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == NodeKind::Dir
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == NodeKind::File
    }

    /// A name that may become a directory entry: not empty, no `.`, `..`, slash or NUL.
    pub(crate) fn has_safe_name(&self) -> bool {
        let name = self.name.as_encoded_bytes();
        !(name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0))
    }
}

fn os_string(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// A directory: its entries, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// Sorted by the bytes of their names.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// The entry of this name.
    pub fn get(&self, name: &std::ffi::OsStr) -> Option<&Node> {
        self.nodes.binary_search_by(|node| node.name.as_os_str().cmp(name)).ok().map(|at| &self.nodes[at])
    }
}
