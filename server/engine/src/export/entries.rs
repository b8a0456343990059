//! Trees of the vault as entries of a tar archive: owner, mode, times to the nanosecond, extended attributes, symbolic
//! and hard links, fifos and devices are kept. A socket has no place in an archive.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use holdfast_vault::{Cancel, Meter, Node, NodeKind, TreeId, Vault};
use tar::{Builder, EntryType, Header};
use time::OffsetDateTime;

use super::copied;
use crate::{failure::Failure, place::shown};

/// Bytes of a name that a header has room for.
const ROOM: usize = 100;

/// A file whose text goes out as that makes it.
pub(super) type Instead<'a> = (&'a Path, fn(&str) -> String);

/// An archive that is being written.
pub(super) struct Entries<'a, W: Write> {
    vault: &'a Vault,
    cancel: &'a Cancel,
    meter: &'a Meter,
    archive: Builder<W>,
    /// Where a file with several names came first, by its device and inode.
    links: HashMap<(u64, u64), PathBuf>,
}

/// Gives the path below `node` of every socket.
pub(super) fn sockets(vault: &Vault, node: &Node, cancel: &Cancel, each: &mut dyn FnMut(&Path)) -> Result<(), Failure> {
    let mut open: Vec<(PathBuf, TreeId)> = node.subtree.map(|tree| (PathBuf::new(), tree)).into_iter().collect();
    while let Some((path, tree)) = open.pop() {
        cancel.check()?;
        for node in vault.tree(&tree)?.nodes {
            let path = path.join(&node.name);
            if node.kind == NodeKind::Socket {
                each(&path);
            }
            open.extend(node.subtree.map(|tree| (path, tree)));
        }
    }
    Ok(())
}

impl<'a, W: Write> Entries<'a, W> {
    /// An archive with nothing in it yet.
    pub(super) fn new(vault: &'a Vault, cancel: &'a Cancel, meter: &'a Meter, output: W) -> Self {
        Self { vault, cancel, meter, archive: Builder::new(output), links: HashMap::new() }
    }

    /// Ends it.
    pub(super) fn end(self) -> Result<W, Failure> {
        self.archive.into_inner().map_err(|error| copied(&error))
    }

    /// From here on, files have no other name among those before.
    pub(super) fn forget_links(&mut self) {
        self.links.clear();
    }

    /// A directory with all that is in it.
    pub(super) fn tree(&mut self, root: &Node, path: &Path, instead: Option<Instead<'_>>) -> Result<(), Failure> {
        self.entry(root, path, &mut io::empty())?;
        let Some(tree) = root.subtree else { return Ok(()) };
        // What is left to visit, the next one last.
        let mut open = self.read(&tree, path)?;
        while let Some((node, path)) = open.pop() {
            self.cancel.check()?;
            match (node.kind, node.subtree) {
                (NodeKind::Socket, _) => {}
                (NodeKind::Dir, Some(tree)) => {
                    self.entry(&node, &path, &mut io::empty())?;
                    open.extend(self.read(&tree, &path)?);
                }
                (NodeKind::File, _) => match instead.filter(|(place, _)| *place == path) {
                    Some((_, change)) => self.changed(node, &path, change)?,
                    None => self.file(&node, &path)?,
                },
                _ => self.entry(&node, &path, &mut io::empty())?,
            }
        }
        Ok(())
    }

    fn read(&self, tree: &TreeId, path: &Path) -> Result<Vec<(Node, PathBuf)>, Failure> {
        let below = |node: Node| {
            let path = path.join(&node.name);
            (node, path)
        };
        Ok(self.vault.tree(tree)?.nodes.into_iter().rev().map(below).collect())
    }

    /// A file, or another name of one.
    pub(super) fn file(&mut self, node: &Node, path: &Path) -> Result<(), Failure> {
        self.meter.set_current(&shown(path));
        if node.links > 1 && node.inode != 0 {
            let id = (node.device_id, node.inode);
            if let Some(first) = self.links.get(&id) {
                let target = first.clone();
                return self.put(node, EntryType::Link, path, Some(target.as_os_str()), 0, &mut io::empty());
            }
            self.links.insert(id, path.to_path_buf());
        }
        let mut reader = self.vault.read(node)?;
        if reader.len() != node.size {
            return Err(Failure::Said(format!("damaged: {} has not the size that was sealed", shown(path))));
        }
        self.entry(node, path, &mut reader)
    }

    /// A text, changed.
    fn changed(&mut self, mut node: Node, path: &Path, change: fn(&str) -> String) -> Result<(), Failure> {
        let mut text = String::new();
        self.vault.read(&node)?.read_to_string(&mut text).map_err(|error| copied(&error))?;
        let text = change(&text);
        node.size = text.len() as u64;
        self.entry(&node, path, &mut text.as_bytes())
    }

    /// An entry that is no other name of another one.
    pub(super) fn entry(&mut self, node: &Node, path: &Path, content: &mut dyn Read) -> Result<(), Failure> {
        let (kind, size) = match node.kind {
            NodeKind::File => (EntryType::Regular, node.size),
            NodeKind::Dir => (EntryType::Directory, 0),
            NodeKind::Symlink => (EntryType::Symlink, 0),
            NodeKind::Device => (EntryType::Block, 0),
            NodeKind::CharDevice => (EntryType::Char, 0),
            NodeKind::Fifo => (EntryType::Fifo, 0),
            NodeKind::Socket => return Ok(()),
        };
        let link = (node.kind == NodeKind::Symlink).then_some(node.linktarget.as_os_str());
        self.put(node, kind, path, link, size, content)
    }

    fn put(
        &mut self,
        node: &Node,
        kind: EntryType,
        path: &Path,
        link: Option<&OsStr>,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), Failure> {
        let mut header = Header::new_gnu();
        header.set_mode(node.mode & 0o7777);
        header.set_uid(u64::from(node.uid));
        header.set_gid(u64::from(node.gid));
        header.set_mtime(u64::try_from(node.mtime.unix_timestamp()).unwrap_or(0));
        // A name that is too long for its field is left out: the number says the same.
        let _ = header.set_username(&node.user);
        let _ = header.set_groupname(&node.group);
        if matches!(node.kind, NodeKind::Device | NodeKind::CharDevice) {
            let parts = [rustix::fs::major(node.device), rustix::fs::minor(node.device)];
            let set = header.set_device_major(parts[0]).and_then(|()| header.set_device_minor(parts[1]));
            set.map_err(|error| copied(&error))?;
        }
        self.more(node)?;
        self.write(header, kind, path, link, size, content)
    }

    /// What a plain header has no place for: times to the nanosecond, and extended attributes.
    fn more(&mut self, node: &Node) -> Result<(), Failure> {
        let mut more: Vec<(String, Vec<u8>)> = Vec::new();
        if node.mtime.nanosecond() != 0 || node.mtime.unix_timestamp() < 0 {
            more.push(("mtime".to_owned(), seconds(node.mtime).into_bytes()));
        }
        for attribute in node.xattrs.iter().filter(|attribute| !attribute.name.contains(['=', '\n'])) {
            more.push((format!("SCHILY.xattr.{}", attribute.name), attribute.value.clone()));
        }
        if more.is_empty() {
            return Ok(());
        }
        let pairs = more.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.archive.append_pax_extensions(pairs).map_err(|error| copied(&error))
    }

    /// Names and links as their bytes stand; long ones in entries before, as GNU tar has them.
    pub(super) fn write(
        &mut self,
        mut header: Header,
        kind: EntryType,
        path: &Path,
        link: Option<&OsStr>,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), Failure> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        if kind == EntryType::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        let link = link.map(OsStr::as_bytes).unwrap_or_default();
        self.long(EntryType::GNULongLink, link)?;
        self.long(EntryType::GNULongName, &name)?;
        header.set_entry_type(kind);
        header.set_size(size);
        let old = header.as_old_mut();
        let (short_name, short_link) = (name.len().min(ROOM), link.len().min(ROOM));
        old.name[..short_name].copy_from_slice(&name[..short_name]);
        old.linkname[..short_link].copy_from_slice(&link[..short_link]);
        header.set_cksum();
        let mut counted = Counted { inner: content, bytes: 0 };
        self.archive.append(&header, (&mut counted).take(size)).map_err(|error| copied(&error))?;
        if counted.bytes != size {
            return Err(Failure::Said(format!("{} ended before its size was read", shown(path))));
        }
        Ok(())
    }

    fn long(&mut self, kind: EntryType, text: &[u8]) -> Result<(), Failure> {
        if text.len() <= ROOM {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        let name = b"././@LongLink";
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(text.len() as u64 + 1);
        header.set_cksum();
        self.archive.append(&header, text.chain(&[0_u8][..])).map_err(|error| copied(&error))
    }
}

struct Counted<'a> {
    inner: &'a mut dyn Read,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Seconds since 1970 with their fraction, as a pax record has them.
fn seconds(time: OffsetDateTime) -> String {
    let nanos = time.unix_timestamp_nanos();
    let (sign, nanos) = if nanos < 0 { ("-", -nanos) } else { ("", nanos) };
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
